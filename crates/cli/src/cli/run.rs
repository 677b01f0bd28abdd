//! `botpipe run`: starts a run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use botpipe_engine::catalog;
use botpipe_engine::config::{Agent, Config, HarnessLayer, Layer, Setting, policy_file};
use botpipe_engine::harness::{self, Chosen, Kind, Wanted};
use botpipe_engine::request::{ProviderChoice, StartRequest};
use botpipe_engine::{Engine, preview};
use botpipe_kernel::ids::TaskId;
use botpipe_kernel::plan::{Budget, PolicyLayer};

use super::detach::{Detach, Ground};
use super::harness::{AtLimit, HarnessOptions, fallback};
use super::options::{Speech, Workspace, checked, input, pairs, unusable_policy};
use crate::term::budget;
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::output::{printable, result, tell};
use crate::term::preview as shown;

/// Start a run of a workflow
///
/// The message fills the workflow's one required text input; `--input` and `-i` fill any. The run is
/// recorded in `.botpipe/` of the workspace; whatever stops it, `botpipe resume` takes it up again.
///
/// Examples:
///   botpipe run ralph_loop "Add a CSV export" --task csv-export --provider codex
///   botpipe run ralph_loop "Add a CSV export" --provider command -- my-agent --headless
///   botpipe run ralph_loop -i request "Add a CSV export" -wf test_command "make test"
///   botpipe run ./release.sop.yaml --input release.json --json
///   botpipe run ralph_loop "Add a CSV export" --provider claude --detach
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The workflow: a name, an alias, or a path to its file or folder
    #[arg(value_name = "REF")]
    reference: String,
    /// What to do, in words
    message: Option<String>,
    /// The same, as an option
    #[arg(long = "message", value_name = "TEXT", conflicts_with = "message")]
    message_option: Option<String>,
    /// The task's id, a name for this piece of work; without it one is made of the message
    #[arg(long, visible_alias = "task-id", value_name = "TASK")]
    task: Option<TaskId>,
    /// The whole input: JSON, or a file of JSON (`@FILE`, or a path ending in .json)
    #[arg(long, value_name = "JSON|FILE")]
    input: Option<String>,
    /// One field of the input; may be given again
    #[arg(short = 'i', num_args = 2, value_names = ["NAME", "VALUE"], allow_hyphen_values = true)]
    input_field: Vec<String>,
    /// One parameter of the workflow, also written `-wf NAME VALUE`; may be given again
    #[arg(long = "wf", num_args = 2, value_names = ["NAME", "VALUE"], allow_hyphen_values = true)]
    param: Vec<String>,
    #[command(flatten)]
    workspace: Workspace,
    /// The agent: `codex` drives the Codex CLI, `claude` Claude Code, `acp` an agent that speaks the
    /// Agent Client Protocol, `command` runs the program after `--`, `replay` plays a recording
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<String>,
    #[command(flatten)]
    harness: HarnessOptions,
    /// What to do at a usage limit of the account: stay and wait, let go and be resumed later, stop, or
    /// go on with a `--fallback`
    #[arg(long, value_name = "WHAT", value_enum)]
    on_limit: Option<AtLimit>,
    /// With `--on-limit fallback`: the harness to go on with, and its model; may be given again
    #[arg(long, value_name = "HARNESS[:MODEL]", value_parser = fallback)]
    fallback: Vec<Wanted>,
    /// What the run may spend: usd=5.50, tokens=2000000, turns=40, wall=2h; may be given again
    #[arg(long, value_name = "KIND=AMOUNT", value_parser = budget::read)]
    budget: Vec<Budget>,
    /// The recording that `--provider replay` plays
    #[arg(long, value_name = "FILE")]
    cassette: Option<PathBuf>,
    /// Play the recording although the prompts are not those it was made with
    #[arg(long, requires = "cassette")]
    loose: bool,
    /// Record the run's turns, and write them to this file as a cassette when it is over or waits
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// An environment variable that agents and scripts may see; may be given again
    #[arg(long, value_name = "NAME")]
    pass_env: Vec<String>,
    /// Stop after so many steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_steps: Option<u32>,
    /// A file with a policy that narrows what the workflow may do, for the whole run; may only take away
    #[arg(long, value_name = "FILE")]
    policy_file: Option<PathBuf>,
    /// Go on without people: questions, and routes for a person's eyes, are offered to no agent
    #[arg(long)]
    full_auto: bool,
    /// Say what the run would be, and how many turns at worst; start nothing. Exit 7 where it would be refused
    #[arg(long, conflicts_with = "detach")]
    dry_run: bool,
    #[command(flatten)]
    detach: Detach,
    #[command(flatten)]
    speech: Speech,
    /// With `command`: the agent's program and its arguments, prompt on stdin, answer on stdout. With a
    /// harness: further arguments for it
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<String>,
}

