//! Unix sockets: nobody in the sandbox talks to the host by one that it has not made itself, however the host's
//! is called by now and whatever lets its folder be read.

use std::os::unix::net::UnixListener;

use crate::place::{Place, Said};

const PYTHON: &str = "import socket; it = socket.socket(socket.AF_UNIX)\n";

fn python(place: &Place, policy: &str, script: &str, grant: Option<(&str, &str)>) -> Said {
    place.write("policy.yaml", policy);
    let script = format!("{PYTHON}{script}");
    let words = ["sandbox", "--policy", "policy.yaml", "--", "python3", "-c", &script];
    let mut command = place.command(&words);
    command.envs(grant);
    crate::place::said(&command.output().unwrap())
}

fn connect(path: &str) -> String {
    format!(
        "try: it.connect({path:?}); print('connected')\nexcept OSError as e: print('refused', e.errno)"
    )
}

#[test]
fn a_socket_of_the_host_in_the_workspace_is_closed_by_whatever_name_it_has() {
    let place = Place::new();
    let long = "d".repeat(120);
    std::fs::create_dir(place.path().join(&long)).unwrap();
    let listener = UnixListener::bind(place.path().join("made")).unwrap();
    for name in ["renamed".to_owned(), format!("{long}/deep")] {
        let before = if name == "renamed" { "made" } else { "renamed" };
        std::fs::rename(place.path().join(before), place.path().join(&name)).unwrap();
        for policy in ["allow_write: [.]\n", "sandbox_mode: read_only\n"] {
            let at = name.rsplit('/').next().unwrap();
            let script = format!("import os; os.chdir({long:?}) if '/' in {name:?} else 0\n");
            let said = python(&place, policy, &(script + &connect(at)), None).ends(0);
            assert!(said.out.starts_with("refused"), "{name}, {policy}: {said:?}");
        }
    }
    drop(listener);
}

/// Tests leave their sockets behind, and make them anew in the next run.
#[test]
fn what_was_left_behind_is_taken_away_and_made_anew_and_serves() {
    let place = Place::new();
    drop(UnixListener::bind(place.path().join("left")).unwrap());
    let script = "import os\n\
        os.unlink('left'); it.bind('left'); it.listen()\n\
        if os.fork() == 0: socket.socket(socket.AF_UNIX).connect('left'); os._exit(0)\n\
        it.accept(); print('served', os.wait()[1])";
    let said = python(&place, "allow_write: [.]\n", script, None).ends(0);
    assert_eq!(said.out, "served 0\n");
}

#[test]
fn reading_a_folder_opens_no_socket_in_it() {
    let place = Place::new();
    let outside = tempfile::tempdir().unwrap();
    let path = outside.path().canonicalize().unwrap();
    let (folder, socket) = (path.display().to_string(), path.join("daemon.sock"));
    let listener = UnixListener::bind(&socket).unwrap();
    let socket = socket.display().to_string();
    let try_it = connect(&socket);
    for policy in [
        format!("allow_read: [., {folder}]\n"),
        format!("allow_read: [/]\nallow_write: [., {folder}]\n"),
        format!("allow_read: [., {socket}]\n"),
    ] {
        let said = python(&place, &policy, &try_it, None).ends(0);
        assert_eq!(said.out, "refused 13\n", "{policy}");
    }
    for grant in [
        ("BOTPIPE_ALLOW_READ", &*socket),
        ("BOTPIPE_ALLOW_READ", &*folder),
        ("BOTPIPE_ALLOW_WRITE", &*folder),
    ] {
        let said = python(&place, "allow_write: [.]\n", &try_it, Some(grant)).ends(0);
        assert_eq!(said.out, "refused 13\n", "{grant:?}");
    }
    // Who names the very socket to be written means it.
    let grant = ("BOTPIPE_ALLOW_WRITE", &*socket);
    let said = python(&place, "allow_write: [.]\n", &try_it, Some(grant)).ends(0);
    assert_eq!(said.out, "connected\n");
    drop(listener);
}
