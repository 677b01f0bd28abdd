//! The kinds of step, and which keys belong to some of them only.

/// What a step does.
pub trait Kind: Copy {}

/// Kinds that run an agent, a script or other runs: `budget`, `retry`, `on_interrupt`,
/// `on_limit`, `idle_timeout`.
pub trait Runs: Kind {}

/// Kinds whose processes a `policy` and `limits` bind.
pub trait Bound: Kind {}

/// Kinds with a `timeout` of their own.
pub trait Timed: Kind {}

/// Kinds whose turns belong to a `session`, and are done by a `provider`, that can be chosen.
pub trait Talks: Kind {}

/// Kinds that have `writes`.
pub trait Writes: Kind {}

/// Kinds whose answer can be put `into` the state.
pub trait Answers: Kind {}

/// Kinds that are given values: `with`.
pub trait Given: Kind {}

/// Kinds where an agent or code says what comes of them: `control_schema`, and inherited routes.
pub trait Says: Kind {}

/// Kinds where an agent picks the route: `control_routes`.
pub trait Picks: Kind {}

/// Kinds with branches: `concurrency`, `settle`, `join`, `isolation`, `fan_in`.
pub trait Branches: Kind {}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident: $($has:ident)*;)+) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl Kind for $name {}
        $(impl $has for $name {})*
    )+ };
}

kinds! {
    /// `prompt`: a turn of an agent, which picks the route.
    Prompt: Runs Bound Timed Talks Writes Says Picks;
    /// `produce` and `verify`: a turn that does the work, and one that judges it.
    Produce: Runs Bound Timed Talks Says Picks;
    /// `llm`: a turn whose answer is a value.
    Llm: Runs Bound Timed Talks Answers;
    /// `classify`: a turn whose answer is one of a few words.
    Classify: Runs Bound Timed Talks Answers;
    /// `run`: a script.
    Run: Runs Bound Timed Writes Says;
    /// `call`: a function of the host.
    Call: Runs Bound Timed Writes Given Says;
    /// `validate`: code that judges an artifact.
    Validate: Runs Bound Timed;
    /// `ask`: a person's answer picks the route.
    Ask: Timed Answers;
    /// `wait` for a time.
    Wait:;
    /// `wait` for a signal.
    Signal:;
    /// `workflow`: another workflow.
    Child: Runs Bound Timed Given;
    /// `parallel`: branches side by side.
    Parallel: Runs Bound Timed Says Picks Branches;
    /// `fan_out`: a branch for each item.
    FanOut: Runs Bound Timed Says Picks Branches;
}
