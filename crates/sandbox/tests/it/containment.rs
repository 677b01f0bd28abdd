//! Nothing an agent starts outlives its end, its kill, or the death of anybody above it.

use std::process::Command;

use crate::stage::{Stage, User, as_str, children, kill_9, stages_1, text, until, users};

const CONTAINMENTS: [&str; 2] = ["namespace", "subreaper"];

/// Plays an escape with every user in every containment.
fn each(play: impl Fn(User, &'static str)) {
    for user in users() {
        for containment in CONTAINMENTS {
            println!("{user:?} in a {containment}");
            play(user, containment);
        }
    }
}

/// The agent escapes and does `then`; the parent ends it this way. What the parent printed.
fn escape(stage: &Stage, user: User, containment: &str, end: &str, then: &str) -> String {
    let script = stage.escape(then);
    let beats = stage.beats();
    stage.output(user, &["contain", containment, end, as_str(&beats), "/bin/sh", "-c", &script])
}

fn expect_containment(said: &str, containment: &str) {
    let used = if containment == "namespace" { "used Namespace" } else { "used Subreaper" };
    assert!(said.starts_with(used), "{said}");
}

#[test]
fn an_escaped_process_ends_with_the_agent() {
    each(|user, containment| {
        let stage = Stage::new();
        let said = escape(&stage, user, containment, "wait", "exit 7");
        expect_containment(&said, containment);
        assert!(said.contains("Exited(7), leftover: 1, survivors: 0"), "{said}");
        assert!(stage.beats().exists());
        assert_eq!(stage.marked(), []);
    });
}

#[test]
fn an_escaped_process_ends_with_a_kill() {
    each(|user, containment| {
        let stage = Stage::new();
        let said = escape(&stage, user, containment, "kill", "sleep 60; exit 7");
        assert!(said.contains("Signalled(9)"), "{said}");
        assert_eq!(stage.marked(), []);
    });
}

#[test]
fn an_escaped_process_ends_when_the_agent_is_asked_to_end() {
    each(|user, containment| {
        let stage = Stage::new();
        let then = "trap 'exit 3' TERM; while :; do sleep 0.01; done";
        let said = escape(&stage, user, containment, "terminate", then);
        // The request may come before the trap is set.
        assert!(said.contains("Exited(3)") || said.contains("Signalled(15)"), "{said}");
        assert_eq!(stage.marked(), []);
    });
}

#[test]
fn an_escaped_process_ends_when_the_agent_is_interrupted() {
    each(|user, containment| {
        let stage = Stage::new();
        let then = "trap 'exit 3' INT; trap 'exit 4' TERM; while :; do sleep 0.01; done";
        let said = escape(&stage, user, containment, "interrupt", then);
        // The request may come before the trap is set.
        assert!(said.contains("Exited(3)") || said.contains("Signalled(2)"), "{said}");
        assert_eq!(stage.marked(), []);
    });
}

#[test]
fn an_escaped_process_ends_when_its_handle_is_dropped() {
    each(|user, containment| {
        let stage = Stage::new();
        let said = escape(&stage, user, containment, "drop", "sleep 60");
        expect_containment(&said, containment);
        until("nothing is left", || stage.marked().is_empty());
    });
}

#[test]
fn an_escaped_process_ends_though_stage_1_does_not_answer() {
    each(|user, containment| {
        let stage = Stage::new();
        let said = escape(&stage, user, containment, "abandon", "sleep 60");
        assert!(said.contains("end Exit { how: Signalled(9)"), "{said}");
        until("nothing is left", || stage.marked().is_empty());
    });
}

#[test]
fn an_escaped_process_ends_when_the_parent_is_killed() {
    each(|user, containment| {
        let stage = Stage::new();
        let parent = start_and_escape(&stage, user, containment);
        kill_9(parent.id());
        drop(text(parent));
        until("nothing is left", || stage.marked().is_empty());
    });
}

#[test]
fn an_escaped_process_ends_when_stage_1_is_killed() {
    each(|user, containment| {
        let stage = Stage::new();
        let parent = start_and_escape(&stage, user, containment);
        kill_9(stage_1(parent.id()));
        let said = text(parent);
        assert!(said.contains("end Exit { how: Signalled(9)"), "{said}");
        until("nothing is left", || stage.marked().is_empty());
    });
}

#[test]
fn an_escaped_process_ends_when_init_is_killed() {
    each(|user, containment| {
        let stage = Stage::new();
        let parent = start_and_escape(&stage, user, containment);
        kill_9(only_child(stage_1(parent.id())));
        let said = text(parent);
        assert!(said.contains("end Exit { how: Signalled(9)"), "{said}");
        assert_eq!(stage.marked(), []);
    });
}

#[test]
fn many_orphans_are_all_met() {
    each(|user, containment| {
        let stage = Stage::new();
        let (program, marker) = (stage.program.display(), &stage.marker);
        let folder = stage.folder.display();
        let script = format!(
            "for i in 1 2 3 4 5 6 7 8 9 10; do\n\
             (setsid {program} beat {folder}/beat-$i {marker} <&- >&- 2>&- &)\n\
             while ! [ -s {folder}/beat-$i ]; do :; done\ndone"
        );
        let said =
            stage.output(user, &["contain", containment, "wait", "-", "/bin/sh", "-c", &script]);
        assert!(said.contains("Exited(0), leftover: 10, survivors: 0"), "{said}");
        assert_eq!(stage.marked(), []);
    });
}

#[test]
fn a_refused_namespace_falls_back_and_says_why() {
    for user in users() {
        let stage = Stage::new();
        // In a user namespace that may have no further ones, as in many containers.
        let script = format!(
            "echo 0 > /proc/sys/user/max_user_namespaces; echo 0 > /proc/sys/user/max_pid_namespaces; \
             echo 0 > /proc/sys/user/max_mnt_namespaces; \
             exec {} contain \"$0\" wait - /bin/true",
            stage.program.display()
        );
        let said = |containment: &str| {
            let mut command = match user {
                User::Own => Command::new("unshare"),
                User::Nobody => {
                    let mut command = Command::new("setpriv");
                    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "unshare"]);
                    command
                }
            };
            command.args(["--user", "--map-root-user", "/bin/sh", "-c", &script, containment]);
            String::from_utf8(command.output().unwrap().stdout).unwrap()
        };
        let auto = said("auto");
        assert!(
            auto.contains("Subreaper { refused: Some(Refused { step: \"new-namespaces\""),
            "{auto}"
        );
        assert!(auto.contains("end Exit { how: Exited(0)"), "{auto}");
        let strict = said("namespace");
        assert!(
            strict.contains("error contain the program: new-namespaces was refused"),
            "{strict}"
        );
    }
}

/// A parent whose agent has escaped and now sleeps.
fn start_and_escape(stage: &Stage, user: User, containment: &str) -> std::process::Child {
    let script = stage.escape("sleep 60");
    let beats = stage.beats();
    let args = ["contain", containment, "hang", as_str(&beats), "/bin/sh", "-c", &script];
    let parent = stage.command(user, &args).spawn().unwrap();
    until("the escaped process writes", || {
        std::fs::metadata(&beats).is_ok_and(|m| m.len() > 0)
            && !stage.marked_with("beat").is_empty()
    });
    parent
}

/// The stage 1 of the only launch of a parent: a fork of its server.
fn stage_1(parent: u32) -> u32 {
    let launches = stages_1(only_child(parent));
    assert_eq!(launches.len(), 1, "{launches:?}");
    launches[0]
}

fn only_child(pid: u32) -> u32 {
    let [child] = children(pid)[..] else {
        panic!("{pid} has the children {:?}", children(pid));
    };
    child
}
