//! What an interrupted turn leads to, by what its step says and what is recorded of the tree.

use std::sync::Arc;

use botpipe_kernel::plan::OnInterrupt;
use botpipe_kernel::run::{
    Baseline, Effect, Input, InterruptCause, Lifecycle, QuestionKind, Raise, SnapshotId, TurnCause,
};

use crate::plans::{plan, prompt, step, to};
use crate::world::{World, text};

fn tree(name: &str) -> SnapshotId {
    SnapshotId(name.to_owned())
}

/// A run inside its only turn; `base` is the tree it began on.
fn turning(on_interrupt: OnInterrupt, base: Option<SnapshotId>) -> World {
    let mut only = step("write", prompt(&[]), vec![to("done", "FINISH")]);
    only.on_interrupt = on_interrupt;
    let mut world = World::start(Arc::new(plan(vec![only])));
    let Some(Effect::Enter { visit }) = world.owed() else { panic!("{:?}", world.owed()) };
    let baseline = Baseline { tree: base, ..Baseline::default() };
    world.tell(Input::BaselineTaken { visit, baseline, requires: Vec::new() }).unwrap();
    let Some(Effect::Prepare { turn, .. }) = world.owed() else { panic!("{:?}", world.owed()) };
    let (prompt, request, policy, session) = (text("prompt"), None, None, None);
    world.tell(Input::TurnPrepared { turn, prompt, request, policy, session }).unwrap();
    assert!(matches!(world.owed(), Some(Effect::RunTurn { .. })));
    world
}

fn resume(world: &mut World, tree: Option<SnapshotId>, edited: &[&str]) {
    let edited = edited.iter().map(|path| (*path).to_owned()).collect();
    world.tell(Input::Resume { raise: Raise::default(), tree, edited }).unwrap();
}

/// What the run asks: its kind, its text and its choices.
#[track_caller]
fn question(world: &World) -> (QuestionKind, String, Vec<String>) {
    let Lifecycle::Waiting(question) = &world.run.lifecycle else {
        panic!("it asks nothing: {:?}", world.run.lifecycle)
    };
    (question.kind.clone(), question.text.clone(), question.choices.clone())
}

fn answer(world: &mut World, answer: &str) {
    let said = Input::Answer { answer: text(answer), text: answer.to_owned() };
    world.tell(said).unwrap();
}

#[test]
fn restart_puts_back_what_only_the_turn_changed() {
    let mut world = turning(OnInterrupt::Restart, Some(tree("base")));
    resume(&mut world, Some(tree("found")), &[]);
    let Some(Effect::Restore { to, expected, .. }) = world.owed() else {
        panic!("{:?}", world.owed())
    };
    assert_eq!((to, expected), (tree("base"), Some(tree("found"))));
}

#[test]
fn restart_asks_about_what_was_edited_since() {
    let mut world = turning(OnInterrupt::Restart, Some(tree("base")));
    resume(&mut world, Some(tree("found")), &["a.txt", "b.txt"]);
    let (kind, text, choices) = question(&world);
    assert!(matches!(kind, QuestionKind::Edited { .. }));
    assert!(text.contains("`a.txt`, `b.txt`"), "{text}");
    assert_eq!(choices, ["keep", "restore"]);
}

#[test]
fn edits_are_nothing_to_ask_about_where_nothing_is_put_back() {
    let mut world = turning(OnInterrupt::Resume, Some(tree("base")));
    resume(&mut world, Some(tree("found")), &["a.txt"]);
    let cause = TurnCause::Resumed { cause: InterruptCause::OwnerLost };
    assert!(matches!(world.owed(), Some(Effect::Prepare { cause: told, .. }) if told == cause));
}

#[test]
fn restart_asks_when_the_tree_it_would_put_back_is_not_recorded() {
    let mut world = turning(OnInterrupt::Restart, None);
    resume(&mut world, Some(tree("found")), &[]);
    let (kind, text, choices) = question(&world);
    assert!(matches!(kind, QuestionKind::Interrupted { .. }));
    assert!(text.contains("nothing can be put back"), "{text}");
    assert_eq!(choices, ["resume"]);
    answer(&mut world, "resume");
    let cause = TurnCause::Resumed { cause: InterruptCause::OwnerLost };
    assert!(matches!(world.owed(), Some(Effect::Prepare { cause: told, .. }) if told == cause));
}

#[test]
fn restart_asks_when_the_tree_it_found_is_not_recorded() {
    let mut lost = turning(OnInterrupt::Restart, Some(tree("base")));
    resume(&mut lost, None, &[]);
    let mut stopped = turning(OnInterrupt::Restart, Some(tree("base")));
    stopped.tell(Input::Stop { cause: InterruptCause::Signal(2), tree: None }).unwrap();
    resume(&mut stopped, None, &[]);
    let mut stuck = turning(OnInterrupt::Restart, Some(tree("base")));
    stuck.tell(Input::Stuck { message: "disk full".to_owned() }).unwrap();
    resume(&mut stuck, None, &[]);
    for mut world in [lost, stopped, stuck] {
        assert_eq!(question(&world).2, ["resume", "restart"]);
        answer(&mut world, "restart");
        assert!(matches!(world.owed(), Some(Effect::Restore { expected: None, .. })));
    }
}
