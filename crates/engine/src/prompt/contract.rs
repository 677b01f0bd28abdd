//! The step contract: what the engine appends to the author's prompt, so that a turn knows what binds it.

#![expect(clippy::format_push_string, reason = "a line of text reads best as one format")]

use botpipe_kernel::ids::{Role, TurnId};
use botpipe_kernel::run::Feedback;
use serde_json::Value;

use super::feedback::feedback_text;
use super::listed::Schemas;
use super::text::{excerpt, fenced, one_line, quoted};

/// All that is said to one turn beside the author's prompt; paths are relative to the workspace.
#[derive(Debug, Clone)]
pub struct Contract {
    pub workflow: String,
    pub step: String,
    pub title: Option<String>,
    pub role: Role,
    pub turn: TurnId,
    /// The way to the run it belongs to, from the run that nobody else started; empty for that one.
    pub way: String,
    /// Which visit of the step this is, and how many there may be.
    pub visit_n: u32,
    pub max_visits: u32,
    pub item: Option<ItemLine>,
    /// The run's input; a JSON object.
    pub input: Option<Value>,
    /// Files that may help.
    pub reads: Vec<ReadLine>,
    /// Files that are there and were found valid.
    pub requires: Vec<ReadLine>,
    pub writes: Vec<WriteLine>,
    /// Files and folders to be left as they are.
    pub protect: Vec<String>,
    pub checks: Vec<CheckLine>,
    /// Routes this turn may pick; empty when it picks none.
    pub routes: Vec<OfferedRoute>,
    /// Text of the route that led here.
    pub handoff: Option<String>,
    /// A person's answer to what this step asked.
    pub answer: Option<String>,
    /// What people said to the run since the last turn.
    pub said: Vec<String>,
    /// What earlier runs of the task have to do with this conversation.
    pub earlier: Option<String>,
    pub feedback: Vec<Feedback>,
    pub interruption: Option<InterruptionNote>,
    pub attached: Option<AttachedNote>,
    pub wanted: Wanted,
}

/// What the answer of a turn that decides is to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wanted {
    /// One of the routes.
    #[default]
    Route,
    /// One of the choices, which stand in the routes' place.
    Choice,
    /// The payload of the one route.
    Value,
}

/// The current item.
#[derive(Debug, Clone)]
pub struct ItemLine {
    pub id: String,
    pub title: Option<String>,
}

/// A file to read.
#[derive(Debug, Clone)]
pub struct ReadLine {
    pub name: String,
    /// `json`, `md`, `text` or `raw`.
    pub format: String,
    pub path: String,
    pub exists: bool,
}

/// A file this turn may write.
#[derive(Debug, Clone)]
pub struct WriteLine {
    pub name: String,
    /// `json`, `md`, `text` or `raw`.
    pub format: String,
    pub path: String,
    pub required: bool,
    /// JSON Schema of the content.
    pub schema: Option<String>,
}

/// A check the engine ran.
#[derive(Debug, Clone)]
pub struct CheckLine {
    pub name: String,
    /// `passed`, `skipped`, or how it failed.
    pub status: String,
    pub output: String,
}

/// A route this turn may pick.
#[derive(Debug, Clone)]
pub struct OfferedRoute {
    pub tag: String,
    pub summary: Option<String>,
    /// What taking it does, in words: "go to step `implement`".
    pub target: String,
    pub required_writes: Vec<String>,
    pub required_checks: Vec<String>,
    /// JSON Schema of the payload.
    pub payload_schema: Option<String>,
    /// JSON Schema of the route fields.
    pub fields_schema: Option<String>,
    /// Whether taking it asks a person.
    pub asks: bool,
    /// Whether the step has it without saying so: it is named briefly, and last.
    pub inherited: bool,
}

/// What is said to a turn that is started again, or that has to do without its conversation.
#[derive(Debug, Clone)]
pub struct InterruptionNote {
    /// One or two sentences; `None`: nothing was interrupted.
    pub what_happened: Option<String>,
    /// Files that differ from the start of the visit.
    pub changed: Vec<String>,
    pub recalls: Recalls,
    /// What was done before, a line each, for a new conversation.
    pub summary: Vec<String>,
}

/// How much of its conversation an agent still has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recalls {
    All,
    /// What was said up to the end of a completed turn.
    UpToCheckpoint,
    Nothing,
}

/// What is said to a turn after a person was in a conversation of the run.
#[derive(Debug, Clone)]
pub struct AttachedNote {
    /// It was the one that this turn goes on with.
    pub own: bool,
    /// Files that differ from what they were before.
    pub changed: Vec<String>,
}

