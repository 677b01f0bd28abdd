//! A checked document to the kernel's plan; long texts go beside it, by digest.

use std::collections::BTreeMap;

use botpipe_kernel::ids::{ArtifactName, Digest, StepId, WorklistName};
use botpipe_kernel::plan::{
    Artifact, Ask, Assignment, Branch, Budget, Call, Check, Child, Children, Choice, Clocks, Code,
    Continuity, Group, Hooks, Input, ItemSource, Limits, Output, OutputSource, Over, Plan, Program,
    Route, Selection, Step, TurnPlan, WaitFor, Work, Worklist,
};
use serde_json::Value as Json;

use crate::canonical::{canonical_json, canonical_plan, digest_of};
use crate::check::Checked;
use crate::document::{
    ArtifactDecl, AssignmentDecl, BranchDecl, CallDecl, CheckDecl, ChildDecl, ChildrenDecl,
    CodeDecl, ContinuityDecl, Document, GroupDecl, HooksDecl, OutputDecl, OutputFrom, OverDecl,
    RouteDecl, SchemaDecl, SourceDecl, StepDecl, TextDecl, TurnDecl, WaitDecl, WorkDecl,
    WorklistDecl,
};
use crate::source::Spanned;

/// The texts a plan names.
pub(crate) type Texts = BTreeMap<Digest, String>;

/// `None` only for a document whose gaps were reported, which is never checked.
pub(crate) fn lower(checked: Checked) -> Option<(Plan, Texts)> {
    let mut texts = TextStore::default();
    let document = checked.0;
    let plan = texts.plan(document)?;
    Some((plan, texts.texts))
}

#[derive(Default)]
struct TextStore {
    texts: Texts,
}

impl TextStore {
    fn keep(&mut self, text: String) -> Digest {
        let digest = digest_of(&text);
        self.texts.insert(digest.clone(), text);
        digest
    }

    fn text(&mut self, text: &TextDecl) -> Digest {
        self.keep(text.text.clone())
    }

    fn schema(&mut self, schema: &SchemaDecl) -> Digest {
        self.keep(canonical_json(&schema.json))
    }

    fn plan(&mut self, document: Document) -> Option<Plan> {
        let entry = document.entry_index()?;
        let (input, params) = (document.input.as_ref()?, document.params.as_ref()?);
        let input = Input { schema: self.schema(input), message_field: message_field(&input.json) };
        let params = self.schema(params);
        let artifacts = document
            .artifacts
            .iter()
            .map(|artifact| self.artifact(artifact))
            .collect::<Option<_>>()?;
        let output = document.output.as_ref().map(|output| self.output(output));
        let state = document.state.schema().map(|state| self.schema(state));
        // What a branch has of the workflow it stands in: a plan with one step.
        let frame = Plan {
            format: Plan::FORMAT,
            name: document.name.clone()?,
            title: None,
            description: None,
            entry: document.steps.get(entry)?.id.value.clone(),
            input: input.clone(),
            params: params.clone(),
            artifacts,
            worklists: BTreeMap::new(),
            steps: Vec::new(),
            limits: Limits { max_steps: document.max_steps },
            provider: None,
            policy: document.policy.clone(),
            budget: Budget::default(),
            state: state.clone(),
            output: None,
        };
        let mut steps = Vec::with_capacity(document.steps.len());
        // Of a long file each step goes when its plan is there, and leaves it its room.
        for step in document.steps {
            steps.push(self.step(&step, &frame)?);
        }
        let artifacts = frame.artifacts;
        let worklists = document.worklists.iter();
        let worklists = worklists.map(|list| self.worklist(list)).collect::<Option<_>>()?;
        Some(Plan {
            format: Plan::FORMAT,
            name: document.name?,
            title: document.title,
            description: document.description,
            entry: steps.get(entry)?.id.clone(),
            input,
            params,
            artifacts,
            worklists,
            steps,
            limits: Limits { max_steps: document.max_steps },
            provider: document.provider,
            policy: document.policy,
            budget: document.budget,
            state,
            output,
        })
    }

