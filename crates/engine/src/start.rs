//! A new run: its input checked, its provider chosen, its texts kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use botpipe_kernel::ids::{Digest, Role, RunId, TaskId};
use botpipe_kernel::plan::{self, Budget, PolicyLayer, Step, TurnProvider};
use botpipe_kernel::run::{Input, Provider, Providers};
use botpipe_lang::{Compiled, canonical_plan, digest_of};
use botpipe_providers::Cassette;

use crate::config::address_fault;
use crate::driver::now;
use crate::error::Error;
use crate::harness::{Chosen, Kind};
use crate::parts::Parts;
use crate::perform::About;
use crate::policy::{self, Foreseen, Ground};
use crate::prompt::run_input;
use crate::request::{Bound, Preview, ProviderChoice, StartRequest};
use crate::workspace::redact::Redactor;

/// Everything a run starts with; nothing of it is recorded yet.
pub(crate) struct NewRun {
    pub(crate) run: RunId,
    pub(crate) task: TaskId,
    pub(crate) plan: Arc<plan::Plan>,
    pub(crate) input: Input,
    pub(crate) about: About,
    /// What is worth a warning.
    pub(crate) notes: Vec<String>,
}

impl NewRun {
    /// Why processes of it would not be started in this workspace: a run that comes to that point is not begun.
    pub(crate) fn refused(&self, workspace: &Path) -> Option<String> {
        let Input::Start { provider, providers, policies, .. } = &self.input else { return None };
        let cast = Providers { of_run: provider.as_ref(), named: providers };
        let (ground, mut foreseen) = (ground_of(workspace), Foreseen::of(workspace));
        let about = (&policies[..], &mut foreseen);
        policy::all_unstarted(&self.plan, true, cast, about, &ground).into_iter().next()
    }
}

/// A request that fits its workflow; nothing of it is kept yet.
struct Fitting {
    plan: plan::Plan,
    message: String,
    input: serde_json::Value,
    params: serde_json::Value,
    agent: Option<Agent>,
    providers: BTreeMap<String, Provider>,
    fallbacks: Vec<Provider>,
    /// What the person should know.
    notes: Vec<String>,
}

/// The agent program of a run before it is recorded.
enum Agent {
    Ready {
        provider: Provider,
        notes: Vec<String>,
    },
    /// The text of a cassette, checked.
    Recording {
        cassette: String,
        loose: bool,
    },
}

impl Agent {
    fn provider(&self) -> Provider {
        match self {
            Self::Ready { provider, .. } => provider.clone(),
            Self::Recording { cassette, loose } => {
                Provider::Replay { cassette: digest_of(cassette), loose: *loose }
            }
        }
    }
}

/// Checks a request against its workflow.
fn fit(compiled: &Compiled, request: &StartRequest, workspace: &Path) -> Result<Fitting, Error> {
    let plan = compiled.plan.clone().ok_or(Error::Unchecked)?;
    let text_of = |digest: &Digest| compiled.texts.get(digest).map_or("{}", String::as_str);
    let schema_of = |d: &Digest| serde_json::from_str(text_of(d)).unwrap_or_default();
    let input = run_input(
        &schema_of(&plan.input.schema),
        plan.input.message_field.as_deref(),
        request.message.as_deref(),
        request.input.clone(),
        &request.input_fields,
    );
    let params = run_input(&schema_of(&plan.params), None, None, None, &request.params);
    let (input, params) = match (input, params) {
        (Ok(input), Ok(params)) => (input, params),
        (input, params) => {
            let mut problems = input.err().unwrap_or_default();
            problems.extend(params.err().unwrap_or_default());
            return Err(Error::Input { problems });
        }
    };
    let agent = choose(&plan, compiled, request.provider.clone())?;
    let provider = agent.as_ref().map(Agent::provider);
    let fallbacks: Vec<_> = request.fallbacks.iter().map(|it| it.provider.clone()).collect();
    let budget = request.budget.clone().or(&plan.budget);
    let plans = family(compiled, &plan);
    let plays = matches!(provider, Some(Provider::Replay { .. }));
    let named = request.providers.iter().filter(|_| !plays);
    let providers: BTreeMap<_, _> =
        named.map(|(name, chosen)| (name.clone(), chosen.provider.clone())).collect();
    for provider in provider.iter().chain(&fallbacks).chain(providers.values()) {
        can_be_recorded(provider)?;
    }
    let (ground, mut warned) = (ground_of(workspace), Vec::new());
    for of_run in provider.iter().chain(&fallbacks).map(Some).chain([provider.as_ref()]) {
        let cast = Providers { of_run, named: &providers };
        for plan in &plans {
            fits_cast(plan, &budget, cast, (&request.policies, &ground))?;
            let open = policy::warnings(plan, cast, &request.policies, &ground);
            warned.extend(open.into_iter().filter(|it| !warned.contains(it)).collect::<Vec<_>>());
        }
    }
    let cast = Providers { of_run: provider.as_ref(), named: &providers };
    warned.extend(policy::told_unsandboxed(&plans, cast, &request.policies));
    if provider.is_none() && plans.iter().any(needs_agent) {
        return Err(Error::NoProvider { workflow: plan.name.clone() });
    }
    let redactor = Redactor::of_process();
    let given = (request.message.clone().unwrap_or_default(), input, params);
    let (message, input, params) = (
        redactor.redact(&given.0).into_owned(),
        redactor.redact_json(given.1.clone()),
        redactor.redact_json(given.2.clone()),
    );
    let mut notes = warned;
    if (&message, &input, &params) != (&given.0, &given.1, &given.2) {
        notes.push(
            "what the run is given holds a secret, which is taken out of it; an agent reads a secret from \
             its environment (`--pass-env NAME`)"
                .to_owned(),
        );
    }
    if !plays {
        notes.extend(request.providers.values().flat_map(|chosen| chosen.notes.clone()));
    }
    Ok(Fitting { plan, message, input, params, agent, providers, fallbacks, notes })
}

