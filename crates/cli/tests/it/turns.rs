//! What one turn has of its own: the policy that it alone is bound by.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{at_home, program};
use crate::place::{Place, Said, said};

/// A workspace whose Codex answers `done`, and writes down what is asked of it outside of the workspace.
struct Heard {
    place: Place,
    outside: tempfile::TempDir,
    script: PathBuf,
}

impl Heard {
    fn new(workflow: &str) -> Self {
        let place = Place::with("hello", workflow);
        let outside = tempfile::tempdir().unwrap();
        let fake = program(outside.path(), "codex", "0.169.0");
        let (fake, ledger) = (fake.display(), outside.path().join("heard"));
        let wrapper = outside.path().join("codex");
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in\n*--script*) tee -a '{}' | '{fake}' \"$@\" ;;\n*) exec '{fake}' \
             \"$@\" ;;\nesac\n",
            ledger.display()
        );
        fs::write(&wrapper, text).unwrap();
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/codex");
        let play = |name: &str| format!("play {}\n", folder.join(name).display());
        let lines = ["_opening.txt", "_answer.txt", "_end_silent.txt"].map(play).concat();
        let script = place.write("done.txt", &lines);
        Self { place, outside, script }
    }

    fn run(&self, more: &[&str]) -> Said {
        let mut run = self.place.command(&["run", "hello", "--task", "t", "--json"]);
        run.args(["--provider", "codex", "--program"]).arg(self.outside.path().join("codex"));
        run.args(more).args(["--", "--script"]).arg(&self.script);
        at_home(&mut run, &self.place);
        said(&run.output().unwrap())
    }

    /// What was said of a turn's sandbox, turn by turn.
    fn sandboxes(&self) -> Vec<Value> {
        let heard = fs::read_to_string(self.outside.path().join("heard")).unwrap();
        let asked = heard.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let turns = asked.filter(|it| it["method"] == "turn/start");
        turns.map(|it| it["params"]["sandboxPolicy"].clone()).collect()
    }
}

const JUDGED: &str = "\
sop: 1
name: hello
policy: { network: none }
steps:
  - id: make
    produce: Make it.
    verify: { prompt: Judge it., policy: { sandbox_mode: read_only } }
    policy: { sandbox_mode: workspace_write, network: full }
    routes: { done: look }
  - id: look
    prompt: { prompt: Look., policy: { sandbox_mode: read_only } }
";

#[test]
fn a_policy_of_one_turn_binds_that_turn_and_is_recorded_with_it() {
    let heard = Heard::new(JUDGED);
    heard.run(&[]).ends(0);
    let asked = heard.sandboxes();
    assert_eq!(asked[0]["type"], "workspaceWrite");
    assert_eq!(asked[1], json!({ "type": "readOnly", "networkAccess": true }), "{asked:?}");
    assert_eq!(asked[2], json!({ "type": "readOnly", "networkAccess": false }), "{asked:?}");
    assert_eq!(asked.len(), 3);

    let recorded = |turn: &str| {
        let said = heard.place.say(&["logs", "hello", "t", "--turn", turn, "--trace", "--json"]);
        let kept = said.ends(0).json();
        let policy = &kept["policy"];
        assert_eq!(policy["enforced_by"], "codex", "{kept}");
        (policy["sandbox_mode"].clone(), policy["network"].clone())
    };
    assert_eq!(recorded("make/1/producer/1"), (json!("workspace_write"), json!("full")));
    assert_eq!(recorded("make/1/verifier/1"), (json!("read_only"), json!("full")));
    assert_eq!(recorded("look/1/worker/1"), (json!("read_only"), json!("none")));
}

#[test]
fn a_dry_run_tells_the_policies_of_one_step_apart() {
    let heard = Heard::new(JUDGED);
    let said = heard.run(&["--dry-run"]).ends(0).json();
    let (make, look) = (&said["steps"][0], &said["steps"][1]);
    assert_eq!(make["policy"]["sandbox_mode"], "workspace_write");
    assert_eq!(make["policies"]["verifier"]["sandbox_mode"], "read_only");
    assert_eq!(look["policy"]["network"], "none");
    assert_eq!(look["policies"], Value::Null);
}

#[test]
fn a_policy_of_one_turn_that_nobody_enforces_is_refused() {
    let place = Place::with("hello", JUDGED);
    let said = place.run("hello", "true", &[]).ends(7);
    assert!(
        said.err.contains("step `make` asks for `sandbox_mode: workspace_write`"),
        "{}",
        said.err
    );
    let open = JUDGED.replace("workspace_write", "danger_full_access");
    let place = Place::with("hello", &open);
    let said = place.run("hello", "true", &[]).ends(7);
    let words = "the verifier of step `make` asks for `sandbox_mode: read_only`";
    assert!(said.err.contains(words), "{}", said.err);
    place.say(&["runs", "show", "hello", "t1"]).ends(3);
}
