//! A process is told from its successor with the same number.

use std::process::Command;

use botpipe_sandbox::{Identity, Liveness, is_alive, own_identity, process_identity};

use crate::stage::until;

#[test]
fn this_process_is_alive() {
    let own = own_identity().unwrap();
    assert_eq!(own.pid, std::process::id());
    assert_eq!(Some(&own), process_identity(own.pid).as_ref());
    assert_eq!(is_alive(&own), Liveness::Alive);
}

#[test]
fn a_number_that_is_somebody_elses_now_is_dead() {
    let own = own_identity().unwrap();
    let earlier = Identity { start_ticks: own.start_ticks - 1, ..own };
    assert_eq!(is_alive(&earlier), Liveness::Dead);
}

#[test]
fn a_process_of_another_boot_is_dead_wherever_it_lived() {
    let own = own_identity().unwrap();
    let boot_id = "00000000-0000-0000-0000-000000000000".to_owned();
    let earlier = Identity { boot_id, pid_namespace: "pid:[1]".into(), ..own };
    assert_eq!(is_alive(&earlier), Liveness::Dead);
}

#[test]
fn a_process_of_another_namespace_is_unknown() {
    let own = own_identity().unwrap();
    let elsewhere = Identity { pid_namespace: "pid:[1]".into(), ..own };
    assert_eq!(is_alive(&elsewhere), Liveness::Unknown);
}

#[test]
fn an_ended_process_is_dead_also_while_nobody_collected_it() {
    let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let identity = process_identity(child.id()).unwrap();
    assert_eq!(is_alive(&identity), Liveness::Alive);
    drop(child.stdin.take());
    until("it is a zombie", || is_alive(&identity) == Liveness::Dead);
    child.wait().unwrap();
    assert_eq!(is_alive(&identity), Liveness::Dead);
    assert_eq!(process_identity(identity.pid), None);
}