/// How much of a contract is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What the agent is given.
    Whole,
    /// All but the interruption and what a person did: the same text for every start of a turn.
    WithoutInterruption,
}

const OUTPUT_LIMIT: usize = 4_000;
const TEXT_LIMIT: usize = 16_000;
const TITLE_LIMIT: usize = 200;
const CHANGED_SHOWN: usize = 50;

impl Contract {
    /// The contract as Markdown; the same for the same data.
    pub fn render(&self, part: Part) -> String {
        let mut schemas = Schemas::default();
        let mut out = self.head(part);
        self.given(&mut out);
        self.files(&mut out, &mut schemas);
        self.checks(&mut out);
        self.answer_wanted(&mut out, &mut schemas);
        schemas.render(&mut out);
        self.retry(&mut out);
        if let (Part::Whole, Some(earlier)) = (part, &self.earlier) {
            section(&mut out, "Earlier runs", earlier);
        }
        if let (Part::Whole, Some(note)) = (part, &self.interruption) {
            interruption(note, &mut out);
        }
        if let (Part::Whole, Some(note)) = (part, &self.attached) {
            attached(note, &mut out);
        }
        out
    }

    fn head(&self, part: Part) -> String {
        let turn = match part {
            Part::Whole => self.turn.to_string(),
            Part::WithoutInterruption => self.turn.path(),
        };
        let mut out = format!("{CONTRACT}\n\n");
        let way = if self.way.is_empty() { String::new() } else { format!("{}:", self.way) };
        out += &format!("- Step: `{}` · visit {} · turn `{way}{turn}`\n", self.step, self.visit_n);
        out += &format!("- Workflow: `{}`\n", self.workflow);
        if let Some(title) = self.title.as_ref().filter(|title| !title.trim().is_empty()) {
            out += &format!("- Title: {}\n", one_line(title, TITLE_LIMIT));
        }
        if let Some(item) = &self.item {
            let title = item.title.as_ref().filter(|title| !title.trim().is_empty());
            let title = title.map(|it| format!(" — {}", one_line(it, TITLE_LIMIT)));
            out += &format!("- Current item: `{}`{}\n", item.id, title.unwrap_or_default());
        }
        out += &format!("- Visits: {} of at most {}\n", self.visit_n, self.max_visits);
        out += match self.role {
            Role::Worker => match self.wanted {
                Wanted::Route => "- Role: worker; you do the work and pick the route\n",
                Wanted::Choice => "- Role: worker; the answer is one of the choices below\n",
                Wanted::Value => "- Role: worker; the answer is the value described below\n",
            },
            Role::Producer => "- Role: producer; you do the work, a verifier judges it\n",
            Role::Verifier => {
                "- Role: verifier; judge what is there, mend nothing, write only the files below\n"
            }
            _ => "- Role: script\n",
        };
        out
    }

    fn given(&self, out: &mut String) {
        if let Some(input) = &self.input
            && input.as_object().is_none_or(|fields| !fields.is_empty())
        {
            let text = serde_json::to_string_pretty(input).unwrap_or_default();
            section(out, "Input", &fenced("json", &excerpt(&text, TEXT_LIMIT)));
        }
        if let Some(handoff) = &self.handoff {
            section(out, "From the previous step", &quote(handoff));
        }
        if let Some(answer) = &self.answer {
            section(out, "Answer of the person", &quote(answer));
        }
        for said in &self.said {
            section(out, "Said by the person meanwhile", &quote(said));
        }
    }

    fn files(&self, out: &mut String, schemas: &mut Schemas) {
        let none = self.reads.is_empty() && self.requires.is_empty() && self.writes.is_empty();
        if none && self.protect.is_empty() {
            return;
        }
        let mut text = "Paths are relative to the workspace.\n\n".to_owned();
        for read in &self.requires {
            text += &format!("- Required `{}` ({}): `{}`\n", read.name, read.format, read.path);
        }
        for read in &self.reads {
            let absent = if read.exists { "" } else { " — not there yet" };
            text += &format!("- Read `{}` ({}): `{}`{absent}\n", read.name, read.format, read.path);
        }
        for write in &self.writes {
            let need = if write.required { "required" } else { "optional" };
            text +=
                &format!("- Write `{}` ({}): `{}` — {need}", write.name, write.format, write.path);
            if let Some(schema) = &write.schema {
                text += &format!("; must fit schema {}", schemas.number(schema));
            }
            text.push('\n');
        }
        for path in &self.protect {
            text += &format!("- Leave as it is: `{path}`\n");
        }
        section(out, "Files", &text);
    }

