//! The model's log as the judge of a run that was cut off: what was asked, in which conversation.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::kills::ground::{GroundError, error};

/// The requests that a model got for turns, in order.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) rows: Vec<Row>,
}

/// One request.
#[derive(Debug)]
pub(super) struct Row {
    /// The start of a turn that it is for: `plan/1/producer/1~2`.
    pub(super) turn: String,
    /// The rule that answered.
    pub(super) rule: String,
    /// Whether the answer was withheld.
    pub(super) silent: bool,
    /// The id of the command that was the answer.
    call: Option<String>,
    /// The harness's name of the conversation.
    session: String,
    /// The last thing that the user said.
    prompt: String,
    /// All of it.
    body: String,
}

/// How a turn that was cut off went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GoneOn {
    /// In its conversation.
    InConversation {
        /// The commands of the cut turn were in it too.
        with_deeds: bool,
    },
    /// In the conversation of the turns before it: the harness had not stored the cut turn itself.
    InEarlierOne,
    /// In a new conversation that was told so.
    Afresh,
}

impl Log {
    pub(super) fn read(path: &Path) -> Result<Self, GroundError> {
        let text = fs::read_to_string(path).map_err(|source| error(path, source))?;
        Ok(Self { rows: text.lines().filter_map(Row::parse).collect() })
    }

    /// The starts of turns that were asked for, in order, each once and anew after every cut (a number
    /// of requests); and how many there were at each cut.
    pub(super) fn begun(&self, cuts: &[usize]) -> (Vec<String>, Vec<usize>) {
        let mut begun: Vec<String> = Vec::new();
        let mut marks = Vec::new();
        for (n, row) in self.rows.iter().enumerate() {
            if cuts.get(marks.len()) == Some(&n) {
                marks.push(begun.len());
            }
            if !begun[marks.last().copied().unwrap_or(0)..].contains(&row.turn) {
                begun.push(row.turn.clone());
            }
        }
        marks.resize(cuts.len(), begun.len());
        (begun, marks)
    }

    /// How the turn that this request begins goes on where `cut` was cut off.
    ///
    /// `stored`: whether the harness had the cut turn in its home. `changed`: a file the cut turn left.
    pub(super) fn gone_on(
        &self,
        n: usize,
        cut: &str,
        stored: bool,
        changed: Option<&str>,
    ) -> Result<GoneOn, String> {
        let row = self.rows.get(n).ok_or_else(|| format!("nothing was asked after {cut}"))?;
        if path(&row.turn) != path(cut) {
            return Err(format!("{cut} was cut off, but what goes on is {}", row.turn));
        }
        let told = |words: &str| row.prompt.contains(words);
        if !told("An earlier start of this turn was cut off") {
            return Err(format!("{} was not told that {cut} was cut off", row.turn));
        }
        if let Some(file) = changed.filter(|file| !told(&format!("- `{file}`"))) {
            return Err(format!("{} was not told that `{file}` is changed", row.turn));
        }
        let before = self.rows[..n].iter().rfind(|row| row.turn == cut);
        let same = before.is_some_and(|before| before.session == row.session);
        let knows = row.body.contains(&format!("turn `{cut}`"));
        let continues = told("Your conversation continues");
        match (knows, continues) {
            (true, true) if !same => {
                Err(format!("{} has the conversation of {cut} under another name", row.turn))
            }
            (true, true) => Ok(GoneOn::InConversation { with_deeds: row.has_calls_of(self, cut) }),
            (false, _) if stored => {
                Err(format!("{} is without the conversation of {cut}, which was stored", row.turn))
            }
            (false, true) if row.contracts() > 1 => Ok(GoneOn::InEarlierOne),
            (false, true) => {
                Err(format!("{} was told of a conversation that is not there", row.turn))
            }
            (true, false) => Err(format!("{} was told that its conversation is gone", row.turn)),
            (false, false) if told("This is a new conversation") => Ok(GoneOn::Afresh),
            (false, false) => Err(format!("{} was not told that it begins anew", row.turn)),
        }
    }
}

impl Row {
    fn parse(line: &str) -> Option<Self> {
        let row: Value = serde_json::from_str(line).ok()?;
        let prompt = row["prompt"].as_str()?;
        Some(Self {
            turn: TURN.captures(prompt)?[1].to_owned(),
            rule: row["rule"].as_str().unwrap_or_default().to_owned(),
            silent: row["reply"] == "silent",
            call: row["reply"]["id"].as_str().map(str::to_owned),
            session: session_of(&row["body"]),
            prompt: prompt.to_owned(),
            body: row["body"].to_string(),
        })
    }

