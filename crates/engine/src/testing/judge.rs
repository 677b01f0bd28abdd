//! Holds what came of a case against what it expects.

use std::io;
use std::path::Path;

use botpipe_kernel::run::{Event, Lifecycle};
use serde_json::Value;

use super::host::Scripts;
use super::{Case, Content, Recorded};
use crate::engine::RunView;
use crate::plain;
use crate::projection::word;
use crate::prompt::{ItemRoot, Roots, WorkflowRoot, render};
use crate::recording::{Family, facts};
use crate::scratch;

/// What a case left behind.
pub(super) struct Came<'c> {
    pub(super) case: &'c Case,
    pub(super) view: &'c RunView,
    /// The run, and all below it.
    pub(super) family: &'c Family,
    pub(super) scripts: &'c Scripts,
    pub(super) folder: &'c Path,
    pub(super) exit: u8,
    /// Answers that nothing asked for.
    pub(super) answers_left: usize,
    /// Recordings are only to be written anew: they need not fit.
    pub(super) update: bool,
}

impl Came<'_> {
    /// All that does not hold.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        self.end(&mut problems);
        self.way(&mut problems);
        let expect = &self.case.expect;
        for (name, content) in &expect.artifacts {
            match self.artifact_path(name) {
                Ok(path) => {
                    self.holds(&format!("artifact `{name}`"), &path, content, &mut problems);
                }
                Err(why) => problems.push(format!("artifact `{name}`: {why}")),
            }
        }
        for (path, content) in &expect.files {
            let real = path.replace("{{ workflow.folder }}", &self.folder_name());
            self.holds(&format!("file `{path}`"), &real, content, &mut problems);
        }
        if let Some(expected) = &expect.changed {
            match scratch::changed(self.folder) {
                Ok(changed) => {
                    let changed: Vec<String> = changed.into_iter().map(|(_, path)| path).collect();
                    let mut sorted = expected.clone();
                    sorted.sort();
                    if changed != sorted {
                        problems.push(format!(
                            "changed files: expected {}, found {}",
                            words(&sorted),
                            words(&changed)
                        ));
                    }
                }
                Err(error) => problems.push(error.to_string()),
            }
        }
        problems.extend(self.scripts.problems());
        problems
    }

    fn folder_name(&self) -> String {
        self.view.folder.display().to_string()
    }

    /// How the run ended, and why.
    fn end(&self, problems: &mut Vec<String>) {
        let expect = &self.case.expect;
        let lifecycle = &self.view.state.lifecycle;
        let state = word(lifecycle);
        let why = match lifecycle {
            Lifecycle::Stopped(stop) => format!(": {stop}"),
            Lifecycle::Waiting(question) => format!(": {}", question.text),
            _ => String::new(),
        };
        if let Some(expected) = expect.state
            && expected != state
        {
            problems.push(format!("state: expected {expected}, found {state}{why}"));
        }
        if let Some(expected) = expect.exit
            && expected != self.exit
        {
            problems.push(format!("exit code: expected {expected}, found {}{why}", self.exit));
        }
        if expect.state.is_none() && expect.exit.is_none() && self.exit != 0 {
            problems.push(format!("the run did not end well: {state}{why}"));
        }
        let says = |what: &str, wanted: &Option<String>, found: Option<String>| {
            let wanted = wanted.as_ref()?;
            let good = found.as_ref().is_some_and(|found| found.contains(wanted));
            let found = found.map_or_else(|| "nothing".to_owned(), |found| format!("`{found}`"));
            (!good).then(|| format!("{what}: expected `{wanted}` in it, found {found}"))
        };
        let asked = match lifecycle {
            Lifecycle::Waiting(question) => Some(question.text.clone()),
            _ => self.view.events.iter().rev().find_map(|stored| match &stored.event {
                Event::QuestionAsked { question } => Some(question.text.clone()),
                _ => None,
            }),
        };
        let reason = match lifecycle {
            Lifecycle::Stopped(stop) => Some(stop.to_string()),
            _ => None,
        };
        problems.extend(says("question", &expect.question, asked));
        problems.extend(says("reason", &expect.reason, reason));
        if self.answers_left > 0 {
            let n = self.answers_left;
            problems.push(format!("answers: the last {n} were not asked for"));
        }
    }

    /// Which way it went.
    fn way(&self, problems: &mut Vec<String>) {
        let expect = &self.case.expect;
        if let Some(expected) = &expect.routes {
            let taken: Vec<String> =
                self.routes().into_iter().map(|(step, tag)| format!("{step}: {tag}")).collect();
            let expected: Vec<String> =
                expected.iter().map(|(step, tag)| format!("{step}: {tag}")).collect();
            problems.extend(first_difference("route", &expected, &taken));
        }
        let turns = self.family.turns();
        let count = u32::try_from(turns.len()).unwrap_or(u32::MAX);
        if let Some(expected) = expect.turns
            && expected != count
        {
            problems.push(format!("turns: expected {expected}, found {count}"));
        }
        for (name, expected) in &expect.calls {
            let found = self.scripts.calls(name);
            if *expected != found {
                problems.push(format!(
                    "calls of function `{name}`: expected {expected}, found {found}"
                ));
            }
        }
        match &self.case.agent {
            Recorded::Cassette { path, events, .. } if !events.is_empty() && !self.update => {
                let what = format!("`{path}` tells another run; event");
                problems.extend(first_difference(&what, events, &facts(self.family)));
            }
            Recorded::Cassette { .. } => {}
            Recorded::Script(cassette) => {
                for (path, _) in cassette.turns.iter().filter(|(path, _)| !turns.contains(path)) {
                    problems.push(format!("turn `{path}` was never asked"));
                }
            }
        }
    }

    /// Visits, by step and item, and the route each took.
    fn routes(&self) -> Vec<(String, String)> {
        let taken = self.view.events.iter().filter_map(|stored| match &stored.event {
            Event::RouteTaken { visit, tag, .. } => {
                let place = visit.to_string();
                let place = place.rsplit_once('/').map_or(place.as_str(), |(place, _)| place);
                Some((place.to_owned(), tag.to_string()))
            }
            _ => None,
        });
        taken.collect()
    }

    /// Where an artifact lies: `NAME`, or `NAME[ITEM]` for one whose path names the item.
    fn artifact_path(&self, name: &str) -> Result<String, String> {
        let (plain, item) = match name.split_once('[') {
            Some((plain, item)) => (plain, Some(item.trim_end_matches(']'))),
            None => (name, None),
        };
        let plan = &self.view.state.plan;
        let found = plan.artifacts.iter().find(|(known, _)| known.as_str() == plain);
        let Some((_, artifact)) = found else { return Err("there is no such artifact".to_owned()) };
        let roots = Roots {
            workflow: WorkflowRoot { name: plan.name.to_string(), folder: self.folder_name() },
            item: item.map(|id| ItemRoot {
                id: id.to_owned(),
                title: id.to_owned(),
                status: String::new(),
                payload: Value::Null,
                index: 0,
                count: 0,
                dir_key: id.to_owned(),
            }),
            ..Roots::default()
        };
        let path = render("its path", &artifact.path, &roots).map_err(|error| {
            format!("{error}; name the item, as in `{plain}[ITEM]`, or use `files`")
        })?;
        let owner = artifact.owner.as_ref().map(|owner| format!("{owner}/")).unwrap_or_default();
        Ok(format!("{}/{owner}{path}", self.folder_name()))
    }

    fn holds(&self, what: &str, path: &str, content: &Content, problems: &mut Vec<String>) {
        let bytes = match plain::peek(&self.folder.join(path), LARGEST) {
            Ok(bytes) if content.exists => bytes,
            Ok(_) => return problems.push(format!("{what}: it is there, and should not be")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if content.exists {
                    problems.push(format!("{what}: it is not there ({path})"));
                }
                return;
            }
            Err(error) => return problems.push(format!("{what}: {error}")),
        };
        let text = String::from_utf8_lossy(&bytes);
        if let Some(expected) = &content.equals
            && *expected != text
        {
            let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
            let line = first_difference("line", &lines(expected), &lines(&text));
            let line = line.unwrap_or_else(|| "it ends otherwise".to_owned());
            problems.push(format!("{what}: {line}"));
        }
        for part in content.contains.iter().filter(|part| !text.contains(part.as_str())) {
            problems.push(format!("{what}: `{part}` is not in it"));
        }
        for part in content.lacks.iter().filter(|part| text.contains(part.as_str())) {
            problems.push(format!("{what}: `{part}` is in it"));
        }
        if let Some(expected) = &content.json {
            match serde_json::from_str::<Value>(&text) {
                Ok(found) => problems.extend(
                    subset(expected, &found, "").map(|problem| format!("{what}: {problem}")),
                ),
                Err(error) => problems.push(format!("{what}: it is no JSON: {error}")),
            }
        }
    }
}