    fn artifact(&mut self, decl: &ArtifactDecl) -> Option<(ArtifactName, Artifact)> {
        let (format, path) = decl.file.clone()?;
        let owner: Option<StepId> = decl.owner.clone();
        let schema = decl.schema.as_ref().map(|schema| self.schema(schema));
        let artifact =
            Artifact { format, path: path.value, owner, schema, required: decl.required };
        Some((decl.name.value.clone(), artifact))
    }

    fn worklist(&mut self, decl: &WorklistDecl) -> Option<(WorklistName, Worklist)> {
        let from = match &decl.from {
            SourceDecl::Artifact(name) => ItemSource::Artifact(name.value.clone()),
            SourceDecl::Param(key) => ItemSource::Param(key.value.clone()),
            SourceDecl::State(key) => ItemSource::State(key.value.clone()),
            SourceDecl::Script(command) => ItemSource::Script(self.text(command)),
            SourceDecl::Unknown => return None,
        };
        let select = decl.select.as_ref().map(|select| {
            let mut text = |text: &Option<TextDecl>| text.as_ref().map(|text| self.text(text));
            Selection {
                mode: text(&select.mode),
                item: text(&select.item),
                start: text(&select.start),
                end: text(&select.end),
            }
        });
        let worklist = Worklist {
            from,
            collection: decl.collection.clone(),
            id: decl.id.clone(),
            title: decl.title.clone(),
            status: decl.status.clone(),
            select,
            timeout_ms: decl.timeout_ms,
        };
        Some((decl.name.value.clone(), worklist))
    }

    fn step(&mut self, decl: &StepDecl, frame: &Plan) -> Option<Step> {
        let work = match &decl.work {
            WorkDecl::Prompt { turn } => Work::Prompt { turn: self.turn(turn) },
            WorkDecl::ProduceVerify { producer, checks, verifier } => Work::ProduceVerify {
                producer: self.turn(producer),
                checks: checks.iter().map(|check| self.check(check)).collect(),
                verifier: self.turn(verifier),
            },
            WorkDecl::Run { command, writes } => Work::Run {
                program: Program { command: self.code(command), writes: plain(writes) },
            },
            WorkDecl::Group(group) => Work::Group { group: Box::new(self.group(group, frame)?) },
            WorkDecl::Validate { command, validates, feedback: [feedback] } => Work::Validate {
                command: self.code(command),
                validates: validates.value.clone(),
                feedback: feedback.value.clone(),
            },
            WorkDecl::Ask { question, choices, answer, shows } => Work::Ask {
                ask: Ask {
                    question: self.text(question),
                    choices: choices.iter().map(|choice| choice.value.clone()).collect(),
                    answer: answer.as_ref().map(|answer| self.schema(answer)),
                    shows: plain(shows),
                    timeout_ms: decl.clocks.wall_ms,
                },
            },
            WorkDecl::Classify { turn, choices } => Work::Classify {
                turn: self.turn(turn),
                choices: choices
                    .iter()
                    .map(|it| Choice {
                        name: it.name.value.clone(),
                        description: it.description.clone(),
                    })
                    .collect(),
            },
            WorkDecl::Llm { turn, .. } => Work::Llm { turn: self.turn(turn) },
            WorkDecl::Wait { what } => Work::Wait { until: self.wait(what) },
            WorkDecl::Unknown => return None,
        };
        // The time for an answer is the question's, and nothing is run.
        let clocks = match work {
            Work::Ask { .. } => Clocks::default(),
            _ => decl.clocks,
        };
        let mut routes =
            decl.routes.iter().map(|route| self.route(decl, route)).collect::<Option<Vec<_>>>()?;
        if let Some(into) = &decl.into {
            // Nothing comes with a question that timed out.
            for route in routes.iter_mut().filter(|route| route.tag.as_str() != "timed_out") {
                route.set.insert(0, self.assignment(into));
            }
        }
        if let WorkDecl::Llm { returns, .. } = &decl.work {
            let schema = self.schema(returns);
            for route in routes.iter_mut().filter(|route| route.tag.as_str() == "done") {
                route.payload = Some(schema.clone());
            }
        }
        Some(Step {
            id: decl.id.value.clone(),
            title: decl.title.clone(),
            work,
            scope: decl.scope.as_ref().map(|scope| scope.value.clone()),
            requires: plain(&decl.requires),
            reads: plain(&decl.reads),
            routes,
            max_visits: decl.max_visits,
            max_attempts: decl.max_attempts,
            on_interrupt: decl.on_interrupt,
            on_limit: decl.on_limit,
            clocks,
            policy: decl.policy.clone(),
            budget: decl.budget.clone(),
            provider: decl.provider.clone(),
            state: decl.step_state.schema().map(|state| self.schema(state)),
            protect: decl.protect.clone(),
            hooks: self.hooks(&decl.hooks),
            item_state: decl.item_state.schema().map(|state| self.schema(state)),
        })
    }