/// Those of these files that lie in the workspace, relative to it.
fn sources_in(workspace: &Path, files: &[PathBuf]) -> Vec<String> {
    let found = files.iter().flat_map(|file| crate::confine::by_all_links(file));
    let inside =
        found.filter_map(|file| file.strip_prefix(workspace).ok()?.to_str().map(str::to_owned));
    inside.filter(|file| !file.is_empty()).collect()
}

/// What paths of policies are relative to in a run that works there.
fn ground_of(workspace: &Path) -> Ground {
    let root = workspace.canonicalize().unwrap_or_else(|_| workspace.to_owned());
    Ground::of_process(&root)
}

/// A plan and those of all runs that may be started below it.
pub(crate) fn family(compiled: &Compiled, plan: &plan::Plan) -> Vec<plan::Plan> {
    family_by(plan, |digest| compiled.texts.get(digest).cloned())
}

/// The same, with the texts of plans from anywhere.
pub(crate) fn family_by(
    plan: &plan::Plan,
    text: impl Fn(&Digest) -> Option<String>,
) -> Vec<plan::Plan> {
    let mut all = vec![plan.clone()];
    let mut seen = BTreeSet::new();
    let mut at = 0;
    while let Some(plan) = all.get(at) {
        let groups = plan.steps.iter().filter_map(Step::group);
        let children: Vec<Digest> = groups.flat_map(plan::Group::plans).cloned().collect();
        for digest in children {
            let child = text(&digest).and_then(|text| serde_json::from_str(&text).ok());
            if seen.insert(digest) {
                all.extend(child);
            }
        }
        at += 1;
    }
    all
}

/// What a run would be: nothing is written, and nothing is asked of an agent.
///
/// # Errors
/// As when the run is started: bad input, no provider, a policy or budget that nobody enforces.
pub fn preview(
    compiled: &Compiled,
    request: &StartRequest,
    workspace: &Path,
) -> Result<Preview, Error> {
    let Fitting { plan, input, params, agent, providers, fallbacks, mut notes, .. } =
        fit(compiled, request, workspace)?;
    let provider = agent.as_ref().map(Agent::provider);
    let plans = family(compiled, &plan);
    let codes = plans.iter().flat_map(|plan| &plan.steps).flat_map(Step::codes);
    let functions: BTreeSet<String> =
        codes.filter_map(|code| code.function().map(|name| format!("`{name}`"))).collect();
    if !functions.is_empty() {
        let names = functions.into_iter().collect::<Vec<_>>().join(", ");
        notes.push(format!("only a program that hosts {names} can start it"));
    }
    if let Some(Agent::Ready { notes: more, .. }) = agent {
        notes.extend(more);
    }
    let (outside, ground) = (&request.policies, ground_of(workspace));
    let cast = Providers { of_run: provider.as_ref(), named: &providers };
    let mut foreseen = Foreseen::of(workspace);
    let mut unstarted =
        |plan, root| policy::all_unstarted(plan, root, cast, (outside, &mut foreseen), &ground);
    let refused = unstarted(&plan, true);
    // Where they are started, and what is there by then, is not known.
    for below in plans.iter().skip(1) {
        let found = unstarted(below, false);
        notes.extend(found.into_iter().map(|why| format!("workflow `{}`: {why}", below.name)));
    }
    let in_force = |step: &Step, role: Role| {
        let holds = policy::of_role(&plan, (step, role), outside, &ground);
        let text = policy::in_force(&request.pass_env, &holds);
        serde_json::from_str(&text).unwrap_or_default()
    };
    let bound = plan.steps.iter().map(|step| {
        let policy = in_force(step, step.first_role());
        let others = step.agents().map(|role| (role, in_force(step, role)));
        let others = others.filter(|(_, other)| *other != policy).collect();
        Bound { policy, others }
    });
    let bound = bound.collect();
    let budget = request.budget.clone().or(&plan.budget);
    let worst = compiled.turns;
    Ok(Preview {
        plan,
        input,
        params,
        provider,
        providers,
        fallbacks,
        bound,
        budget,
        worst,
        notes,
        refused,
    })
}