/// Where two lists first differ.
fn first_difference(what: &str, expected: &[String], found: &[String]) -> Option<String> {
    let at = expected.iter().zip(found).take_while(|(a, b)| a == b).count();
    let of =
        |list: &[String]| list.get(at).map_or("nothing more".to_owned(), |it| format!("`{it}`"));
    (expected != found)
        .then(|| format!("{what} {}: expected {}, found {}", at + 1, of(expected), of(found)))
}

/// What of `expected` is not in `found`: the first place.
pub(super) fn subset(expected: &Value, found: &Value, place: &str) -> Option<String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            expected.iter().find_map(|(key, expected)| {
                let place = format!("{place}/{key}");
                match found.get(key) {
                    Some(found) => subset(expected, found, &place),
                    None => Some(format!("`{place}` is not there")),
                }
            })
        }
        (Value::Array(wanted), Value::Array(found)) => {
            if wanted.len() != found.len() {
                let (of, is) = (wanted.len(), found.len());
                return Some(format!("`{place}` has {is} entries, expected {of}"));
            }
            let mut pairs = wanted.iter().zip(found).enumerate();
            pairs.find_map(|(at, (a, b))| subset(a, b, &format!("{place}/{at}")))
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => None,
        (a, b) if a == b => None,
        (a, b) => Some(format!("`{place}`: expected {a}, found {b}")),
    }
}