    fn code(&mut self, decl: &CodeDecl) -> Code {
        match decl {
            CodeDecl::Command(command) => Code::Command(self.text(command)),
            CodeDecl::Call(CallDecl { function, with, .. }) => Code::Call(Call {
                function: function.value.clone(),
                with: with.as_ref().map(|with| self.keep(canonical_json(with))),
            }),
        }
    }

    fn hooks(&mut self, decl: &HooksDecl) -> Hooks {
        let mut hook =
            |hook: &Option<Box<CodeDecl>>| hook.as_ref().map(|hook| Box::new(self.code(hook)));
        Hooks {
            before: hook(&decl.before),
            before_producer: hook(&decl.before_producer),
            after_producer: hook(&decl.after_producer),
            before_verifier: hook(&decl.before_verifier),
            after_verifier: hook(&decl.after_verifier),
            after: hook(&decl.after),
        }
    }

    fn group(&mut self, decl: &GroupDecl, frame: &Plan) -> Option<Group> {
        let of = match &decl.children {
            ChildrenDecl::Workflow(child) => Children::Workflow { child: self.child(child)? },
            ChildrenDecl::Branches(branches) => {
                let lower = |branch| self.branch(branch, frame);
                Children::Branches { branches: branches.iter().map(lower).collect::<Option<_>>()? }
            }
            ChildrenDecl::Items { over, branch } => Children::Items {
                over: match over {
                    OverDecl::Expression(text) => Over::Expression(self.text(text)),
                    OverDecl::Artifact { name, collection } => {
                        Over::Artifact { name: name.value.clone(), collection: collection.clone() }
                    }
                    OverDecl::Unknown => return None,
                },
                branch: self.branch(branch.as_ref()?, frame)?,
            },
        };
        Some(Group {
            of,
            concurrency: decl.concurrency,
            settle: decl.settle,
            join: decl.join,
            isolation: decl.isolation,
            fan_in: decl.fan_in.as_ref().map(|turn| self.turn(turn)),
        })
    }

    fn branch(&mut self, decl: &BranchDecl, frame: &Plan) -> Option<Branch> {
        let step = self.step(&decl.step, frame)?;
        let name = step.id.as_str().parse().ok()?;
        let plan = Plan { entry: step.id.clone(), steps: vec![step], ..frame.clone() };
        let child = Child {
            plan: self.keep(canonical_plan(&plan)),
            message: None,
            input: None,
            params: None,
        };
        Some(Branch { name, child, success_routes: plain(&decl.success_routes) })
    }

    fn child(&mut self, decl: &ChildDecl) -> Option<Child> {
        let (plan, texts, _) = decl.plan.as_ref()?;
        self.texts.extend(texts.clone());
        let given = |json: &Option<(crate::source::Span, Json)>| {
            json.as_ref().map(|(_, json)| canonical_json(json))
        };
        Some(Child {
            plan: self.keep(canonical_plan(plan)),
            message: decl.message.as_ref().map(|text| self.text(text)),
            input: given(&decl.input).map(|text| self.keep(text)),
            params: given(&decl.params).map(|text| self.keep(text)),
        })
    }