    /// Whether all commands that the model had the cut turn run stand in this conversation.
    fn has_calls_of(&self, log: &Log, cut: &str) -> bool {
        let mut of_cut = log.rows.iter().filter(|row| row.turn == cut);
        of_cut
            .all(|row| row.call.as_ref().is_none_or(|id| self.body.contains(&format!("\"{id}\""))))
    }

    /// How many contracts of turns stand in it.
    fn contracts(&self) -> usize {
        self.body.matches("# Step contract").count()
    }
}

/// What the harness calls the conversation of a request.
///
/// # Source
/// Codex CLI 0.169.0 and Claude Code 2.1.330, as they ask.
fn session_of(body: &Value) -> String {
    if let Some(thread) = body["prompt_cache_key"].as_str() {
        return thread.to_owned();
    }
    let user = body["metadata"]["user_id"].as_str().unwrap_or_default();
    let user: Value = serde_json::from_str(user).unwrap_or_default();
    user["session_id"].as_str().unwrap_or_default().to_owned()
}

fn path(turn: &str) -> &str {
    turn.split('~').next().unwrap_or(turn)
}

#[expect(clippy::expect_used, reason = "a constant pattern; every proof compiles it")]
static TURN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("(?m)^- Step: .* turn `([^`]+)`").expect("a valid pattern"));

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CUT: &str = "a/1/producer/1";
    const TOLD: &str = "An earlier start of this turn was cut off: it died.";
    const CONTINUES: &str = "Your conversation continues";
    const AFRESH: &str = "This is a new conversation";

    /// A request of a conversation, its last prompt being for a start of a turn.
    fn row(session: &str, before: &str, turn: &str, says: &[&str], call: Option<&str>) -> Row {
        let prompt = format!("# Step contract\n\n- Step: `a` · turn `{turn}`\n{}", says.join("\n"));
        let body = json!({ "prompt_cache_key": session, "input": [before, prompt] });
        let reply = json!({ "call": {}, "id": call });
        let line = json!({ "prompt": prompt, "rule": "r", "body": body, "reply": reply });
        Row::parse(&line.to_string()).unwrap()
    }

    fn gone_on(next: Row, stored: bool) -> Result<GoneOn, String> {
        let log = Log { rows: vec![row("s", "", CUT, &[], Some("call_1")), next] };
        log.gone_on(1, CUT, stored, None)
    }

    #[test]
    fn a_turn_goes_on_in_its_conversation_with_or_without_its_commands() {
        let said = format!("- Step: `a` · turn `{CUT}` \"call_1\"");
        let whole = row("s", &said, "a/1/producer/1~2", &[TOLD, CONTINUES], None);
        // JSON within JSON escapes the quotes of the call's name.
        assert_eq!(gone_on(whole, true), Ok(GoneOn::InConversation { with_deeds: false }));
        let mut whole = row("s", &said, "a/1/producer/1~2", &[TOLD, CONTINUES], None);
        whole.body.push_str("\"call_1\"");
        assert_eq!(gone_on(whole, true), Ok(GoneOn::InConversation { with_deeds: true }));
    }

    #[test]
    fn a_conversation_that_was_stored_may_not_be_left() {
        let afresh = || row("t", "", "a/1/producer/1~2", &[TOLD, AFRESH], None);
        assert!(gone_on(afresh(), true).unwrap_err().contains("which was stored"));
        assert_eq!(gone_on(afresh(), false), Ok(GoneOn::Afresh));
    }

    #[test]
    fn what_is_not_told_or_told_wrongly_is_a_fault() {
        let said = format!("turn `{CUT}`");
        let next =
            |session, before, says: &[&str]| row(session, before, "a/1/producer/1~2", says, None);
        let silent = next("s", &said, &[CONTINUES]);
        assert!(gone_on(silent, true).unwrap_err().contains("was not told that"));
        let wrong = next("s", &said, &[TOLD, AFRESH]);
        assert!(gone_on(wrong, true).unwrap_err().contains("told that its conversation is gone"));
        let lie = next("s", "", &[TOLD, CONTINUES]);
        assert!(gone_on(lie, false).unwrap_err().contains("that is not there"));
        let copied = next("t", &said, &[TOLD, CONTINUES]);
        assert!(gone_on(copied, true).unwrap_err().contains("under another name"));
        let other = row("s", &said, "b/1/producer/1", &[TOLD, CONTINUES], None);
        assert!(gone_on(other, true).unwrap_err().contains("what goes on is b/1"));
    }

    #[test]
    fn starts_count_anew_after_a_cut() {
        let rows = [CUT, CUT, CUT, "b/1/producer/1"];
        let rows = rows.map(|turn| row("s", "", turn, &[], None)).into();
        let (begun, marks) = Log { rows }.begun(&[2]);
        assert_eq!(begun, [CUT, CUT, "b/1/producer/1"]);
        assert_eq!(marks, [1]);
    }
}
