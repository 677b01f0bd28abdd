//! What holds once all layers lie over each other, and what a new run takes of it.

use std::path::{Path, PathBuf};

use botpipe_kernel::plan::{self, Budget, OnLimit, Plan, PolicyLayer, Spending, TurnProvider};
use botpipe_lang::Compiled;
use serde::Serialize;
use serde_json::{Value, json};

use super::layer::{Agent, HarnessLayer, Layer, Origin, Setting};
use crate::error::Error;
use crate::harness::{self, Kind, Wanted};
use crate::request::{ProviderChoice, StartRequest};
use crate::start::{family, needs_agent};

/// All settings that hold.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Who wins stands first: the options.
    layers: Vec<Layer>,
}

/// One effective setting, as it is shown.
///
/// # Shape
/// `{"key":"provider.model","value":"gpt-5.5","origin":{"kind":"file","path":"botpipe.yaml","line":3}}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub key: String,
    /// `null`: not set.
    pub value: Value,
    pub origin: Origin,
}

impl Settings {
    pub(super) fn of(layers: Vec<Layer>) -> Self {
        Self { layers }
    }

    /// The provider that is set.
    pub fn agent(&self) -> Option<&Setting<Agent>> {
        self.first(|layer| layer.agent.as_ref())
    }

    /// The program and the arguments of `command`.
    pub fn command(&self) -> Option<&Setting<Vec<String>>> {
        self.first(|layer| layer.command.as_ref())
    }

    /// A bound of steps: the option's, else the smallest that is set. A workflow that allows itself
    /// fewer keeps its own.
    pub fn max_steps(&self) -> Option<&Setting<u32>> {
        let mut set = self.layers.iter().filter_map(|layer| layer.max_steps.as_ref());
        let options = self.layers.first().and_then(|options| options.max_steps.as_ref());
        options.or_else(|| set.by_ref().min_by_key(|it| it.value))
    }

    /// What a run may spend of a kind: the smallest bound that is set.
    pub fn budget(&self, kind: Spending) -> Option<&Setting<u64>> {
        let bounds = self.layers.iter().flat_map(|layer| &layer.budget);
        bounds.filter(|(of, _)| *of == kind).map(|(_, bound)| bound).min_by_key(|it| it.value)
    }

    /// What is done at a limit of the account, whatever the steps say.
    pub fn on_limit(&self) -> Option<&Setting<OnLimit>> {
        self.first(|layer| layer.on_limit.as_ref())
    }

    /// Whether runs go on without people.
    pub fn full_auto(&self) -> Option<&Setting<bool>> {
        self.first(|layer| layer.full_auto.as_ref())
    }

    /// What files say of policies.
    pub fn policies(&self) -> impl Iterator<Item = &Setting<PolicyLayer>> {
        self.layers.iter().filter_map(|layer| layer.policy.as_ref())
    }

    fn first<T>(&self, of: impl Fn(&Layer) -> Option<&Setting<T>>) -> Option<&Setting<T>> {
        self.layers.iter().find_map(of)
    }

    /// What is said of a harness.
    pub fn harness(&self, kind: Kind) -> HarnessLayer {
        let layers = self.layers.iter().map(|layer| layer.of_harness(kind));
        layers.fold(HarnessLayer::default(), |all, below| all.over(&below))
    }

    /// A harness with what is said of it.
    pub fn wanted(&self, kind: Kind) -> Wanted {
        let said = self.harness(kind);
        Wanted {
            program: value(said.program),
            model: value(said.model),
            effort: value(said.effort),
            base_url: value(said.base_url),
            args: value(said.args).unwrap_or_default(),
            instructions: value(said.instructions).unwrap_or_default(),
            hooks: value(said.hooks).unwrap_or_default(),
            mcp_servers: said.mcp_servers.into_iter().map(|(name, it)| (name, it.value)).collect(),
            interface: value(said.interface),
            kind,
        }
    }