    fn checks(&self, out: &mut String) {
        if self.checks.is_empty() {
            return;
        }
        let mut text = "Run by the engine after the producer's work.\n\n".to_owned();
        for check in &self.checks {
            text += &format!("- `{}`: {}\n", check.name, one_line(&check.status, TITLE_LIMIT));
        }
        for check in self.checks.iter().filter(|check| !check.output.trim().is_empty()) {
            text += &format!("\nOutput of `{}`:\n\n", check.name);
            text += &fenced("text", &excerpt(check.output.trim_end(), OUTPUT_LIMIT));
        }
        section(out, "Checks", &text);
    }

    fn answer_wanted(&self, out: &mut String, schemas: &mut Schemas) {
        if self.routes.is_empty() {
            let text = match self.role {
                Role::Producer => {
                    "No outcome is needed in your answer: when the work is done, say in a few \
                     words what you did. A verifier decides what comes next.\n"
                }
                _ => return,
            };
            return section(out, "Answer", text);
        }
        let mut text = match self.wanted {
            Wanted::Route => "Pick one route:\n\n",
            Wanted::Choice => "Pick one choice:\n\n",
            Wanted::Value => "",
        }
        .to_owned();
        let named = |route: &&OfferedRoute| self.wanted != Wanted::Value && !route.inherited;
        for route in self.routes.iter().filter(named) {
            text += &route_line(route, schemas);
        }
        text += &self.otherwise();
        if !text.is_empty() {
            text.push('\n');
        }
        text += "The last thing in your answer is one JSON object in a fenced json block:\n\n";
        text += &fenced("json", &self.example());
        text += match self.wanted {
            Wanted::Route => "\n`tag` is the route you pick.",
            Wanted::Choice => "\n`tag` is the choice, as it is written above.",
            Wanted::Value => "\n`payload` is the value asked for: JSON.",
        };
        text += &self.payload_words(schemas);
        if let Some(asking) = tags(&self.routes, |route| route.asks) {
            text += &format!(
                " With {asking}, `route_fields.question` holds the question for the person \
                 (string); `choices` (list of strings: the only answers accepted) and \
                 `answer_schema` (JSON Schema of the answer) may stand beside it."
            );
        }
        text.push('\n');
        section(out, "Answer", &text);
    }

    fn example(&self) -> String {
        let own = || self.routes.iter().filter(|route| !route.inherited);
        let tag = match (own().next(), own().nth(1)) {
            (Some(only), None) => only.tag.as_str(),
            _ => "…",
        };
        let mut example = format!("{{\"outcome\": {{\"tag\": \"{tag}\"");
        if self.wanted == Wanted::Value {
            example += ", \"payload\": …";
        } else if own().any(|route| route.payload_schema.is_some()) {
            example += ", \"payload\": {…}";
        }
        if own().any(|route| route.asks || route.fields_schema.is_some()) {
            example += ", \"route_fields\": {…}";
        }
        example + "}}"
    }

    /// The routes that every step has, in one line.
    fn otherwise(&self) -> String {
        let inherited = self.routes.iter().filter(|route| route.inherited);
        let words: Vec<_> = inherited
            .map(|route| {
                let why = route.summary.as_ref().unwrap_or(&route.target);
                format!("`{}` ({})", route.tag, one_line(why, TITLE_LIMIT))
            })
            .collect();
        if words.is_empty() {
            return String::new();
        }
        format!("- If not: {}; `payload` says why\n", words.join(", "))
    }

    fn payload_words(&self, schemas: &mut Schemas) -> String {
        let mut words = String::new();
        for route in &self.routes {
            if let Some(schema) = &route.payload_schema {
                let number = schemas.number(schema);
                words += &match self.wanted {
                    Wanted::Value => format!(" It fits schema {number}."),
                    _ => format!(" With `{}`, `payload` fits schema {number}.", route.tag),
                };
            }
            if let Some(schema) = &route.fields_schema {
                words += &format!(
                    " With `{}`, `route_fields` fits schema {}.",
                    route.tag,
                    schemas.number(schema)
                );
            }
        }
        words
    }

    fn retry(&self, out: &mut String) {
        if self.feedback.is_empty() {
            return;
        }
        let texts: Vec<String> = self.feedback.iter().map(feedback_text).collect();
        section(out, "What was wrong before", &texts.join("\n"));
    }
}

/// Opens the part of a prompt that the engine writes: every turn of an agent is given one.
pub const CONTRACT: &str = "# Step contract";

