//! What every harness has in common: a turn to ask, a protocol in lines, and a report of how it went.

pub use botpipe_kernel::plan::SandboxMode;
use botpipe_kernel::run::{FailureClass, Harness, Usage, WantedKind};

use crate::command::ProgramEnd;

/// A turn as a harness is asked it.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub harness: &'a Harness,
    pub prompt: &'a str,
    /// Absolute path of the working directory.
    pub cwd: &'a str,
    /// The conversation to go on with; `None` begins one.
    pub session: Option<&'a str>,
    /// The checkpoint of that conversation from which a new one is begun, which leaves it as it is;
    /// `None`: it goes on itself.
    pub from: Option<&'a str>,
    /// A UUID nobody has used: the name of the conversation when one is begun.
    pub new_session: &'a str,
    /// What that conversation cost so far, in millionths of a US dollar.
    pub session_cost: u64,
    /// What the turns of that conversation reported so far.
    pub session_usage: &'a Usage,
    pub access: &'a Access,
    /// Whether it is to ask leave for what is not plainly reading ([`Heard::wants`]).
    pub asks: bool,
    pub rules: &'a Rules,
    /// Whether the harness has a login of its own stored, or says itself how models are reached.
    pub has_login: bool,
    /// Whether these variables are set for the program: credentials are used by name alone.
    pub has_variable: &'a dyn Fn(&str) -> bool,
}

/// What a harness itself refuses or lets pass, in its own words: a tool, or a tool and what it is used for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Not asked about.
    pub allow: Vec<String>,
    /// Never done.
    pub deny: Vec<String>,
}

impl Rules {
    pub const NONE: Self = Self { allow: Vec::new(), deny: Vec::new() };
}

/// What the agent's commands may touch, in the words of the seed's policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    pub sandbox: SandboxMode,
    /// Absolute paths that may be written beside the working directory.
    pub writable: Vec<String>,
    /// Whether commands may use the network.
    pub network: bool,
}

/// How a harness's program is started, beside what every agent gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    pub args: Vec<String>,
    /// Variables that are set.
    pub env: Vec<(String, String)>,
    /// Names of variables that pass when they are there, such as those of a login.
    pub pass: Vec<String>,
}

/// The protocol of one turn. Lines of the program's standard output go in, in order; what is to be
/// done comes out. Knows no process and no clock.
pub trait Codec {
    /// Sent as soon as the program runs.
    fn open(&mut self) -> String;

    /// Whether more may be sent after that; else the program's input ends there.
    fn converses(&self) -> bool {
        true
    }

    /// A line that the program printed.
    fn hear(&mut self, line: &str) -> Heard;

    /// What to send so that the running turn is told something; `None` where it cannot be told now.
    fn steer(&mut self, text: &str) -> Option<String> {
        let _ = text;
        None
    }

    /// What to send in answer to what the harness asked leave for.
    fn give_leave(&mut self, id: &str, leave: &Leave) -> String {
        let _ = (id, leave);
        String::new()
    }

    /// What to send so that the turn is left off; `None` when there is nothing to say.
    fn leave_off(&mut self) -> Option<String>;

    /// The program has ended: what came of the turn.
    fn close(&mut self, end: &ProgramEnd, stderr: &str) -> Report;
}

/// What follows from a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// Sent to the program.
    pub send: String,
    /// Something a person who watches wants to see.
    pub say: Option<String>,
    /// The conversation's token has become known.
    pub session: Option<String>,
    /// The turn is over as far as the program says: it may end now.
    pub finished: bool,
    pub sign: Sign,
    /// Commands of the agent's are running, which may take long without a word.
    pub busy: bool,
    /// What the harness asks leave for, and waits until it is answered ([`Codec::give_leave`]).
    pub wants: Vec<Want>,
}

/// Something that a harness asks leave for, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// What the answer goes to.
    pub id: String,
    pub kind: WantedKind,
    /// The command; of an edit, the paths.
    pub what: String,
    /// What the edit changes, or what the tool is given.
    pub detail: Option<String>,
    /// The folder that a command is to run in, where that is not the turn's own.
    pub cwd: Option<String>,
    /// Why, in the agent's words.
    pub why: Option<String>,
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leave {
    /// This once.
    Given,
    /// With what the agent is told.
    Denied(Option<String>),
}

/// What a line is a sign of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sign {
    /// The turn goes on.
    #[default]
    Progress,
    /// The turn goes on, and what the line says comes again, whole: it need not be kept.
    Passing,
    /// Nothing of the turn's own progress, such as a notice that something is tried again.
    Waiting,
}

/// What came of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The final text.
    pub result: Result<String, Failure>,
    /// `None`: not known, which is not none.
    pub usage: Option<Usage>,
    /// Absolute path of the harness's own record of the conversation.
    pub transcript: Option<String>,
    /// Where the conversation stands now, for one to be begun from there; only of a turn that went well.
    pub checkpoint: Option<String>,
    /// Worth saying, though the turn went well.
    pub notes: Vec<String>,
}

/// Why a turn has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub class: FailureClass,
    pub message: String,
    /// Seconds since the epoch when the service said it may be tried again.
    pub again_at: Option<u64>,
}

impl Failure {
    /// A failure without a time.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), again_at: None }
    }
}

/// A path as a person reads it: relative where it is inside the folder.
pub(crate) fn inside<'a>(cwd: &str, path: &'a str) -> &'a str {
    path.strip_prefix(cwd).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path)
}