fn words(paths: &[String]) -> String {
    if paths.is_empty() { "none".to_owned() } else { paths.join(", ") }
}

/// More than any file of a scenario has.
const LARGEST: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_part_of_a_json_text_may_leave_keys_out_but_no_entries() {
        let found = json!({ "a": [{ "id": 1, "more": true }], "b": "x", "c": 2.0 });
        let misses = |part| subset(&part, &found, "");
        assert_eq!(misses(json!({ "a": [{ "id": 1 }], "c": 2 })), None);
        assert_eq!(misses(json!({ "d": 1 })).unwrap(), "`/d` is not there");
        assert_eq!(misses(json!({ "a": [] })).unwrap(), "`/a` has 1 entries, expected 0");
        let wrong = misses(json!({ "a": [{ "id": 2 }] })).unwrap();
        assert_eq!(wrong, "`/a/0/id`: expected 2, found 1");
    }

    #[test]
    fn lists_differ_at_a_place_or_by_their_length() {
        let list = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(first_difference("route", &list("a b"), &list("a b")), None);
        let says = |a, b| first_difference("route", &list(a), &list(b)).unwrap();
        assert_eq!(says("a b", "a c"), "route 2: expected `b`, found `c`");
        assert_eq!(says("a b", "a"), "route 2: expected `b`, found nothing more");
        assert_eq!(says("a", "a b"), "route 2: expected nothing more, found `b`");
    }
}
