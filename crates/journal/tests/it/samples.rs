//! One event of every kind, with every field filled that it may have.

use botpipe_kernel::ids::{ArtifactName, Digest, StepId, TurnId, VisitId};
use botpipe_kernel::plan::{Budget, OnLimit, Target};
use botpipe_kernel::run::{
    Attached, Baseline, CheckResult, CheckStatus, ChildEnd, ChildPlan, Event, FailureClass,
    Feedback, FileStamp, Finding, FindingState, Grant, Harness, Hold, Interface, Item, ItemStatus,
    McpServer, Merge, MergedBranch, Parent, Process, Provider, Question, QuestionKind, Raise, Ref,
    Rest, ResumeCause, Said, SessionKey, SessionUse, Signal, SnapshotId, Spent, StateChange, Stop,
    TurnResult, Usage, Verdict, Wait,
};

use crate::scratch::id;
use crate::{samples_of_code, samples_of_interrupted};

/// How many kinds of event there are.
pub(crate) const KINDS: usize = 59;

/// The place of an event's kind among all; a new kind does not compile until it has one, and then
/// fails the test until it has a sample.
pub(crate) fn place(event: &Event) -> usize {
    match event {
        Event::RunCreated { .. } => 0,
        Event::ItemsRead { .. } => 1,
        Event::ItemsRejected { .. } => 2,
        Event::ItemsExhausted { .. } => 3,
        Event::VisitEntered { .. } => 4,
        Event::BaselineTaken { .. } => 5,
        Event::TurnOwed { .. } => 6,
        Event::TurnStarted { .. } => 7,
        Event::SessionKnown { .. } => 8,
        Event::TurnEnded { .. } => 9,
        Event::TurnInterrupted { .. } => 10,
        Event::TreeRestored { .. } => 11,
        Event::RestoreRefused { .. } => 12,
        Event::ChecksEnded { .. } => 13,
        Event::Sealed { .. } => 14,
        Event::OutcomeAccepted { .. } => 15,
        Event::OutcomeForced { .. } => 16,
        Event::AttemptRejected { .. } => 17,
        Event::ArtifactsAccepted { .. } => 18,
        Event::RouteTaken { .. } => 19,
        Event::StatusWritten { .. } => 20,
        Event::QuestionAsked { .. } => 21,
        Event::AnswerAccepted { .. } => 22,
        Event::RunStopped { .. } => 23,
        Event::RunResumed { .. } => 24,
        Event::RunFinished { .. } => 25,
        Event::RunCancelled => 26,
        Event::RunHeld { .. } => 27,
        Event::HoldEnded => 28,
        Event::PersonSaid { .. } => 29,
        Event::SaidDelivered { .. } => 30,
        Event::FellBack { .. } => 31,
        Event::WorkspaceMoved { .. } => 32,
        Event::HarnessChanged { .. } => 33,
        Event::PersonAttached { .. } => 34,
        Event::ChildrenPlanned { .. } => 35,
        Event::ChildOwed { .. } => 36,
        Event::ChildRested { .. } => 37,
        Event::ChildEnded { .. } => 38,
        Event::ChildSkipped { .. } => 39,
        Event::ChildrenJoined { .. } => 40,
        Event::StateSet { .. } => 41,
        Event::AnswerRefused { .. } => 42,
        Event::WaitBegun { .. } => 43,
        Event::SignalReceived { .. } => 44,
        Event::WaitEnded { .. } => 45,
        Event::SourceDrifted { .. } => 46,
        Event::OutputSet { .. } => 47,
        Event::CallbackOwed { .. } => 48,
        Event::CallbackAnswered { .. } => 49,
        Event::WorklistChanged { .. } => 50,
        Event::HookEnded { .. } => 51,
        Event::ExitPicked { .. } => 52,
        Event::Redirected { .. } => 53,
        Event::MergeOwed { .. } => 54,
        Event::BranchesMerged { .. } => 55,
        Event::MergeRefused { .. } => 56,
        Event::MergeApplied { .. } => 57,
        Event::PermissionAnswered { .. } => 58,
    }
}

pub(crate) fn samples() -> Vec<Event> {
    let mut all = of_the_run();
    all.extend(of_worklists());
    all.extend(of_turns());
    all.extend(of_outcomes());
    all.extend(of_children());
    all.extend(samples_of_code::all());
    all.extend(of_merges());
    all.extend(samples_of_interrupted::all());
    all
}

