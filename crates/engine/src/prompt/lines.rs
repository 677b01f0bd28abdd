//! The lines of a step contract: what each says of a file, a check, an item, a route.

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