/// What `--provider` may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Provider {
    Agent(Agent),
    Replay,
}

impl Args {
    pub(super) fn json(&self) -> bool {
        self.speech.json.json
    }

    pub(super) fn run(self) -> Result<u8, Failure> {
        let workspace = self.workspace.path().to_owned();
        let ground = self.detach.begin(self.speech, &workspace, false)?;
        if let Ground::Elsewhere(code) = ground {
            return Ok(code);
        }
        let compiled = checked(&workspace, &self.reference)?;
        let speech = self.speech;
        let config = self.workspace.config()?;
        let settings = config.with(self.options(&config)?);
        let dry_run = self.dry_run;
        let mut sources = catalog::find(&workspace, &self.reference)?.sources();
        sources.extend(self.policy_file.clone());
        let mut request = settings.fill(&compiled, &workspace, self.request(&config)?)?;
        request.sources = sources;
        if dry_run {
            let preview = preview(&compiled, &request, &workspace)?;
            let form = speech.form();
            for refused in preview.refused.iter().filter(|_| form.is_json()) {
                tell(printable(&format!("refused: {refused}")).trim_end());
            }
            result(form, || shown::text(&preview), || shown::view(&preview));
            return Ok(if preview.refused.is_empty() { exit::OK } else { exit::POLICY });
        }
        let engine = Engine::open(&workspace)?;
        ground.go(&engine, speech, &workspace, None, |progress, stop| {
            engine.start(&compiled, request, progress, stop)
        })
    }

    fn request(self, config: &Config) -> Result<StartRequest, Failure> {
        if let Some(path) = &self.record {
            can_be_written(path)?;
        }
        let fallbacks = self.fallbacks(config)?;
        Ok(StartRequest {
            provider: self.recording()?,
            providers: BTreeMap::new(),
            fallbacks,
            task: self.task,
            message: self.message.or(self.message_option),
            input: self.input.as_deref().map(input).transpose()?,
            input_fields: pairs(&self.input_field),
            params: pairs(&self.param),
            pass_env: self.pass_env,
            max_steps: None,
            on_limit: None,
            budget: budget::all(&self.budget),
            full_auto: false,
            policies: Vec::new(),
            sources: Vec::new(),
            record: self.record,
        })
    }