fn of_children() -> Vec<Event> {
    let branch = || id("a.rs");
    let spent = || Spent {
        turns: 3,
        turns_unknown: 1,
        turns_unpriced: 1,
        wall_ms: 61_000,
        usage: Usage { input: 100, output: 10, ..Usage::default() },
    };
    vec![
        Event::ChildrenPlanned {
            visit: visit(),
            children: vec![ChildPlan {
                branch: branch(),
                run: id("golden.4-0"),
                plan: digest('d'),
                message: Some(text("look")),
                input: Some(text("{}")),
                params: Some(text("{}")),
                context: Some(Ref::Object(digest('e'))),
            }],
        },
        Event::ChildOwed {
            visit: visit(),
            branch: branch(),
            grant: Grant { budget: budget(), max_steps: 12 },
        },
        Event::ChildRested {
            visit: visit(),
            branch: branch(),
            rest: Rest::Stopped(Stop::Signal { signal: 15 }),
            spent: spent(),
            steps: 2,
        },
        Event::ChildEnded {
            visit: visit(),
            branch: branch(),
            end: ChildEnd {
                verdict: Some(Verdict::Accepted),
                tag: Some(id("done")),
                output: Some(text("7")),
                spent: spent(),
                steps: 5,
                tree: None,
            },
        },
        Event::ChildSkipped { visit: visit(), branch: branch() },
        Event::ChildrenJoined { visit: visit(), tag: Some(id("partial")) },
    ]
}

fn of_merges() -> Vec<Event> {
    vec![
        Event::MergeOwed { visit: visit() },
        Event::BranchesMerged {
            visit: visit(),
            merge: Merge {
                found: tree('1'),
                ours: Some(tree('2')),
                tree: tree('3'),
                branches: vec![
                    MergedBranch {
                        branch: id("a.rs"),
                        changed: 2,
                        conflicts: Vec::new(),
                        folder: None,
                    },
                    MergedBranch {
                        branch: id("b.rs"),
                        changed: 1,
                        conflicts: vec!["src/lib.rs".to_owned()],
                        folder: Some(".botpipe/worktrees/golden.4-1/golden".to_owned()),
                    },
                ],
            },
        },
        Event::MergeRefused {
            visit: visit(),
            tree: tree('4'),
            changed: vec!["README.md".to_owned()],
        },
        Event::MergeApplied { visit: visit(), tree: tree('3'), kept: tree('4') },
    ]
}

pub(crate) fn digest(digit: char) -> Digest {
    id(&digit.to_string().repeat(64))
}

pub(crate) fn tree(digit: char) -> SnapshotId {
    SnapshotId(digit.to_string().repeat(40))
}

pub(crate) fn text(text: &str) -> Ref {
    Ref::Inline(text.to_owned())
}

pub(crate) fn visit() -> VisitId {
    id("implement[item-2]/3")
}

pub(crate) fn turn() -> TurnId {
    id("implement[item-2]/3/producer/1~2")
}

fn stamp() -> FileStamp {
    FileStamp {
        inode: 9_007_199_254_740_993,
        ctime_ns: 1_700_000_000_123_456_789,
        digest: digest('d'),
    }
}

fn findings() -> Vec<Finding> {
    let states = [
        FindingState::Good { digest: digest('1') },
        FindingState::Stale { digest: digest('2') },
        FindingState::Missing,
        FindingState::Invalid { why: "line 3: `x` is no number".to_owned() },
    ];
    let finding =
        |state| Finding { artifact: id("report"), path: "out/report.md".to_owned(), state };
    states.into_iter().map(finding).collect()
}

fn budget() -> Budget {
    Budget {
        cost: Some(5_500_000),
        tokens: Some(2_000_000),
        turns: Some(40),
        wall_ms: Some(7_200_000),
    }
}