    /// Fills in what a request for a run leaves open.
    ///
    /// The workflow's own provider wins over a configured one, and options over both. A harness that
    /// is needed is looked for now; nothing is written.
    ///
    /// # Errors
    /// A harness that is not there or cannot be used; `command` without a program.
    pub fn fill(
        &self,
        compiled: &Compiled,
        workspace: &Path,
        mut request: StartRequest,
    ) -> Result<StartRequest, Error> {
        let Some(plan) = &compiled.plan else { return Ok(request) };
        let open = plan.provider.is_none() && family(compiled, plan).iter().any(needs_agent);
        if request.provider.is_none() && (open || self.options_choose()) {
            request.provider = self.choice(workspace, None)?;
        }
        let plays = match (&request.provider, &plan.provider) {
            (Some(chosen), _) => matches!(chosen, ProviderChoice::Replay { .. }),
            (None, own) => matches!(own, Some(plan::Provider::Replay { .. })),
        };
        if !plays {
            self.fill_named(&family(compiled, plan), workspace, &mut request)?;
        }
        request.max_steps = request.max_steps.or_else(|| self.bound(plan));
        request.budget = self.within(request.budget, &plan.budget);
        request.policies.extend(self.policies().map(|it| it.value.clone()));
        request.full_auto |= self.full_auto().is_some_and(|it| it.value);
        request.on_limit = request.on_limit.or_else(|| self.on_limit().map(|it| it.value));
        Ok(request)
    }

    /// Looks for the harnesses that steps and turns name: each as files and the environment say, since options
    /// speak of the run's own provider.
    fn fill_named(
        &self,
        plans: &[Plan],
        workspace: &Path,
        request: &mut StartRequest,
    ) -> Result<(), Error> {
        let without_options = Self::of(self.layers.iter().skip(1).cloned().collect());
        for (name, kind, model) in plans.iter().flat_map(named) {
            if request.providers.contains_key(&name) {
                continue;
            }
            let set = without_options.wanted(kind);
            let wanted = Wanted { model: model.or(set.model.clone()), ..set };
            request.providers.insert(name, harness::choose(wanted, workspace, None)?);
        }
        Ok(())
    }

    fn bound(&self, plan: &Plan) -> Option<u32> {
        let Setting { value, origin } = self.max_steps()?;
        let said_now = matches!(origin, Origin::Option { .. });
        (said_now || *value < plan.limits.max_steps).then_some(*value)
    }

    /// A budget with what it leaves open bound by settings, where the workflow does not bind it more.
    fn within(&self, budget: Budget, own: &Budget) -> Budget {
        let below = |kind, own: Option<u64>| {
            let bound = self.budget(kind)?.value;
            own.is_none_or(|own| bound < own).then_some(bound)
        };
        let turns = below(Spending::Turns, own.turns.map(u64::from));
        budget.or(&Budget {
            cost: below(Spending::Cost, own.cost),
            tokens: below(Spending::Tokens, own.tokens),
            turns: turns.and_then(|it| u32::try_from(it).ok()),
            wall_ms: below(Spending::Wall, own.wall_ms),
        })
    }

    /// Whether options speak of the provider: the first layer is theirs.
    pub(crate) fn options_choose(&self) -> bool {
        self.layers.first().is_some_and(|options| {
            options.agent.is_some()
                || options.command.is_some()
                || options.any != HarnessLayer::default()
        })
    }

    /// The provider that is set, found on this machine.
    ///
    /// # Errors
    /// A harness that is not there or cannot be used; `command` without a program.
    pub fn choice(
        &self,
        workspace: &Path,
        stage1: Option<&PathBuf>,
    ) -> Result<Option<ProviderChoice>, Error> {
        let Some(Setting { value: agent, origin }) = self.agent() else { return Ok(None) };
        let kind = match agent {
            Agent::Harness(kind) => *kind,
            Agent::Command => {
                let words = self.command().map(|it| it.value.as_slice()).unwrap_or_default();
                let Some((program, args)) = words.split_first() else {
                    return Err(Error::NoCommand);
                };
                return Ok(Some(ProviderChoice::Command {
                    program: program.clone(),
                    args: args.to_vec(),
                }));
            }
        };
        let mut chosen = harness::choose(self.wanted(kind), workspace, stage1)?;
        if !matches!(origin, Origin::Option { .. }) {
            chosen.notes.push(format!("the agent is {}, as {origin} says", kind.name()));
        }
        Ok(Some(ProviderChoice::Harness(chosen)))
    }