    fn turn(&mut self, decl: &TurnDecl) -> TurnPlan {
        TurnPlan {
            prompt: self.text(&decl.prompt),
            writes: plain(&decl.writes),
            requires: plain(&decl.requires),
            reads: plain(&decl.reads),
            session: match &decl.session.value.continuity {
                ContinuityDecl::Plain(continuity) => continuity.clone(),
                ContinuityDecl::Key(template) => Continuity::Key(self.text(template)),
            },
            slot: decl.session.value.slot.clone(),
            policy: decl.policy.clone(),
            provider: decl.provider.clone(),
        }
    }

    fn wait(&mut self, decl: &WaitDecl) -> WaitFor {
        match decl {
            WaitDecl::Span { ms } => WaitFor::Span { ms: *ms },
            WaitDecl::Moment { at } => WaitFor::Moment { at: self.text(at) },
            WaitDecl::Signal { name, timeout_ms } => {
                WaitFor::Signal { name: name.value.clone(), timeout_ms: *timeout_ms }
            }
        }
    }

    fn check(&mut self, decl: &CheckDecl) -> Check {
        Check {
            name: decl.name.value.clone(),
            command: self.text(&decl.command),
            when: decl.when.as_ref().map(|when| self.text(when)),
            timeout_ms: decl.timeout_ms,
        }
    }

    fn output(&mut self, decl: &OutputDecl) -> Output {
        let from = match &decl.from {
            OutputFrom::Artifact(name) => OutputSource::Artifact(name.value.clone()),
            OutputFrom::Values(values) => OutputSource::Values(
                values.iter().map(|(key, text)| (key.clone(), self.text(text))).collect(),
            ),
        };
        Output { from, schema: decl.schema.as_ref().map(|schema| self.schema(schema)) }
    }

    fn assignment(&mut self, decl: &AssignmentDecl) -> Assignment {
        Assignment { place: decl.place.value.clone(), value: self.text(&decl.value) }
    }

    fn route(&mut self, step: &StepDecl, decl: &RouteDecl) -> Option<Route> {
        let own = step.control_schema.as_ref().filter(|_| !decl.inherited);
        let payload = decl.payload.as_ref().or(own);
        let action = decl.action.lower()?;
        Some(Route {
            tag: decl.tag.value.clone(),
            action,
            summary: decl.summary.clone(),
            required_writes: decl.required_writes.as_deref().map(plain),
            required_checks: plain(&decl.required_checks),
            payload: payload.map(|payload| self.schema(payload)),
            handoff: decl.handoff.as_ref().map(|handoff| self.text(handoff)),
            answer: decl.answer.as_ref().map(|answer| self.schema(&answer.1)),
            verdict: decl.verdict.map(|(_, verdict)| verdict),
            when: decl.when.as_ref().map(|when| self.text(when)),
            visibility: decl.visibility.unwrap_or_default(),
            route_fields: decl.route_fields.as_ref().map(|schema| self.schema(schema)),
            inherited: decl.inherited,
            on_taken: decl.on_taken.as_ref().map(|hook| Box::new(self.code(hook))),
            set: decl.set.iter().map(|set| self.assignment(set)).collect(),
        })
    }
}

/// The names without their places, each once.
fn plain<T: Clone + PartialEq>(names: &[Spanned<T>]) -> Vec<T> {
    let mut plain: Vec<T> = Vec::with_capacity(names.len());
    for name in names {
        if !plain.contains(&name.value) {
            plain.push(name.value.clone());
        }
    }
    plain
}

/// The one required field, when it is a text: what a run's message fills.
fn message_field(schema: &Json) -> Option<String> {
    let required = schema.get("required")?.as_array()?;
    let [only] = required.as_slice() else { return None };
    let name = only.as_str()?;
    let property = schema.get("properties")?.get(name)?;
    (property.get("type")?.as_str()? == "string").then(|| name.to_owned())
}