/// A prompt as it was given to an agent: what its author wrote, and the contract.
pub fn parts_of(prompt: &str) -> (&str, Option<&str>) {
    match prompt.find(&format!("\n\n{CONTRACT}\n\n- Step: `")) {
        Some(at) => (&prompt[..at], Some(&prompt[at + 2..])),
        None => (prompt, None),
    }
}

fn route_line(route: &OfferedRoute, schemas: &mut Schemas) -> String {
    let mut line = format!("- `{}`", route.tag);
    if !route.target.is_empty() {
        line += &format!(": {}", route.target);
    }
    if let Some(summary) = route.summary.as_ref().filter(|summary| !summary.trim().is_empty()) {
        line += &format!(" — {}", one_line(summary, 2 * TITLE_LIMIT));
    }
    if !route.required_writes.is_empty() {
        line += &format!("; needs {} written in this visit", quoted(&route.required_writes));
    }
    if !route.required_checks.is_empty() {
        line += &format!("; needs check {} passed", quoted(&route.required_checks));
    }
    if let Some(schema) = &route.payload_schema {
        line += &format!("; payload: schema {}", schemas.number(schema));
    }
    line + "\n"
}

fn tags(routes: &[OfferedRoute], which: impl Fn(&OfferedRoute) -> bool) -> Option<String> {
    let names: Vec<&str> =
        routes.iter().filter(|route| which(route)).map(|route| route.tag.as_str()).collect();
    (!names.is_empty()).then(|| quoted(names))
}

fn interruption(note: &InterruptionNote, out: &mut String) {
    let mut text =
        note.what_happened.as_ref().map(|it| format!("{}\n", it.trim())).unwrap_or_default();
    text += match note.recalls {
        Recalls::All => "Your conversation continues: go on from where you were.\n",
        Recalls::UpToCheckpoint => {
            "Your conversation goes on from the end of its last completed turn before that; what was \
             said and done since is not part of it.\n"
        }
        Recalls::Nothing => "This is a new conversation; what was said before is gone.\n",
    };
    if !note.summary.is_empty() {
        let lines: Vec<_> = note.summary.iter().map(|line| format!("- {line}\n")).collect();
        text += &format!("What is recorded of it:\n\n{}", quote(&lines.concat()));
    }
    changed("Files that differ from the start of this visit:", &note.changed, &mut text);
    text += "\nLook at what is there before doing anything twice.\n";
    let title = note.what_happened.as_ref().map_or("New conversation", |_| "Interruption");
    section(out, title, &text);
}

fn attached(note: &AttachedNote, out: &mut String) {
    let mut text = if note.own {
        "A person went on in this conversation since your last turn: what was agreed there stands.\n"
    } else {
        "A person went on in another conversation of this run; what was said there is not here.\n"
    }
    .to_owned();
    changed("Files that changed since then:", &note.changed, &mut text);
    text += "\nNow this turn goes on as the contract says.\n";
    section(out, "A person was here", &text);
}

fn changed(title: &str, paths: &[String], text: &mut String) {
    if paths.is_empty() {
        return;
    }
    *text += &format!("\n{title}\n\n");
    for path in paths.iter().take(CHANGED_SHOWN) {
        *text += &format!("- `{path}`\n");
    }
    if paths.len() > CHANGED_SHOWN {
        *text += &format!("- and {} more\n", paths.len() - CHANGED_SHOWN);
    }
}

/// A prompt with its contract as it reads without what is said last: of an interruption, of a new
/// conversation, and of what a person did.
pub fn without_interruption(prompt: &str) -> &str {
    let contract = prompt.len() - parts_of(prompt).1.map_or(0, str::len);
    let last = ["Interruption", "New conversation", "A person was here"];
    let found = last.iter().filter_map(|title| prompt[contract..].find(&format!("\n## {title}\n")));
    found.min().map_or(prompt, |at| &prompt[..contract + at])
}

pub(super) fn section(out: &mut String, title: &str, body: &str) {
    *out += &format!("\n## {title}\n\n{}\n", body.trim_end());
}

/// A text of somebody else as a Markdown quote: nothing in it can pass for a line of the contract.
fn quote(text: &str) -> String {
    let bounded = excerpt(text.trim(), TEXT_LIMIT);
    let mut quoted = String::with_capacity(bounded.len() + 64);
    for line in bounded.lines() {
        quoted += if line.is_empty() { ">" } else { "> " };
        quoted += line;
        quoted.push('\n');
    }
    quoted
}