fn harness() -> Harness {
    let program = McpServer::Program {
        command: "tools".to_owned(),
        args: vec!["--stdio".to_owned()],
        env: vec!["TOOLS_KEY".to_owned()],
    };
    let remote = McpServer::Remote { url: "https://example.com/mcp".to_owned() };
    Harness {
        program: "/usr/bin/codex".to_owned(),
        version: "0.169.0".to_owned(),
        digest: Some(digest('d')),
        home: Some("/home/me/.local/state/botpipe/homes/1/codex".to_owned()),
        model: Some("gpt-5.5".to_owned()),
        effort: Some("high".to_owned()),
        base_url: Some("http://127.0.0.1:1/v1".to_owned()),
        args: vec!["--strict-config".to_owned()],
        instructions: true,
        hooks: true,
        mcp_servers: [("far".to_owned(), remote), ("near".to_owned(), program)].into(),
        interface: Some(Interface::Exec),
        interface_because: Some("there is no app server".to_owned()),
    }
}

fn of_the_run() -> Vec<Event> {
    vec![
        Event::RunCreated {
            run: id("golden"),
            task: id("csv-export_1.2"),
            workflow: id("ralph_loop"),
            plan: digest('a'),
            message: text("say \"ä\u{2028}\" and \\ and \n and \u{1}"),
            input: Ref::Object(digest('b')),
            params: text("{}"),
            provider: Some(Provider::Codex(Box::new(harness()))),
            providers: [("claude:opus".to_owned(), Provider::Claude(Box::new(harness())))].into(),
            fallbacks: vec![Provider::Claude(Box::new(harness()))],
            pass_env: vec!["API_KEY".to_owned()],
            workspace: Some("/home/me/project".to_owned()),
            max_steps: 1000,
            on_limit: Some(OnLimit::Pause),
            budget: budget(),
            parent: Some(Box::new(Parent {
                run: id("golden"),
                visit: visit(),
                branch: id("lint"),
                path: "review/1/lint".to_owned(),
            })),
            context: Some(text("{\"branch\":{\"key\":\"lint\"}}")),
            full_auto: true,
            policies: vec![samples_of_code::ceiling()],
            sources: Vec::new(),
        },
        Event::QuestionAsked {
            question: Question {
                kind: QuestionKind::Route { visit: visit() },
                text: "which way?".to_owned(),
                choices: vec!["left".to_owned(), "right".to_owned()],
                schema: Some(Ref::Object(digest('c'))),
                shown: Vec::new(),
                until: None,
            },
        },
        Event::AnswerAccepted { answer: text("left"), tag: Some(id("left")) },
        Event::RunHeld {
            hold: Hold {
                class: FailureClass::UsageLimit,
                message: "you've hit your usage limit".to_owned(),
                since: 1_795_000_000_000,
                until: 1_795_360_000_000,
                login: Some("codex with its stored login".to_owned()),
                on_limit: OnLimit::Pause,
            },
        },
        Event::HoldEnded,
        Event::FellBack {
            provider: Provider::Claude(Box::new(harness())),
            class: FailureClass::Quota,
            message: "quota exceeded".to_owned(),
        },
        Event::PersonSaid { said: Said { id: "s1-2-0".to_owned(), text: text("mind the gap") } },
        Event::PersonAttached {
            attached: Attached {
                session: SessionKey("item/items/item-2".to_owned()),
                token: "01a202ca-615b-7e93-b12c-2c6134b53ab7".to_owned(),
                tree: Some(tree('4')),
            },
        },
        Event::SaidDelivered { turn: turn() },
        Event::WorkspaceMoved { to: "/home/me/elsewhere".to_owned() },
        Event::HarnessChanged { version: "0.170.0".to_owned(), of: Some("claude:opus".to_owned()) },
        Event::RunStopped { stop: Stop::MaxVisits { step: id("implement"), limit: 3 } },
        Event::RunResumed {
            cause: ResumeCause::Asked,
            raise: Raise {
                budget: budget(),
                max_steps: Some(2000),
                max_visits: [(id::<StepId>("implement"), 5)].into(),
                step_budgets: [(id::<StepId>("implement"), budget())].into(),
            },
        },
        Event::RunFinished { verdict: Verdict::Accepted },
        Event::RunCancelled,
        Event::AnswerRefused { visit: visit(), changed: vec![id("report")] },
        Event::WaitBegun {
            wait: Wait {
                visit: visit(),
                until: Some(1_795_360_000_000),
                signal: Some(id("build_done")),
            },
        },
        Event::SignalReceived {
            signal: Signal {
                id: "build-17".to_owned(),
                name: id("build_done"),
                payload: text("{\"build\":17}"),
            },
        },
        Event::WaitEnded { visit: visit(), tag: id("done"), signal: Some("build-17".to_owned()) },
    ]
}

