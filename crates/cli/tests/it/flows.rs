//! Whole runs as text: a workflow, an agent, what a person does, and what comes of it.
//!
//! Each file of `tests/flows` is a workflow (`--- workflow`), a shell script as the agent (`--- agent`),
//! other files (`--- file PATH`), functions in Python (`--- host`), the commands of a person (`--- botpipe
//! ARGS`), and what a program that hosts the functions asks for (`--- rpc METHOD PARAMS`). Below these stand
//! its exit code, what the run's log has since, and what the agent wrote into its ledger, a file outside
//! the workspace that it finds as `$LEDGER`. `UPDATE_FLOWS=1` writes that anew; read it before you
//! commit it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::place::{Place, said};
use crate::rpc;

#[test]
fn every_flow_goes_as_it_is_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flows");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    if !rpc::has_python() {
        files.retain(|file| !fs::read_to_string(file).unwrap().contains("\n--- rpc "));
    }
    assert!(!files.is_empty(), "there are no flows");
    let mut wrong = String::new();
    std::thread::scope(|scope| {
        let plays: Vec<_> = files
            .iter()
            .map(|file| {
                (file, scope.spawn(move || (fs::read_to_string(file).unwrap(), play(file))))
            })
            .collect();
        for (file, play) in plays {
            let (written, played) = play.join().unwrap();
            if std::env::var_os("UPDATE_FLOWS").is_some() {
                fs::write(file, &played).unwrap();
            } else if played != written {
                write!(wrong, "\n{} goes otherwise:\n{played}", file.display()).unwrap();
            }
        }
    });
    assert!(wrong.is_empty(), "{wrong}");
}

/// The whole file as it should read.
fn play(file: &Path) -> String {
    let written = fs::read_to_string(file).unwrap();
    let place = Place::new();
    let outside = tempfile::tempdir().unwrap();
    let ledger = outside.path().join("ledger");
    fs::write(&ledger, "").unwrap();
    let mut flow =
        Flow { place, ledger, agent: String::new(), task: String::new(), logged: 0, noted: 0 };
    let mut text = String::new();
    for (n, part) in format!("\n{written}").split("\n--- ").enumerate() {
        if n == 0 {
            text.push_str(part.trim_start_matches('\n'));
            continue;
        }
        let (head, body) = part.split_once('\n').unwrap_or((part, ""));
        let (word, rest) = head.split_once(' ').unwrap_or((head, ""));
        let body = match word {
            "workflow" => {
                flow.place.write("workflows/flow.sop.yaml", body);
                body.to_owned()
            }
            "agent" => {
                let ledger = flow.ledger.display();
                flow.agent = format!("LEDGER={ledger}\n{body}");
                body.to_owned()
            }
            "file" => {
                flow.place.write(rest, &format!("{}\n", body.trim_end()));
                body.to_owned()
            }
            // What a person does to a file meanwhile.
            "shell" => {
                let shell = std::process::Command::new("sh")
                    .args(["-c", rest])
                    .current_dir(flow.place.path())
                    .status();
                assert!(shell.unwrap().success(), "{}: {rest}", file.display());
                body.to_owned()
            }
            "host" => {
                flow.place.write("functions.py", body);
                body.to_owned()
            }
            "botpipe" => flow.command(rest),
            "rpc" => flow.asked(rest),
            _ => panic!("{}: nobody says `--- {word}`", file.display()),
        };
        write!(text, "\n--- {head}\n{}", body.trim_end_matches('\n')).unwrap();
        text.push('\n');
    }
    // Sections are set apart by one empty line.
    text.trim_end().to_owned() + "\n"
}

struct Flow {
    place: Place,
    ledger: std::path::PathBuf,
    agent: String,
    /// The task of the last run.
    task: String,
    /// Lines of the log and of the ledger that were shown.
    logged: usize,
    noted: usize,
}

impl Flow {
    /// Does what a person does, and tells what came of it.
    fn command(&mut self, line: &str) -> String {
        let words = words(line);
        let mut args: Vec<&str> = words.iter().map(String::as_str).collect();
        if args[0] == "run" && !args.contains(&"--provider") {
            args.extend(["--provider", "command", "--", "sh", "-c", &self.agent]);
        }
        if args[0] == "run" && args.ends_with(&["--provider", "acp"]) {
            args.extend(["--", "sh", "-c", &self.agent]);
        }
        let said = said(&self.place.command(&args).output().unwrap());
        let mut text = format!("exits {}\n", said.code);
        if matches!(args[0], "check" | "runs") || matches!(said.code, 2 | 7) {
            text.push_str(self.plain(&said.err).trim_end());
            text.push('\n');
        }
        if let Some(output) = said.json().get("output") {
            writeln!(text, "output {output}").unwrap();
        }
        if let Some(at) = args.iter().position(|arg| *arg == "--task") {
            (self.task, self.logged) = (args[at + 1].to_owned(), 0);
        }
        self.log(&mut text);
        text
    }

    /// What the log and the ledger have since.
    fn log(&mut self, text: &mut String) {
        let log = self.place.say(&["logs", "flow", &self.task]).out;
        let lines: Vec<_> = log.lines().filter_map(told).collect();
        for line in &lines[self.logged.min(lines.len())..] {
            writeln!(text, "  {}", self.plain(line)).unwrap();
        }
        self.logged = lines.len();
        let ledger = fs::read_to_string(&self.ledger).unwrap();
        for line in ledger.lines().skip(self.noted) {
            writeln!(text, "  agent: {}", self.plain(line)).unwrap();
        }
        self.noted = ledger.lines().count();
    }

    /// Asks as a host does, and tells what came of it.
    fn asked(&mut self, line: &str) -> String {
        let (method, params) = line.split_once(' ').unwrap();
        let mut params: Value = serde_json::from_str(params).unwrap();
        if method == "run/start" {
            params["provider"] = json!({ "name": "command", "args": ["sh", "-c", self.agent] });
        }
        let said = rpc::asks(&self.place, method, &params);
        let mut text = match said.get("error") {
            Some(error) => format!("error {}: {}\n", error["code"], error["message"]),
            None => format!("exits {}\n", said["exit_code"]),
        };
        if let Some(output) = said.get("output") {
            writeln!(text, "output {output}").unwrap();
        }
        if let Some(task) = params["task"].as_str().filter(|task| *task != self.task) {
            (self.task, self.logged) = (task.to_owned(), 0);
        }
        self.log(&mut text);
        self.plain(&text)
    }

    /// Without what differs from run to run.
    fn plain(&self, text: &str) -> String {
        text.replace(&*self.place.path().to_string_lossy(), "WORKSPACE")
    }
}

/// A line of a log without its time; those that only say where a run's files are tell nothing here.
fn told(line: &str) -> Option<&str> {
    let words = line.get(20..)?;
    let of_files = words.starts_with("output: ") || words.starts_with("run r");
    (!of_files && line.starts_with(|c: char| c.is_ascii_digit())).then_some(words)
}

/// Words as a shell has them: blanks part them, quotes keep them together.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = None;
    for c in line.chars() {
        match c {
            '"' | '\'' if quoted.is_none() => quoted = Some(c),
            c if quoted == Some(c) => quoted = None,
            ' ' if quoted.is_none() => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words
}