/// Checks a request against its workflow and keeps the texts the run will need.
pub(crate) fn prepare(
    parts: &Parts,
    compiled: &Compiled,
    request: StartRequest,
) -> Result<NewRun, Error> {
    let Fitting { plan, message, input, params, agent, providers, fallbacks, mut notes } =
        fit(compiled, &request, parts.layout.home())?;
    let provider = agent.as_ref().map(Agent::provider);
    match agent {
        Some(Agent::Ready { notes: more, .. }) => notes.extend(more),
        Some(Agent::Recording { cassette, .. }) => {
            parts.objects.put(cassette.as_bytes())?;
        }
        None => {}
    }
    let run = new_run_id();
    let task = request.task.unwrap_or_else(|| task_of(&message, &run));
    for text in compiled.texts.values() {
        parts.objects.put(text.as_bytes())?;
    }
    let plan_digest = parts.objects.put(canonical_plan(&plan).as_bytes())?;
    debug_assert_eq!(plan_digest, digest_of(&canonical_plan(&plan)));
    let start = Input::Start {
        run: run.clone(),
        task: task.clone(),
        plan: plan_digest,
        message: parts.keep(&message)?,
        input: parts.keep(&input.to_string())?,
        params: parts.keep(&params.to_string())?,
        provider: provider.clone(),
        providers,
        fallbacks,
        pass_env: request.pass_env,
        workspace: Some(parts.layout.root().display().to_string()),
        max_steps: request.max_steps,
        on_limit: request.on_limit,
        budget: request.budget,
        parent: None,
        context: None,
        full_auto: request.full_auto,
        policies: request.policies.clone(),
        sources: sources_in(parts.layout.root(), &request.sources),
    };
    let ground = Ground::of_process(parts.layout.home());
    let about = About {
        denied: policy::denied(&plan, &request.policies, &ground),
        run: run.clone(),
        task: task.clone(),
        workflow: plan.name.clone(),
        message,
        input,
        params,
        provider,
        context: serde_json::Map::new(),
        path: String::new(),
    };
    Ok(NewRun { run, task, plan: Arc::new(plan), input: start, about, notes })
}

/// All settings of a provider are recorded, so none may be a secret.
fn can_be_recorded(provider: &Provider) -> Result<(), Error> {
    if let Some((kind, harness)) = Kind::of(provider)
        && let Some((fault, help)) = harness.base_url.as_deref().and_then(address_fault)
    {
        let message = format!("`base_url`: {fault}; {help}");
        return Err(Error::Harness { name: kind.name(), message });
    }
    let settings = serde_json::to_string(provider).unwrap_or_default();
    match Redactor::of_process().secret_in(&settings) {
        Some(secret) => Err(Error::Secret { secret }),
        None => Ok(()),
    }
}

