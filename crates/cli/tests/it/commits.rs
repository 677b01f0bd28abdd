//! How many commits a step of each kind takes, counted by the steps themselves in the database's log, which
//! only those without a sandbox see.

use std::fs;

use crate::place::Place;

/// Copies the log as it is while this visit runs.
const LOOK: &str = "cp .botpipe/botpipe.db-wal log.$BOTPIPE_ROLE.$BOTPIPE_VISIT";

/// At the end of a workflow whose steps see our records.
const OPEN: &str = "policy: { sandbox_mode: danger_full_access, network: full }\n";

/// Commits in a copied log: its frames that say how long the database is afterwards.
fn commits(log: &[u8]) -> usize {
    const HEAD: usize = 32;
    const FRAME: usize = 24;
    let word = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let page = usize::try_from(word(8)).unwrap();
    let salt = &log[16..24];
    (HEAD..)
        .step_by(FRAME + page)
        .take_while(|at| at + FRAME + page <= log.len() && log[at + 8..at + 16] == *salt)
        .filter(|at| word(at + 4) != 0)
        .count()
}

/// Fails unless four visits took `synced` commits each, or one more for each turn.
///
/// That a turn has started is written along with its end when it is short, else on its own, unsynced.
/// That it has ended is on its way at once, and shares a commit with what follows when that is quick.
/// A program that takes seconds leaves time for a heartbeat: one more in all.
#[track_caller]
fn expect(place: &Place, role: &str, synced: usize, turns: usize) {
    let seen =
        |visit: u32| commits(&fs::read(place.path().join(format!("log.{role}.{visit}"))).unwrap());
    let counts: Vec<usize> = (1..=5).map(seen).collect();
    assert!(counts.is_sorted(), "the log was begun anew, so it counts nothing: {counts:?}");
    let taken = counts[4] - counts[0];
    let most = synced + turns;
    assert!(taken <= 4 * most + 1, "more than {most} commits a visit: {counts:?}");
    let least = synced - turns;
    assert!(taken >= 4 * least, "fewer than {least} commits a visit: {counts:?}");
}

#[test]
fn a_run_step_takes_two_synced_commits() {
    let place = Place::with(
        "looks",
        &format!(
            "sop: 1\nname: looks\ntitle: Look\nsteps:\n  - id: look\n    run: \"{LOOK}\"\n    \
             max_visits: 9\n    routes: {{ done: SELF, failed: FAIL }}\n{OPEN}"
        ),
    );
    place.say(&["run", "looks", "--task", "t", "--max-steps", "5"]).ends(6);
    expect(&place, "script", 2, 1);
}

#[test]
fn a_prompt_step_takes_two_synced_commits() {
    let place = Place::with(
        "asks",
        &format!(
            "sop: 1\nname: asks\ntitle: Ask\nsteps:\n  - id: ask\n    prompt: Look.\n    \
             max_visits: 9\n    routes: {{ again: SELF, done: FINISH }}\n{OPEN}"
        ),
    );
    let agent = format!("cat > /dev/null; {LOOK}; {AGAIN}");
    run(&place, "asks", &agent);
    expect(&place, "worker", 2, 1);
}

#[test]
fn a_produced_and_verified_step_takes_four_synced_commits() {
    let place = Place::with(
        "makes",
        &format!(
            "sop: 1\nname: makes\ntitle: Make\nsteps:\n  - id: make\n    produce: Make it.\n    \
             verify: Judge it.\n    max_visits: 9\n    routes: {{ again: SELF, done: FINISH }}\n{OPEN}"
        ),
    );
    let agent = format!("cat > /dev/null; {LOOK}; {AGAIN}");
    run(&place, "makes", &agent);
    for role in ["producer", "verifier"] {
        expect(&place, role, 4, 2);
    }
}

const AGAIN: &str = r#"echo '{"outcome": {"tag": "again"}}'"#;

fn run(place: &Place, workflow: &str, agent: &str) {
    let args = ["run", workflow, "--task", "t", "--max-steps", "5", "--provider", "command"];
    let args = [&args[..], &["--", "sh", "-c", agent]].concat();
    place.say(&args).ends(6);
}
