//! Cases: policies and limits in all their places.

use std::time::Duration;

use botpipe::Workflow;
use botpipe::build::{
    Bounds, Environment, Limits, NetworkMode, PermissionMode, Policy, SandboxMode, Step, Target,
    Turn, Validation, WorkflowBuilder,
};

use super::Table;

pub(super) fn all() -> Table {
    vec![
        ("every_control", every_control),
        ("locked_repository", locked_repository),
        ("review_and_edit", review_and_edit),
    ]
}

fn locked() -> Policy {
    Policy::new()
        .permission_mode(PermissionMode::FullAutoSandboxed)
        .sandbox_mode(SandboxMode::WorkspaceWrite)
        .allow_write(["src/", "tests/", ".botpipe/"])
        .deny_read([".env", ".secrets/**"])
        .network(NetworkMode::None)
}

fn locked_repository() -> WorkflowBuilder {
    Workflow::builder("locked_repository")
        .policy(locked().deny_write(["/etc", "/usr/local/bin"]))
        .step(Step::prompt("implement", "Implement the change."))
}

fn review_and_edit() -> WorkflowBuilder {
    let looks = Policy::new()
        .permission_mode(PermissionMode::Ask)
        .sandbox_mode(SandboxMode::ReadOnly)
        .network(NetworkMode::None);
    let fetches = Policy::new()
        .network(NetworkMode::Limited)
        .network_domains(["static.example.org", "*.example.com", "mirror.example.net:8443"])
        .network_presets(["cargo", "github"])
        .deny_network_domains(["ads.example.com"]);
    let review = "Inspect the repository and identify the change required.";
    let implement = "Implement the approved change and run the relevant tests.";
    Workflow::builder("review_and_edit")
        .step(Step::prompt("review", review).policy(looks))
        .step(Step::prompt("implement", implement).policy(locked()))
        .step(Step::run("install", "cargo fetch").policy(fetches))
}

fn every_control() -> WorkflowBuilder {
    let bounds = Bounds::new;
    let whole = bounds()
        .wall(Duration::from_hours(1))
        .cpu(Duration::from_mins(30))
        .memory(4 << 30)
        .file_size(1_000_000_000)
        .output(10_000_000)
        .processes(512);
    let turn = bounds().wall(Duration::from_mins(10)).memory(1 << 30);
    let made = bounds()
        .wall(Duration::from_mins(20))
        .cpu(Duration::from_millis(500))
        .memory(512 << 20)
        .file_size(100_000)
        .output(64 << 10)
        .processes(64);
    let environment = Environment::new()
        .allow(["PATH", "HOME", "CI"])
        .deny(["*_TOKEN", "SSH_AUTH_SOCK"])
        .set("CI", "1")
        .set("RUST_BACKTRACE", "full")
        .set("EMPTY", "");
    let policy = Policy::new()
        .sandbox_mode(SandboxMode::WorkspaceWrite)
        .permission_mode(PermissionMode::AutoEdit)
        .allow_read([".", "~/.cargo", "/usr/share/dict", "app/[slug]"])
        .deny_read([".env*", "**/*.pem", "config/{prod,stage}.yaml", "key[0-9].txt", "~/.netrc"])
        .allow_write([".", "../shared", "/srv/cache", "~/.cache/thing"])
        .deny_write([".github", "docs/**/*.lock", "a?.txt"])
        .network(NetworkMode::Limited)
        .network_domains(["example.com"])
        .network_presets(["cargo", "npm", "pypi", "go", "github", "debian"])
        .deny_network_domains(["*.ads.example.com"])
        .allow_local_binding(false)
        .allow_permissions(["Edit", "Bash(git status)"])
        .ask_permissions(["Bash(git push *)"])
        .deny_permissions(["Bash(rm *)", "WebFetch"])
        .environment(environment)
        .validation(Validation::Warn)
        .strict(true);
    let judges = Policy::new()
        .sandbox_mode(SandboxMode::ReadOnly)
        .validation(Validation::Fail)
        .strict(false);
    let makes = Policy::new()
        .permission_mode(PermissionMode::FullAutoUnsandboxed)
        .network(NetworkMode::Full);
    let tests = Policy::new()
        .permission_mode(PermissionMode::DenyAll)
        .sandbox_mode(SandboxMode::DangerFullAccess)
        .validation(Validation::Ignore);
    Workflow::builder("every_control")
        .limits(Limits::new().max_steps(20).processes(whole))
        .policy(policy)
        .step(
            Step::produce("make", Turn::new("Make it.").policy(Policy::new().limits(turn)))
                .verify(Turn::new("Judge it.").policy(judges))
                .limits(made)
                .policy(makes)
                .route("accepted", "test")
                .route("needs_rework", Target::SelfStep),
        )
        .step(
            Step::run("test", "make test")
                .limits(bounds().wall(Duration::from_mins(5)).output(1 << 40))
                .policy(tests),
        )
}
