//! Options of `botpipe run` that are about the harness: its program, its model, its limits.

use std::path::PathBuf;

use botpipe_engine::config::{HarnessLayer, Setting};
use botpipe_engine::harness::{Kind, Wanted};
use botpipe_kernel::plan::OnLimit;
use botpipe_kernel::run::Interface;

/// How a harness is driven.
#[derive(Debug, clap::Args)]
pub(super) struct HarnessOptions {
    /// The model, by the harness's name for it
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// How much the model shall think, in the harness's words: low, medium, high …
    #[arg(long, value_name = "EFFORT")]
    model_effort: Option<String>,
    /// The model's address, instead of the harness's own
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The harness's program; without it, the one in PATH
    #[arg(long = "program", value_name = "PATH")]
    path: Option<PathBuf>,
    /// Let the harness read the workspace's instruction files (AGENTS.md, CLAUDE.md)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    instructions: Option<bool>,
    /// Let the project's own hooks and settings of the harness be in force: they run as you
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    project_hooks: Option<bool>,
    /// Which of Codex's interfaces to drive; without it, the app server, or exec where there is none
    #[arg(long, value_name = "INTERFACE", value_enum)]
    codex_interface: Option<CodexInterface>,
}

/// The interfaces of Codex.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum CodexInterface {
    #[value(name = "app_server")]
    AppServer,
    Exec,
}

impl From<CodexInterface> for Interface {
    fn from(interface: CodexInterface) -> Self {
        match interface {
            CodexInterface::AppServer => Self::AppServer,
            CodexInterface::Exec => Self::Exec,
        }
    }
}

/// A harness to fall back to: `claude`, or `claude:MODEL`.
pub(super) fn fallback(text: &str) -> Result<Wanted, String> {
    let (name, model) = text.split_once(':').map_or((text, None), |(it, model)| (it, Some(model)));
    let kinds = Kind::ALL.into_iter();
    let kind = kinds.clone().find(|kind| kind.name() == name).ok_or_else(|| {
        let known: Vec<_> = kinds.map(Kind::name).collect();
        format!("there is no harness `{name}`; known here: {}", known.join(", "))
    })?;
    if model == Some("") {
        return Err("after the colon comes a model".to_owned());
    }
    Ok(Wanted { model: model.map(str::to_owned), ..Wanted::new(kind) })
}

impl HarnessOptions {
    /// What these options say of a harness; `args`: what stood after `--`.
    /// The same for an ACP agent: its program and arguments in one.
    pub(super) fn acp_layer(&self, words: &[String]) -> HarnessLayer {
        let (program, args) = match words.split_first() {
            Some((program, args)) if self.path.is_none() => (Some(program), args),
            _ => (None, words),
        };
        let layer = self.layer(args);
        let named = program.map(|it| Setting::option("--", it.into()));
        HarnessLayer { program: named.or(layer.program.clone()), ..layer }
    }

    pub(super) fn layer(&self, args: &[String]) -> HarnessLayer {
        let text = |name, value: &Option<String>| value.clone().map(|it| Setting::option(name, it));
        HarnessLayer {
            program: self.path.clone().map(|it| Setting::option("--program", it)),
            model: text("--model", &self.model),
            effort: text("--model-effort", &self.model_effort),
            base_url: text("--base-url", &self.base_url),
            args: (!args.is_empty()).then(|| Setting::option("--", args.to_vec())),
            instructions: self.instructions.map(|it| Setting::option("--instructions", it)),
            hooks: self.project_hooks.map(|it| Setting::option("--project-hooks", it)),
            interface: self
                .codex_interface
                .map(|it| Setting::option("--codex-interface", it.into())),
            ..HarnessLayer::default()
        }
    }
}

/// What is done at a limit of the account.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum AtLimit {
    Wait,
    Pause,
    Fail,
    Fallback,
}

impl From<AtLimit> for OnLimit {
    fn from(at: AtLimit) -> Self {
        match at {
            AtLimit::Wait => Self::Wait,
            AtLimit::Pause => Self::Pause,
            AtLimit::Fail => Self::Fail,
            AtLimit::Fallback => Self::Fallback,
        }
    }
}