    /// Every setting that takes effect, with its origin.
    pub fn lines(&self) -> Vec<Line> {
        let agent = self.agent().map(|it| it.value);
        let mut lines = vec![line("provider.name", self.agent(), |it| it.name().into())];
        let harness = match agent {
            Some(Agent::Harness(kind)) => Some(self.harness(kind)),
            Some(Agent::Command) => {
                lines.push(line("provider.command", self.command(), |it| json!(it)));
                None
            }
            // What holds for any provider.
            None => Some(
                self.layers.iter().fold(HarnessLayer::default(), |all, layer| all.over(&layer.any)),
            ),
        };
        if let Some(said) = harness {
            let text = |it: &String| it.as_str().into();
            let or_false = |it: Option<Setting<bool>>| {
                Some(it.unwrap_or(Setting { value: false, origin: Origin::Default }))
            };
            lines.extend([
                line("provider.model", said.model.as_ref(), text),
                line("provider.model_effort", said.effort.as_ref(), text),
                line("provider.base_url", said.base_url.as_ref(), text),
                line("provider.program", said.program.as_ref(), |it| json!(it)),
                line("provider.args", said.args.as_ref(), |it| json!(it)),
                line("provider.instructions", or_false(said.instructions).as_ref(), |it| json!(it)),
                line("provider.hooks", or_false(said.hooks).as_ref(), |it| json!(it)),
            ]);
            if let Some(interface) = &said.interface {
                lines.push(line("provider.interface", Some(interface), |it| json!(it)));
            }
            for (name, server) in &said.mcp_servers {
                let key = format!("provider.mcp_servers.{name}");
                lines.push(line(&key, Some(server), |it| json!(it)));
            }
        }
        lines.push(line("runtime.max_steps", self.max_steps(), |it| json!(it)));
        for kind in [Spending::Cost, Spending::Tokens, Spending::Turns, Spending::Wall] {
            let key = format!("runtime.budget.{}", kind.as_str());
            lines.push(line(&key, self.budget(kind), |it| amount(kind, *it)));
        }
        let alone = self.full_auto().cloned();
        let alone = alone.unwrap_or(Setting { value: false, origin: Origin::Default });
        lines.push(line("runtime.full_auto", Some(&alone), |it| json!(it)));
        lines.push(line("runtime.on_limit", self.on_limit(), |it| json!(it)));
        for set in self.policies() {
            let key = if set.value.ceiling { "policy (ceiling)" } else { "policy" };
            lines.push(line(key, Some(set), |it| json!(it.policy)));
        }
        lines
    }
}

/// The harnesses that a workflow's steps and turns name, and the models that they name with them.
fn named(plan: &Plan) -> Vec<(String, Kind, Option<String>)> {
    let turns = plan.steps.iter().flat_map(|step| step.agents().map(move |role| (step, role)));
    let named = turns.filter_map(|(step, role)| match step.provider_of(role)? {
        own @ TurnProvider::Harness { name, model } => {
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name)?;
            Some((own.name(), kind, model.clone()))
        }
        TurnProvider::Command { .. } => None,
    });
    named.collect()
}

/// An amount as a file would say it.
fn amount(kind: Spending, amount: u64) -> Value {
    match kind {
        Spending::Cost => {
            let (whole, rest) = (amount / 1_000_000, amount % 1_000_000);
            format!("{whole}.{rest:06}").trim_end_matches('0').trim_end_matches('.').into()
        }
        Spending::Tokens | Spending::Turns => amount.into(),
        Spending::Wall if amount.is_multiple_of(60_000) => format!("{}m", amount / 60_000).into(),
        Spending::Wall => format!("{amount}ms").into(),
    }
}

fn value<T>(setting: Option<Setting<T>>) -> Option<T> {
    setting.map(|it| it.value)
}

fn line<T>(key: &str, setting: Option<&Setting<T>>, show: impl Fn(&T) -> Value) -> Line {
    let (value, origin) = match setting {
        Some(Setting { value, origin }) => (show(value), origin.clone()),
        None => (Value::Null, Origin::Default),
    };
    Line { key: key.to_owned(), value, origin }
}