/// Whether those that do a workflow's turns are known, report what its budgets bound, and enforce its policies.
pub(crate) fn fits_cast(
    plan: &plan::Plan,
    budget: &Budget,
    cast: Providers<'_>,
    (outside, ground): (&[PolicyLayer], &Ground),
) -> Result<(), Error> {
    for step in &plan.steps {
        let named = step.agents().filter_map(|role| cast.own(step, role));
        if let Some(named) = named.into_iter().find(|it| {
            matches!(it, TurnProvider::Harness { .. }) && !cast.named.contains_key(&it.name())
        }) {
            return Err(Error::NotNamed { step: step.id.clone(), name: named.name() });
        }
        // What is started below may be done by any of them.
        let below = step.group().is_some() || step.codes().any(|code| code.function().is_some());
        let all = cast.of_run.into_iter().chain(cast.named.values()).filter(|_| below).cloned();
        for provider in step.agents().filter_map(|role| cast.of(step, role)).chain(all) {
            can_be_kept(&step.budget, &provider)?;
            can_be_kept(budget, &provider)?;
            can_be_kept(&plan.budget, &provider)?;
        }
    }
    match policy::refusal(plan, cast, outside, ground) {
        Some(message) => Err(Error::Policy { message }),
        None => Ok(()),
    }
}

/// A bound on what a provider does not report is refused: unknown is not nothing.
fn can_be_kept(budget: &Budget, provider: &Provider) -> Result<(), Error> {
    let (provider, tokens, cost) = match provider {
        Provider::Codex(_) => ("codex", true, false),
        Provider::Command { .. } => ("command", false, false),
        Provider::Acp(_) => ("acp", false, false),
        Provider::Replay { .. } => ("replay", false, false),
        Provider::Claude(_) => return Ok(()),
    };
    let instead = if tokens { "`tokens`, `turns` or `wall`" } else { "`turns` or `wall`" };
    if budget.cost.is_some() && !cost {
        return Err(Error::Budget { key: "usd", provider, instead });
    }
    if budget.tokens.is_some() && !tokens {
        return Err(Error::Budget { key: "tokens", provider, instead });
    }
    Ok(())
}

/// Whether any turn is to be done by the run's own provider.
pub(crate) fn needs_agent(plan: &plan::Plan) -> bool {
    let own = |step: &Step| step.agents().any(|role| step.provider_of(role).is_none());
    plan.steps.iter().any(own)
}

/// The operator's choice, else the workflow's own.
fn choose(
    plan: &plan::Plan,
    compiled: &Compiled,
    choice: Option<ProviderChoice>,
) -> Result<Option<Agent>, Error> {
    let ready = |provider| Ok(Some(Agent::Ready { provider, notes: Vec::new() }));
    let (text, origin, loose) = match (choice, &plan.provider) {
        (Some(ProviderChoice::Command { program, args }), _) => {
            return ready(Provider::Command { program, args });
        }
        (Some(ProviderChoice::Harness(Chosen { provider, notes })), _) => {
            return Ok(Some(Agent::Ready { provider, notes }));
        }
        (Some(ProviderChoice::Replay { cassette, origin, loose }), _) => (cassette, origin, loose),
        (None, Some(plan::Provider::Command { program, args })) => {
            let (program, args) = (program.clone(), args.clone());
            return ready(Provider::Command { program, args });
        }
        (None, Some(plan::Provider::Replay { cassette, loose })) => {
            let text = compiled.cassette.clone().ok_or_else(|| Error::Cassette {
                origin: cassette.clone(),
                message: "it could not be read beside the workflow's file".to_owned(),
            })?;
            (text, cassette.clone(), *loose)
        }
        (None, None) => return Ok(None),
    };
    if let Err(error) = Cassette::parse(&text) {
        return Err(Error::Cassette { origin, message: error.to_string() });
    }
    Ok(Some(Agent::Recording { cassette: text, loose }))
}

/// A run id: unique on this machine, and in order of time for a person who reads it.
fn new_run_id() -> RunId {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let text = format!("r{:011x}-{:x}-{count}", now(), std::process::id());
    #[expect(clippy::expect_used, reason = "hex digits and dashes are a run id")]
    text.parse().expect("a run id of hex digits")
}

/// A task's id made of the message's first words and the run's number.
fn task_of(message: &str, run: &RunId) -> TaskId {
    let words = message
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(4)
        .map(str::to_ascii_lowercase)
        .collect::<Vec<_>>()
        .join("-");
    let tail = &run.as_str()[6..12];
    let text: String = if words.is_empty() {
        format!("task-{tail}")
    } else {
        format!("{}-{tail}", words.chars().take(60).collect::<String>())
    };
    #[expect(clippy::expect_used, reason = "letters, digits and dashes are a task id")]
    text.parse().expect("a task id of words")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_named_after_its_message() {
        let run = new_run_id();
        let task = task_of("Add CSV export, please — now!", &run);
        assert!(task.as_str().starts_with("add-csv-export-please-"), "{task}");
        assert!(task_of("…", &run).as_str().starts_with("task-"));
    }
}
