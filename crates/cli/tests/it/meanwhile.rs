//! What the host, or another program, does in the workspace while a program runs there.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::place::{Place, Said, said, wait_for};

/// A workspace beside a home of its own.
struct Ground {
    place: Place,
    beside: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let ground = Self { place: Place::new(), beside: tempfile::tempdir().unwrap() };
        fs::create_dir(ground.beside.path().join("home")).unwrap();
        ground
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// The binary with these words, as the person of that home.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.place.command(words);
        command.env("HOME", self.beside.path().join("home")).env_remove("XDG_STATE_HOME");
        command
    }

    /// A command in the sandbox, to its end.
    fn runs(&self, script: &str) -> Said {
        said(&self.command(&["sandbox", "--", "sh", "-c", script]).output().unwrap())
    }

    /// A command in the sandbox that goes on until there is a file `go`, once it runs.
    fn begins(&self, script: &str) -> Child {
        let script = format!("touch begun; {script}");
        let mut child = self.command(&["sandbox", "--", "sh", "-c", &script]);
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for("the command", &self.at("begun"), &mut child);
        fs::remove_file(self.at("begun")).unwrap();
        child
    }

    fn ends(child: Child) -> Said {
        said(&child.wait_with_output().unwrap())
    }
}

const UNTIL_GO: &str = "until test -e go; do sleep 0.02; done";

#[test]
fn a_first_run_beside_a_command_keeps_its_state() {
    let ground = Ground::new();
    ground.place.write(
        "workflows/one.sop.yaml",
        "sop: 1\nname: one\nsteps:\n  - { id: wait, run: 'touch running; until test -e went; do sleep 0.02; done' }\n",
    );
    let command = ground.begins(&format!("mkdir .botpipe/x; echo x > .botpipe/y; {UNTIL_GO}"));
    let mut run = ground.command(&["run", "one", "x"]);
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the step", &ground.at("running"), &mut run);
    fs::write(ground.at("go"), "").unwrap();
    let told = Ground::ends(command).ends(0);
    assert!(!told.err.contains("was made by a program"), "{told:?}");
    fs::write(ground.at("went"), "").unwrap();
    Ground::ends(run).ends(0);
    assert!(ground.at(".botpipe/botpipe.db").exists());
    assert!(!ground.at(".botpipe/x").exists() && !ground.at(".botpipe/y").exists());
}

#[test]
fn nothing_is_left_of_botpipes_own_folder_where_no_run_began() {
    let ground = Ground::new();
    let said = ground.runs("mkdir -p .botpipe/workflows; echo x > .botpipe/y; rmdir .botpipe; true");
    assert!(!said.ends(0).err.contains("was made by a program"));
    assert!(!ground.at(".botpipe").exists());
}