fn of_worklists() -> Vec<Event> {
    vec![
        Event::ItemsRead {
            worklist: id("items"),
            source: digest('a'),
            items: vec![Item {
                id: id("item-2"),
                title: Some("the second".to_owned()),
                status: ItemStatus::Planned,
                payload: text("{\"id\":\"item-2\"}"),
            }],
        },
        Event::ItemsRejected { worklist: id("items"), why: "two items are `a`".to_owned() },
        Event::ItemsExhausted {
            worklist: id("items"),
            step: id("implement"),
            to: Target::Step(id("report")),
        },
        Event::StatusWritten {
            worklist: id("items"),
            item: id("item-2"),
            status: ItemStatus::Completed,
            stamp: Some(stamp()),
            drift: Some("item-3 was added".to_owned()),
        },
    ]
}

fn of_turns() -> Vec<Event> {
    vec![
        Event::VisitEntered {
            visit: visit(),
            again: true,
            handoff: Some(text("mind the gap")),
            answer: Some(text("left")),
        },
        Event::BaselineTaken {
            visit: visit(),
            baseline: Baseline {
                tree: Some(tree('e')),
                files: [(id::<ArtifactName>("report"), stamp())].into(),
                protected: Some(text("{\"tests/one.txt\":\"2\"}")),
            },
        },
        Event::TurnOwed {
            turn: turn(),
            prompt: Ref::Object(digest('f')),
            request: Some(digest('0')),
            policy: Some(text("{\"network\":\"none\"}")),
            session: Some(SessionUse {
                key: SessionKey("run".to_owned()),
                token: Some("0199-ab".to_owned()),
                from: Some("0199-cd".to_owned()),
                cost: 1_250_000,
            }),
            said: 2,
        },
        Event::TurnStarted {
            turn: turn(),
            process: Process { pid: 4711, start_ticks: 123_456, boot_id: Some("b-1".to_owned()) },
        },
        Event::SessionKnown { turn: turn(), token: "0199-ab".to_owned() },
        Event::TurnEnded {
            turn: turn(),
            result: TurnResult::Completed { text: Ref::Object(digest('5')), exit: Some(3) },
            activity: Some(digest('6')),
            transcript: Some(digest('7')),
            checkpoint: Some("0199-cd".to_owned()),
            usage: Some(Usage {
                input: 1_500,
                cached: 920,
                cache_write: 10,
                output: 150,
                reasoning: 45,
                cost: Some(3_232),
                at_least: true,
            }),
            took_ms: 61_250,
            leftover: 2,
        },
    ]
}

fn of_outcomes() -> Vec<Event> {
    vec![
        Event::ChecksEnded {
            visit: visit(),
            checks: vec![CheckResult {
                name: id("tests"),
                status: CheckStatus::Failed { why: "exit 1".to_owned() },
                output: Some(Ref::Object(digest('3'))),
            }],
            findings: findings(),
            touched: vec!["tests/one.txt".to_owned()],
        },
        Event::Sealed { visit: visit(), tree: Some(tree('4')) },
        Event::OutcomeAccepted {
            visit: visit(),
            tag: id("rework"),
            payload: Some(text("{\"n\":1}")),
            fields: Some(text("{\"reason\":\"x\"}")),
        },
        Event::OutcomeForced { visit: visit(), tag: id("done") },
        Event::AttemptRejected {
            turn: turn(),
            feedback: Feedback::Failure {
                class: FailureClass::IdleTimeout,
                message: "silent for 600 s".to_owned(),
            },
        },
        Event::ArtifactsAccepted {
            visit: visit(),
            artifacts: [(id::<ArtifactName>("report"), digest('2'))].into(),
        },
        Event::RouteTaken {
            visit: visit(),
            tag: id("done"),
            to: Target::SelfStep,
            completed: Some(id("item-2")),
            handoff: Some(text("mind the gap")),
            dropped: Some(id("item-3")),
            reset: Some(id("item-4")),
        },
        Event::OutputSet { value: text("{\"n\":1}") },
        Event::SourceDrifted {
            worklist: id("item"),
            source: digest('4'),
            drift: "`work.json` was changed".to_owned(),
        },
        Event::StateSet {
            visit: visit(),
            changes: vec![StateChange {
                place: "item_state.tries".parse().unwrap(),
                value: text("2"),
            }],
        },
    ]
}
