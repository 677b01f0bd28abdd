//! A checked workflow: immutable, hashed, nothing in it can be wrong.

mod bounds;
mod budget;
mod code;
mod group;
mod modes;
mod output;
mod outside;
mod policy;
mod provider;
mod route;
mod state;
mod step;
mod workflow;
mod worklist;

pub use bounds::Bounds;
pub use budget::{Budget, Spending};
pub use code::{Call, Code, Hooks};
pub use group::{Branch, Child, Children, Group, Isolation, Join, Over, Settle};
pub use modes::{NetworkMode, PermissionMode, SandboxMode, Validation};
pub use output::{Output, OutputSource};
pub use outside::{Ask, WaitFor};
pub use policy::{EnvironmentRules, Policy, PolicyLayer};
pub use provider::TurnProvider;
pub use route::{Action, Route, Target, Visibility};
pub use state::{Assignment, StatePlace, StateScope};
pub use step::{
    Check, Choice, Clocks, Continuity, OnInterrupt, OnLimit, Program, Step, TurnPlan, Work,
};
pub use workflow::{Artifact, Format, Input, Limits, Plan, Provider};
pub use worklist::{ItemSource, Selection, Worklist};
