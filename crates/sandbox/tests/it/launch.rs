//! What a program is given, and what is said when it cannot be started.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use botpipe_sandbox::{Containment, Error, Exit, How, Launch};

use crate::stage::{Stage, User, lines, text, until, users};

fn launch(program: &str, args: &[&str]) -> Launch {
    Launch {
        program: program.into(),
        args: args.iter().map(Into::into).collect(),
        cwd: "/".into(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        containment: Containment::Auto,
        stage1: Some(PathBuf::from(env!("CARGO_BIN_EXE_sandbox-test-program"))),
        mark: None,
        confinement: None,
    }
}

#[test]
fn the_environment_is_exactly_the_given_one_and_pid_1_has_none() {
    for user in users() {
        let stage = Stage::new();
        let shown = stage.program.to_str().unwrap();
        let said = text(
            stage
                .command(user, &["contain", "namespace", "wait", "-", shown, "show"])
                .env("SECRET", "of the parent")
                .spawn()
                .unwrap(),
        );
        assert_eq!(lines(&said, "env"), ["env PATH=/usr/bin:/bin", "env GIVEN=this"], "{said}");
        // Empty for root; not even readable for anybody else.
        let closed = lines(&said, "pid 1 environ");
        assert!(closed == ["pid 1 environ Ok(0)"] || closed[0].contains("code: 13"), "{said}");
        assert!(!lines(&said, "pid 1 cmdline")[0].contains("show"), "{said}");
        assert!(said.contains("pid 2 group 2 session 2"), "{said}");
    }
}

#[test]
fn no_descriptor_of_the_parent_arrives() {
    let stage = Stage::new();
    for containment in ["namespace", "subreaper"] {
        let program = stage.program.display();
        // Descriptor 9 is open and not marked to be closed by exec.
        let script =
            format!("exec {program} contain {containment} wait - {program} show 9</etc/passwd");
        let child = Command::new("/bin/sh").args(["-c", &script]).stdout(Stdio::piped()).spawn();
        let said = text(child.unwrap());
        let open = lines(&said, "fd");
        assert_eq!(open.len(), 3, "{said}");
        assert!(
            open.iter().zip(0..).all(|(l, n)| l.starts_with(&format!("fd {n} pipe:"))),
            "{said}"
        );
    }
}

#[test]
fn signals_start_as_a_program_expects_them() {
    let stage = Stage::new();
    for containment in ["namespace", "subreaper"] {
        let program = stage.program.display();
        let script = format!(
            "trap '' TERM HUP CHLD PIPE; exec {program} contain {containment} wait - grep Sig /proc/self/status"
        );
        let child = Command::new("/bin/sh").args(["-c", &script]).stdout(Stdio::piped()).spawn();
        let said = text(child.unwrap());
        let mask = |name: &str| {
            let hex = lines(&said, name)[0].split_whitespace().nth(1).unwrap();
            u64::from_str_radix(hex, 16).unwrap()
        };
        let of_the_c_library = 0b11 << 31; // 32 and 33: it keeps them to itself
        assert_eq!(mask("SigBlk"), 0, "{said}");
        assert_eq!(mask("SigIgn") & !of_the_c_library, 0, "{said}");
    }
}

#[test]
fn a_missing_program_is_no_exit_code() {
    for containment in [Containment::Namespace, Containment::Subreaper] {
        let mut absent = launch("/nonesuch/program", &[]);
        absent.containment = containment;
        let error = absent.start().unwrap_err();
        assert!(
            matches!(&error, Error::Program { program, .. } if program.as_os_str() == "/nonesuch/program")
        );
        assert_eq!(error.errno(), Some(2));
        assert_eq!(launch("nonesuch", &[]).start().unwrap_err().errno(), Some(2));
        assert_eq!(launch("/etc/passwd", &[]).start().unwrap_err().errno(), Some(13));
        assert_eq!(launch("/", &[]).start().unwrap_err().errno(), Some(13));
    }
}

#[test]
fn a_bad_working_directory_is_told_from_a_bad_program() {
    let mut lost = launch("/bin/true", &[]);
    lost.cwd = "/nonesuch".into();
    let error = lost.start().unwrap_err();
    assert!(
        matches!(&error, Error::WorkingDirectory { path, .. } if path.as_os_str() == "/nonesuch")
    );
    assert_eq!(
        error.to_string(),
        "enter the working directory `/nonesuch`: No such file or directory (os error 2)"
    );
}

#[test]
fn a_program_is_looked_up_on_its_own_path() {
    let stage = Stage::new();
    let mut own = launch("program", &["show"]);
    assert_eq!(own.start().unwrap_err().errno(), Some(2));
    own.env = vec![("PATH".into(), format!("/nonesuch:{}", stage.folder.display()).into())];
    let exit = own.start().unwrap().wait();
    assert_eq!(exit, Exit { how: How::Exited(0), leftover: 0, survivors: 0, beyond: None });
}

#[test]
fn a_relative_program_is_taken_from_its_directory() {
    let stage = Stage::new();
    let mut relative = launch("./program", &["show"]);
    relative.cwd = stage.folder.clone();
    assert_eq!(relative.start().unwrap().wait().how, How::Exited(0));
}

#[test]
fn an_end_says_the_same_twice() {
    let mut running = launch("/bin/sh", &["-c", "kill -15 $$"]).start().unwrap();
    assert_eq!(running.wait().how, How::Signalled(15));
    assert_eq!(running.wait().how, How::Signalled(15));
    running.interrupt();
    running.terminate();
    running.kill();
}

#[test]
fn a_binary_that_is_no_stage_1_is_named() {
    let mut wrong = launch("/bin/true", &[]);
    wrong.stage1 = Some("/bin/true".into());
    assert!(
        matches!(wrong.start().unwrap_err(), Error::Silent { path } if path.as_os_str() == "/bin/true")
    );
    wrong.stage1 = Some("/nonesuch".into());
    assert!(matches!(wrong.start().unwrap_err(), Error::Stage1 { .. }));
    // The main of this test binary is not ours: it must not start itself over and over.
    wrong.stage1 = None;
    assert!(matches!(wrong.start().unwrap_err(), Error::NoStage1));
}

#[test]
fn a_long_plan_arrives_whole() {
    let stage = Stage::new();
    let long = "x".repeat(100_000);
    let mut big =
        launch("/bin/sh", &["-c", "test ${#A} -eq 100000 && test ${#1} -eq 100000", "sh", &long]);
    big.env.push(("A".into(), long.clone().into()));
    big.cwd = stage.folder.clone();
    assert_eq!(big.start().unwrap().wait().how, How::Exited(0));
    assert_eq!(
        stage
            .output(User::Own, &["contain", "auto", "wait", "-", "/bin/echo", "ok"])
            .lines()
            .last(),
        Some("ok")
    );
}

#[test]
fn input_given_with_the_launch_is_there_at_once_and_the_rest_can_be_written() {
    let mut small = launch("cat", &[]).start_with(b"ready").unwrap();
    assert_eq!(small.accepted(), 5);
    drop(small.take_stdin());
    let mut said = String::new();
    small.take_stdout().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((said.as_str(), small.wait().how), ("ready", How::Exited(0)));

    // Nobody reads: what does not fit is refused, not waited for.
    let input = vec![b'x'; 1 << 20];
    let mut large = launch("sleep", &["60"]).start_with(&input).unwrap();
    let accepted = large.accepted();
    assert!(0 < accepted && accepted < input.len(), "{accepted}");
    let refused = large.take_stdin().unwrap().write(&input[accepted..]).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::WouldBlock);
    large.kill();
    assert_eq!(large.wait().how, How::Signalled(9));
}

#[test]
fn an_end_that_nobody_hears_leaves_a_mark_and_no_other_does() {
    for containment in [Containment::Namespace, Containment::Subreaper] {
        let stage = Stage::new();
        let mark = stage.file("mark");
        let with_mark = |program, args: &[&str]| Launch {
            mark: Some(mark.clone()),
            containment,
            ..launch(program, args)
        };
        let mut heard = with_mark("true", &[]).start().unwrap();
        assert_eq!(heard.wait().how, How::Exited(0));
        drop(heard);
        assert!(!mark.exists());
        let unheard = with_mark("sleep", &["60"]).start().unwrap();
        unheard.abandon();
        until("the mark", || mark.exists());
    }
}
