//! The fork server: shared, small, replaced when it dies, and never alive after Botpipe.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::io::{BufRead as _, BufReader};
use std::process::Command;
use std::sync::Barrier;
use std::thread;

use botpipe_sandbox::{
    Contained, Containment, How, Identity, Launch, Liveness, is_alive, process_identity,
};

use crate::stage::{Stage, User, as_str, children, kill_9, lines, stages_1, text, until, users};

const CONTAINMENTS: [(Containment, &str); 2] =
    [(Containment::Namespace, "namespace"), (Containment::Subreaper, "subreaper")];

/// A launch whose server is this stage's own: its binary lies nowhere else.
fn launch(stage: &Stage, containment: Containment, command: &[&str]) -> Launch {
    Launch {
        program: command[0].into(),
        args: command[1..].iter().map(Into::into).collect(),
        cwd: "/".into(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        containment,
        stage1: Some(stage.program.clone()),
        mark: None,
        confinement: None,
    }
}

/// A program that ends when its input does.
fn waiting(stage: &Stage, containment: Containment) -> Contained {
    launch(stage, containment, &["cat"]).start().unwrap()
}

fn end(mut running: Contained) -> How {
    drop(running.take_stdin());
    running.wait().how
}

/// The server a running launch came from.
fn server_of(stage1: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{stage1}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Where the descriptors of a process lead.
fn descriptors(pid: u32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let mut all: Vec<_> = entries
        .filter_map(|e| Some((e.file_name().into_string().ok()?, fs::read_link(e.path()).ok()?)))
        .collect();
    all.sort();
    all.into_iter().map(|(number, to)| format!("{number} {}", to.display())).collect()
}

#[test]
fn every_launch_comes_from_one_server_that_keeps_nothing() {
    let stage = Stage::new();
    let mut servers = BTreeSet::new();
    let mut seen = Vec::new();
    for round in 0..2 {
        for turn in 0..50 {
            let (containment, _) = CONTAINMENTS[turn % 2];
            let running = waiting(&stage, containment);
            let server = server_of(running.pid());
            servers.insert(server);
            assert_eq!(end(running), How::Exited(0));
            if turn == 49 {
                until("the server has its spare only", || {
                    children(server).len() == 1 && descriptors(server).len() == 5
                });
                let statm = fs::read_to_string(format!("/proc/{server}/statm")).unwrap();
                let data: u64 = statm.split_whitespace().nth(5).unwrap().parse().unwrap();
                seen.push((descriptors(server), data));
                println!("round {round}: {:?}", seen.last());
            }
        }
    }
    let servers: Vec<u32> = servers.into_iter().collect();
    assert_eq!(servers.len(), 1, "{servers:?}");
    let (descriptors, _) = &seen[0];
    assert_eq!(descriptors[..3], ["0 /dev/null", "1 /dev/null", "2 /dev/null"]);
    // Botpipe's socket, and a pipe from the spare.
    assert!(descriptors[3].starts_with("3 socket:"), "{descriptors:?}");
    assert!(descriptors[4].starts_with("4 pipe:"), "{descriptors:?}");
    assert_eq!(seen[0].1, seen[1].1, "it grows");
}

#[test]
fn a_stage_1_is_identified_and_dead_once_it_was_waited_for() {
    let stage = Stage::new();
    for (containment, _) in CONTAINMENTS {
        let mut running = waiting(&stage, containment);
        let identity = running.identity().clone();
        assert_eq!(process_identity(running.pid()).as_ref(), Some(&identity));
        drop(running.take_stdin());
        assert_eq!(running.wait().how, How::Exited(0));
        assert_eq!(is_alive(&identity), Liveness::Dead);
    }
}

#[test]
fn threads_launch_beside_each_other_and_nothing_leaks_between_them() {
    let stage = Stage::new();
    let program = as_str(&stage.program);
    let together = Barrier::new(8);
    let servers: BTreeSet<u32> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let (stage, together) = (&stage, &together);
                scope.spawn(move || {
                    let (containment, _) = CONTAINMENTS[n % 2];
                    together.wait(); // the first of them starts the server
                    let held = waiting(stage, containment);
                    let server = server_of(held.pid());
                    for _ in 0..5 {
                        let mut shown =
                            launch(stage, containment, &[program, "show"]).start().unwrap();
                        let mut said = String::new();
                        shown.take_stdout().unwrap().read_to_string(&mut said).unwrap();
                        assert_eq!(shown.wait().how, How::Exited(0));
                        let open = lines(&said, "fd");
                        let pipes = |(l, n): (&&str, i32)| l.starts_with(&format!("fd {n} pipe:"));
                        assert!(open.len() == 3 && open.iter().zip(0..).all(pipes), "{said}");
                        assert_eq!(lines(&said, "env"), ["env PATH=/usr/bin:/bin"], "{said}");
                    }
                    assert_eq!(end(held), How::Exited(0));
                    server
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(servers.len(), 1, "{servers:?}");
}

#[test]
fn a_relative_directory_is_botpipes_own() {
    let stage = Stage::new();
    let mut first = launch(&stage, Containment::Auto, &["pwd", "-P"]);
    first.cwd = "tests/it".into();
    let mut running = first.start().unwrap();
    let mut said = String::new();
    running.take_stdout().unwrap().read_to_string(&mut said).unwrap();
    let here = fs::canonicalize("tests/it").unwrap();
    assert_eq!(said.trim_end(), as_str(&here));
}

#[test]
fn a_killed_server_ends_its_launches_and_is_replaced() {
    for (containment, _) in CONTAINMENTS {
        let stage = Stage::new();
        let script = stage.escape("sleep 60");
        let mut running = launch(&stage, containment, &["sh", "-c", &script]).start().unwrap();
        until("the escaped process writes", || stage.beats().exists());
        let (stage1, server) = (running.identity().clone(), server_of(running.pid()));
        kill_9(server);
        assert_eq!(running.wait().how, How::Signalled(9));
        assert_eq!(stage.marked(), []);
        assert_eq!(is_alive(&stage1), Liveness::Dead);

        let next = waiting(&stage, containment);
        assert_ne!(server_of(next.pid()), server);
        assert_eq!(end(next), How::Exited(0));
    }
}

#[test]
fn a_killed_spare_is_replaced_and_harms_no_launch() {
    let stage = Stage::new();
    for (containment, _) in CONTAINMENTS {
        let running = waiting(&stage, containment);
        let server = server_of(running.pid());
        until("a spare is there", || children(server).len() == 2);
        let spare = children(server).into_iter().find(|fork| *fork != running.pid()).unwrap();
        kill_9(spare);
        until("another is there", || {
            children(server).len() == 2 && !children(server).contains(&spare)
        });
        let next = waiting(&stage, containment);
        assert_eq!(server_of(next.pid()), server);
        assert_eq!(end(next), How::Exited(0));
        assert_eq!(end(running), How::Exited(0));
    }
}

#[test]
fn a_spare_whose_init_was_killed_makes_another() {
    let stage = Stage::new();
    let first = waiting(&stage, Containment::Auto);
    let server = server_of(first.pid());
    until("a spare has its init", || {
        let forks = children(server);
        forks.len() == 2 && forks.iter().all(|fork| children(*fork).len() == 1)
    });
    let spare = children(server).into_iter().find(|fork| *fork != first.pid()).unwrap();
    let init = process_identity(children(spare)[0]).unwrap();
    kill_9(init.pid);
    until("it has ended", || is_alive(&init) == Liveness::Dead);
    let next = waiting(&stage, Containment::Auto);
    assert_eq!(next.pid(), spare);
    assert_eq!(end(next), How::Exited(0));
    assert_eq!(end(first), How::Exited(0));
}

#[test]
fn a_server_whose_spares_are_lost_is_replaced_and_its_launch_goes_on() {
    let stage = Stage::new();
    let running = waiting(&stage, Containment::Auto);
    let server = server_of(running.pid());
    for _ in 0..3 {
        until("a spare is there", || children(server).len() == 2);
        let spare = children(server).into_iter().find(|fork| *fork != running.pid()).unwrap();
        kill_9(spare);
        until("it is gone", || !children(server).contains(&spare));
    }
    assert_eq!(children(server), [running.pid()]); // it does not try for ever
    let old = process_identity(server).unwrap();
    let next = waiting(&stage, Containment::Auto);
    assert_ne!(server_of(next.pid()), server);
    assert_eq!(end(next), How::Exited(0));
    assert_eq!(end(running), How::Exited(0));
    until("nobody needs the old one", || is_alive(&old) == Liveness::Dead);
}

#[test]
fn a_server_killed_under_a_parent_takes_everything_along() {
    for user in users() {
        for (_, containment) in CONTAINMENTS {
            println!("{user:?} in a {containment}");
            let stage = Stage::new();
            let parent = several(&stage, user, containment, 1);
            kill_9(children(parent.id())[0]);
            assert!(text(parent).contains("end Exit { how: Signalled(9)"));
            assert_eq!(stage.marked(), []);
        }
    }
}

#[test]
fn nothing_is_left_of_several_launches_when_the_parent_is_killed() {
    for user in users() {
        for (_, containment) in CONTAINMENTS {
            for stopped in [false, true] {
                println!("{user:?} in a {containment}, server stopped: {stopped}");
                let stage = Stage::new();
                let parent = several(&stage, user, containment, 4);
                let [server] = children(parent.id())[..] else { panic!("not one server") };
                assert_eq!(stages_1(server).len(), 4);
                until("a spare is there", || children(server).len() == 5);
                let mut stages: Vec<Identity> =
                    children(server).into_iter().filter_map(process_identity).collect();
                stages.push(process_identity(server).unwrap());
                if stopped {
                    signal("-STOP", server);
                }
                kill_9(parent.id());
                drop(text(parent));
                until("nothing is left", || {
                    stage.marked().is_empty()
                        && stages.iter().all(|s| is_alive(s) == Liveness::Dead)
                });
            }
        }
    }
}

#[test]
fn without_handles_on_processes_stage_1_is_a_child() {
    for user in users() {
        for (_, containment) in CONTAINMENTS {
            let stage = Stage::new();
            let script = stage.escape("sleep 60");
            let beats = stage.beats();
            let args = ["no-handles", containment, "hang", as_str(&beats), "sh", "-c", &script];
            let mut parent = stage.command(user, &args).spawn().unwrap();
            until("the escaped process writes", || beats.exists());
            // It may write before its parent has heard that it runs. Byte by byte: the rest is read below.
            let mut used = String::new();
            let out =
                BufReader::with_capacity(1, parent.stdout.as_mut().unwrap()).read_line(&mut used);
            assert!(out.is_ok() && used.starts_with("used "), "{used}");
            let [stage1] = children(parent.id())[..] else { panic!("not one stage 1") };
            let line = fs::read(format!("/proc/{stage1}/cmdline")).unwrap();
            assert_eq!(line, b"botpipe\0__sandbox-stage-1\0");
            kill_9(stage1);
            assert!(text(parent).contains("end Exit { how: Signalled(9)"));
            until("nothing is left", || stage.marked().is_empty());

            let said = stage.output(user, &["no-handles", containment, "wait", "-", "true"]);
            assert!(said.contains("end Exit { how: Exited(0)"), "{said}");
        }
    }
}

/// A parent with so many launches, each of which has escaped and now sleeps.
fn several(stage: &Stage, user: User, containment: &str, count: usize) -> std::process::Child {
    let (program, marker) = (stage.program.display(), &stage.marker);
    let folder = stage.folder.display();
    let script = format!(
        "(setsid {program} beat {folder}/beats-$1 {marker} <&- >&- 2>&- &)\n\
         while ! [ -s {folder}/beats-$1 ]; do :; done\nsleep 60"
    );
    let times = count.to_string();
    let args = ["several", containment, &times, "/bin/sh", "-c", &script, "sh"];
    let parent = stage.command(user, &args).spawn().unwrap();
    until("all write", || (0..count).all(|n| stage.file(&format!("beats-{n}")).exists()));
    parent
}

fn signal(which: &str, pid: u32) {
    assert!(Command::new("kill").args([which, &pid.to_string()]).status().unwrap().success());
}

#[test]
fn a_mount_that_came_since_the_last_launch_is_seen_by_the_next() {
    let stage = Stage::new();
    let folder = stage.folder.join("mounted-over");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("covered"), "").unwrap();
    // In a mount namespace of its own, in which nothing comes from outside.
    let said = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--propagation", "private"])
        .arg(&stage.program)
        .args(["mounts", folder.to_str().unwrap()])
        .output()
        .unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said, "Exited(0) covered\nExited(0) mounted\n");
}