    /// The chain to fall back along, each harness with what is set of it; without a limit that asks for
    /// it, it would never be used.
    fn fallbacks(&self, config: &Config) -> Result<Vec<Chosen>, Failure> {
        if self.fallback.is_empty() != !matches!(self.on_limit, Some(AtLimit::Fallback)) {
            return Err(Failure::usage("`--fallback` and `--on-limit fallback` go together")
                .hint("`--on-limit fallback --fallback claude`"));
        }
        let settings = config.with(Layer::default());
        let chain = self.fallback.iter().map(|named| {
            let set = settings.wanted(named.kind);
            Wanted { model: named.model.clone().or(set.model.clone()), ..set }
        });
        let found = chain.map(|wanted| harness::choose(wanted, self.workspace.path(), None));
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// The recording that is to be played, if one is.
    fn recording(&self) -> Result<Option<ProviderChoice>, Failure> {
        let Some(path) = &self.cassette else { return Ok(None) };
        let origin = path.display().to_string();
        Ok(Some(ProviderChoice::Replay {
            cassette: super::options::read(path)?,
            origin,
            loose: self.loose,
        }))
    }

    /// What the options say.
    fn options(&self, config: &Config) -> Result<Layer, Failure> {
        let named = self.provider.as_deref().map(provider).transpose()?;
        let words = &self.program;
        let harness = self.harness.layer(&[]).first_option();
        let configured = config.with(Layer::default()).agent().map(|it| it.value);
        let agent = match named {
            Some(Provider::Replay) => {
                if self.cassette.is_none() {
                    return Err(Failure::usage("`--provider replay` needs `--cassette FILE`"));
                }
                if !words.is_empty() {
                    return Err(Failure::usage("a program belongs to `--provider command`"));
                }
                None
            }
            Some(Provider::Agent(agent)) => Some(agent),
            None if harness.is_some() || !words.is_empty() || self.cassette.is_some() => {
                if configured.is_none() || self.cassette.is_some() {
                    return Err(nothing_named());
                }
                configured
            }
            None => None,
        };
        if self.cassette.is_some() && agent.is_some() {
            return Err(Failure::usage("`--cassette` belongs to `--provider replay`"));
        }
        let drives = matches!(agent, Some(Agent::Harness(_)));
        if let (Some(option), false) = (harness, drives) {
            return Err(Failure::usage(format!(
                "`{option}` belongs to a harness, such as `--provider codex`"
            )));
        }
        let codex = agent == Some(Agent::Harness(Kind::Codex));
        if !codex && self.harness.layer(&[]).interface.is_some() {
            return Err(Failure::usage("`--codex-interface` belongs to `--provider codex`"));
        }
        let command = matches!(agent, Some(Agent::Command)) && !words.is_empty();
        Ok(Layer {
            agent: named.and(agent).map(|it| Setting::option("--provider", it)),
            any: match agent {
                // An ACP agent is wholly named by the words after `--`.
                Some(Agent::Harness(Kind::Acp)) => self.harness.acp_layer(words),
                _ if drives => self.harness.layer(words),
                _ => HarnessLayer::default(),
            },
            command: command.then(|| Setting::option("--", words.clone())),
            max_steps: self.max_steps.map(|it| Setting::option("--max-steps", it)),
            on_limit: self.on_limit.map(|it| Setting::option("--on-limit", it.into())),
            full_auto: self.full_auto.then(|| Setting::option("--full-auto", true)),
            policy: self.policy_file.as_deref().map(policy_option).transpose()?,
            ..Layer::default()
        })
    }
}

/// What `--provider` names.
pub(super) fn provider(name: &str) -> Result<Provider, Failure> {
    if name == "replay" {
        return Ok(Provider::Replay);
    }
    Agent::of(name).map(Provider::Agent).ok_or_else(|| {
        Failure::usage(format!(
            "there is no provider `{}`: this version has `codex`, `claude`, `acp`, `command` and `replay`",
            name.escape_debug()
        ))
        .hint("any agent that reads a prompt on stdin: `--provider command -- PROGRAM ARGS…`")
    })
}

/// The policy of `--policy-file`.
pub(super) fn policy_option(path: &Path) -> Result<Setting<PolicyLayer>, Failure> {
    let layer = policy_file(path).map_err(unusable_policy)?;
    Ok(Setting::option("--policy-file", layer))
}

fn nothing_named() -> Failure {
    Failure::usage("an agent's program, recording or model needs `--provider`")
        .hint("`--provider codex` or `--provider claude`, or `provider.name` in a `botpipe.yaml`")
        .hint("`--provider command -- PROGRAM ARGS…`")
        .hint("`--provider replay --cassette FILE`")
}

/// A recording that has nowhere to go is told before a token is spent.
fn can_be_written(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    if path.is_dir() || folder.is_some_and(|folder| !folder.is_dir()) {
        return Err(Failure::usage(format!("`{}` cannot be written to", path.display()))
            .hint("`--record` names a file in a folder that is there"));
    }
    Ok(())
}
