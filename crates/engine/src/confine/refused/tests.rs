//! What is said of a complaint, on a real tree under compiled policies: the line where the policy is why, and
//! nothing where something else is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use botpipe_kernel::plan::{Bounds, Policy, SandboxMode};
use tempfile::TempDir;

use super::{Reasons, complaints};
use crate::confine::whole::{Surroundings, compile};
use crate::confine::{Site, View};
use crate::policy::{Ground, Origin, resolve};

/// A workspace with a folder beside it, which programs may read.
struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["w/src", "w/docs", "w/.git/hooks", "w/.botpipe/tasks", "beside", "home/.ssh"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        for name in ["w/.env", "w/src/main", "beside/file", "home/.ssh/id"] {
            fs::write(at(name), name).unwrap();
        }
        fs::write(at("w/.git/config"), "").unwrap();
        Self { folder }
    }

    fn site(&self, view: View) -> Site {
        let folder = self.folder.path().canonicalize().unwrap();
        let workspace = folder.join("w");
        let readable = vec![folder.join("beside")];
        Site {
            state: workspace.join(".botpipe"),
            workspace,
            home: Some(folder.join("home")),
            places: Vec::new(),
            shown: Vec::new(),
            covered: Vec::new(),
            kept: Vec::new(),
            granted: Vec::new(),
            readable,
            view,
            path: Vec::new(),
            tools: Vec::new(),
            certificates: Vec::new(),
            stop: crate::process::StopSwitch::new(),
        }
    }

    /// What is told of a message under a policy.
    fn told(&self, view: View, policy: &Policy, ceiling: bool, message: &str) -> String {
        let site = self.site(view);
        let ground = Ground::of_process(&site.workspace);
        let origin = Origin::Ceiling { path: "ci.yaml".into() };
        let holds = if ceiling {
            resolve(&[], &[(origin, policy)], &ground)
        } else {
            resolve(&[(Origin::Workflow, policy)], &[], &ground)
        };
        let compiled = compile(&holds, &site, &Surroundings::default()).unwrap();
        let reasons = Reasons::of(&compiled, &holds, &site).unwrap();
        let folder = self.folder.path().canonicalize().unwrap().display().to_string();
        let message = message.replace("BASE", &folder);
        let found = complaints(&message);
        assert!(!found.is_empty(), "{message}");
        let told = found.iter().filter_map(|complaint| reasons.told(complaint));
        let told: Vec<String> = told.map(|told| told.sentence.replace(&folder, "BASE")).collect();
        told.join("\n")
    }

    fn says(&self, policy: &Policy, message: &str) -> String {
        self.told(View::Kept, policy, false, message)
    }
}

fn list(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

const READ_ONLY: &str = "Read-only file system";

#[test]
fn a_write_is_permitted_by_the_list_with_its_place() {
    let world = World::new();
    let policy = Policy::default();
    for (path, permits) in [
        ("BASE/beside/new", "[., BASE/beside]"),
        ("BASE/beside/deep/new", "[., BASE/beside]"),
        ("BASE/beside/file", "[., BASE/beside/file]"),
        ("../beside/new", "[., BASE/beside]"),
    ] {
        let told = world.says(&policy, &format!("sh: 1: cannot create {path}: {READ_ONLY}"));
        let line = format!("it is read only; `allow_write: {permits}` permits it");
        assert!(told.ends_with(&line), "{told}");
    }
    let told = world.says(&policy, &format!("rm: cannot remove 'BASE/beside/file': {READ_ONLY}"));
    assert!(told.contains("`allow_write: [., BASE/beside]` permits it"), "{told}");
    let policy = Policy { allow_write: Some(list(&["docs"])), ..Policy::default() };
    let told = world.says(&policy, &format!("mkdir: cannot create directory ‘out’: {READ_ONLY}"));
    assert_eq!(told, "`out` is not written: it is read only; `allow_write: [docs, .]` permits it");
    let told = world.says(&policy, &format!("bash: line 1: src/main: {READ_ONLY}"));
    assert!(told.ends_with("`allow_write: [docs, src/main]` permits it"), "{told}");
    let policy = Policy { sandbox_mode: Some(SandboxMode::ReadOnly), ..Policy::default() };
    let told = world.says(&policy, &format!("bash: line 1: src/main: {READ_ONLY}"));
    assert!(told.ends_with("read only; `sandbox_mode: workspace_write` permits it"), "{told}");
    let policy = Policy { allow_write: Some(list(&["docs"])), ..Policy::default() };
    let message = format!("bash: line 1: src/main: {READ_ONLY}");
    let told = world.told(View::Kept, &policy, true, &message);
    assert!(told.contains("[docs, src/main]` in `ci.yaml`, which narrows it, permits"), "{told}");
}

#[test]
fn what_no_policy_permits_is_said_to_be_that() {
    let world = World::new();
    let policy = Policy::default();
    for path in [".git/hooks/pre-commit", ".claude/settings.json", "workflows/x"] {
        let told = world.says(
            &Policy { allow_write: Some(list(&["docs"])), ..Policy::default() },
            &format!("sh: 1: cannot create {path}: {READ_ONLY}"),
        );
        assert!(told.ends_with("no policy permits it; write it yourself"), "{told}");
    }
    let told = world.says(
        &policy,
        "error: could not write config file BASE/w/.git/config: Device or resource busy",
    );
    assert!(told.starts_with("`.git/config` is not written: it steers git"), "{told}");
    let told = world.says(&policy, "mv: cannot move '.git' to '.tig': Device or resource busy");
    assert!(told.starts_with("`.git` is not moved or removed: what lies in it is kept"), "{told}");
    let message = format!("sh: 1: cannot create BASE/beside/new: {READ_ONLY}");
    let told = world.told(View::Discarded, &policy, false, &message);
    assert!(told.contains("`BOTPIPE_ALLOW_WRITE=BASE/beside`"), "{told}");
    let told = world.says(&policy, &format!("tee: /proc/self/comm: {READ_ONLY}"));
    assert!(told.contains("it is the kernel's, and no policy of a sandbox permits it"), "{told}");
}

#[test]
fn a_hidden_file_is_permitted_by_leaving_it_out() {
    let world = World::new();
    let policy = Policy { deny_read: Some(list(&[".env", "docs/**"])), ..Policy::default() };
    let told = world.says(&policy, "cat: .env: Permission denied");
    assert_eq!(
        told,
        "`.env` is not read: `deny_read: .env` hides it; `deny_read: ['docs/**']` permits it"
    );
    // In a view of its own the name does not exist.
    let policy = Policy { allow_write: Some(list(&["docs"])), ..policy };
    let told = world.says(&policy, "cat: .env: No such file or directory");
    assert!(told.starts_with("`.env` is not read: `deny_read: .env` hides it"), "{told}");
    let told = world.says(&policy, "cat: BASE/home/.ssh/id: No such file or directory");
    assert!(told.contains("is not seen: programs have an empty folder there"), "{told}");
    let grant = "`BOTPIPE_ALLOW_READ=BASE/home/.ssh/id` in Botpipe's own environment permits it";
    assert!(told.ends_with(grant), "{told}");
    let policy = Policy { allow_read: Some(list(&["."])), ..policy };
    let told = world.says(&policy, "cat: BASE/home/.ssh/id: No such file or directory");
    assert!(told.ends_with("`allow_read: [., BASE/home/.ssh/id]` permits it"), "{told}");
    let told = world.says(&policy, "ls: cannot access '.botpipe/tasks': No such file or directory");
    assert!(told.contains("is not seen: it is Botpipe's own record"), "{told}");
}

/// The host's own rights, a file that is not there, a place that is written: no policy is why.
#[test]
fn another_reason_is_no_refusal() {
    let world = World::new();
    let policy = Policy { deny_read: Some(list(&[".env"])), ..Policy::default() };
    let closed = world.folder.path().join("w/closed");
    fs::write(&closed, "").unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o0)).unwrap();
    for message in [
        "cat: closed: Permission denied",
        "cat: BASE/beside/file: Permission denied",
        "cat: src/none: No such file or directory",
        "cat: BASE/home/none: No such file or directory",
        "cat: BASE/beside/file: No such file or directory",
        "sh: 1: cannot create src/new: Read-only file system",
        "sh: 1: cannot create /tmp/x/y: Read-only file system",
        "rm: cannot remove 'src': Device or resource busy",
    ] {
        assert_eq!(world.says(&policy, message), "", "{message}");
    }
}

/// Whoever runs Botpipe may not write there either, unless they are root.
#[test]
fn what_the_host_itself_refuses_is_no_refusal() {
    let world = World::new();
    let beside = world.folder.path().join("beside");
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(world.folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let told = world
        .says(&Policy::default(), &format!("sh: 1: cannot create BASE/beside/new: {READ_ONLY}"));
    assert_eq!(told.is_empty(), !rustix::process::getuid().is_root(), "{told}");
    fs::set_permissions(world.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(Path::new(&beside).exists());
}

/// As Python, Node.js, Go, nginx and Ruby tell it.
#[test]
fn a_server_that_may_not_listen_is_told_the_line() {
    let world = World::new();
    let policy = Policy { allow_local_binding: Some(false), ..Policy::default() };
    for message in [
        "  File \"x.py\", line 3, in <module>\n    s.bind((\"\", 8000))\nPermissionError: [Errno 13] Permission denied",
        "  File \"<string>\", line 1, in <module>\nPermissionError: [Errno 13] Permission denied",
        "Error: listen EACCES: permission denied 127.0.0.1:8000",
        "listen tcp 127.0.0.1:8080: bind: permission denied",
        "nginx: [emerg] bind() to 0.0.0.0:8080 failed (13: Permission denied)",
        "Permission denied - bind(2) for \"127.0.0.1\" port 3000 (Errno::EACCES)",
    ] {
        let told = world.says(&policy, message);
        assert!(told.ends_with("; `allow_local_binding: true` permits it"), "{message}: {told}");
        assert_eq!(world.says(&Policy::default(), message), "", "{message}");
    }
}

#[test]
fn what_no_program_does_in_a_sandbox_is_told_of_root() {
    let world = World::new();
    let root = rustix::process::geteuid().is_root();
    for (message, says) in [
        ("listen tcp :80: bind: permission denied", "nothing listens here on a port below 1024"),
        ("Error: listen EACCES: permission denied 0.0.0.0:80", "nothing listens here on a port"),
        (
            "    self.socket.bind(self.server_address)\nPermissionError: [Errno 13] Permission denied",
            "nothing listens here on a port below 1024",
        ),
        (
            "mknod: src/new: Operation not permitted",
            "`src/new` is made no device, and no policy of",
        ),
        ("chown: changing ownership of 'src': Invalid argument", "`src` is given to no other user"),
        (
            "tar: src: Cannot change ownership to uid 5, gid 5: Operation not permitted",
            "`src` is given to no other user",
        ),
        (
            "setfattr: src/main: Operation not permitted",
            "`src/main` takes no attributes of the system",
        ),
    ] {
        let told = world.says(&Policy::default(), message);
        assert_eq!(told.starts_with(says), root, "{message}: {told}");
        assert_eq!(told.is_empty(), !root, "{message}: {told}");
    }
    let told = world.says(
        &Policy::default(),
        "chmod: changing permissions of 'src/main': Operation not permitted",
    );
    assert!(told.starts_with("`src/main` takes no setuid or setgid bit"), "{told}");
    assert_eq!(world.says(&Policy::default(), "kill: src: Operation not permitted"), "");
}

#[test]
fn who_has_keys_is_told_that_they_stay_outside() {
    let world = World::new();
    let message = "gpg: skipped \"A <b>\": No secret key\ngpg: signing failed: No secret key";
    assert_eq!(world.says(&Policy::default(), message), "");
    fs::create_dir(world.folder.path().join("home/.gnupg")).unwrap();
    let told = world.says(&Policy::default(), message);
    assert!(told.starts_with("nothing is signed: keys stay outside of the sandbox"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

/// Who lives on beyond a limit may end well, with a file that is cut off.
#[test]
fn a_limit_that_a_program_lives_on_beyond_is_told() {
    let world = World::new();
    let limits = Bounds { file_size: Some(1 << 20), memory: Some(256 << 20), ..Bounds::default() };
    let policy = Policy { limits, ..Policy::default() };
    for message in
        ["sh: line 1: 75 File size limit exceeded head", "OSError: [Errno 27] File too large"]
    {
        let told = world.says(&policy, message);
        let ends = "beyond 1MiB (`limits.file_size`), and is cut off there; `limits: { file_size: 2MiB }` permits more";
        assert!(told.ends_with(ends), "{message}: {told}");
        assert_eq!(world.says(&Policy::default(), message), "", "{message}");
    }
    for message in [
        "MemoryError",
        "OSError: [Errno 12] Cannot allocate memory",
        "# There is insufficient memory for the Java Runtime Environment to continue.",
        "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
        "memory allocation of 9000 bytes failed",
    ] {
        let told = world.says(&policy, message);
        let ends = "beyond 256MiB (`limits.memory`); `limits: { memory: 512MiB }` permits more";
        assert!(told.ends_with(ends), "{message}: {told}");
        assert_eq!(world.says(&Policy::default(), message), "", "{message}");
    }
}

/// Who says it stands in front of what it says.
#[test]
fn no_program_is_taken_for_the_file() {
    let world = World::new();
    let policy = Policy { allow_write: Some(list(&["src"])), ..Policy::default() };
    for said in [
        "/usr/bin/env: cannot open output file docs/y",
        "/bin/sh: 1: cannot create docs/y",
        "BASE/w/src/s.sh: line 2: docs/y",
        "/usr/bin/tar: docs/y: Cannot open",
        "/usr/bin/sort: open failed: docs/y",
    ] {
        let told = world.says(&policy, &format!("{said}: {READ_ONLY}"));
        assert_eq!(
            told, "`docs/y` is not written: it is read only; `allow_write: [src, docs]` permits it",
            "{said}"
        );
    }
    assert_eq!(world.says(&policy, &format!("/usr/bin/env: {READ_ONLY}")), "");
}

#[test]
fn what_is_narrowed_twice_is_permitted_by_both_lines() {
    let world = World::new();
    let denied = Some(list(&["../beside", "../beside/new", "docs"]));
    let policy = Policy { deny_write: denied, ..Policy::default() };
    let told = world.says(&policy, &format!("sh: 1: cannot create BASE/beside/new: {READ_ONLY}"));
    let permits = "`deny_write: [docs]` with `allow_write: [., BASE/beside]` permits it";
    assert!(told.ends_with(permits), "{told}");
    let told = world.says(&policy, &format!("sh: 1: cannot create docs/new: {READ_ONLY}"));
    let permits = "`deny_write: [BASE/beside, BASE/beside/new]` permits it";
    assert!(told.ends_with(permits), "{told}");
}

/// Both have to give, each by its own list.
#[test]
fn what_two_layers_narrow_is_permitted_by_the_lists_of_both() {
    let world = World::new();
    let site = world.site(View::Kept);
    let ground = Ground::of_process(&site.workspace);
    let policy = |paths: &[&str]| Policy { allow_write: Some(list(paths)), ..Policy::default() };
    let origin = Origin::Ceiling { path: "ci.yaml".into() };
    let said = |own: Option<&Policy>, path: &str| {
        let ceiling = policy(&["docs", "src"]);
        let own: Vec<_> = own.iter().map(|own| (Origin::Workflow, *own)).collect();
        let holds = resolve(&own, &[(origin.clone(), &ceiling)], &ground);
        let compiled = compile(&holds, &site, &Surroundings::default()).unwrap();
        let reasons = Reasons::of(&compiled, &holds, &site).unwrap();
        let folder = world.folder.path().canonicalize().unwrap().display().to_string();
        let path = path.replace("BASE", &folder);
        let found = complaints(&format!("sh: 1: cannot create {path}: {READ_ONLY}"));
        let told: Vec<_> = found.iter().filter_map(|it| reasons.told(it)).collect();
        told[0].sentence.replace(&folder, "BASE")
    };
    let own = policy(&["docs"]);
    let told = said(Some(&own), "BASE/beside/new");
    let ends = "`allow_write: [docs, BASE/beside]` of the workflow with `allow_write: [docs, src, BASE/beside]` \
                in `ci.yaml`, which narrows it, permits it";
    assert!(told.ends_with(ends), "{told}");
    let told = said(Some(&own), "src/new");
    assert!(told.ends_with("`allow_write: [docs, src]` of the workflow permits it"), "{told}");
    let told = said(None, "BASE/beside/new");
    let ends = "`allow_write: [., BASE/beside]` in the workflow, or a file of `--policy`, with \
                `allow_write: [docs, src, BASE/beside]` in `ci.yaml`, which narrows it, permits it";
    assert!(told.ends_with(ends), "{told}");
}

/// Programs that ask no proxy are told by nobody else.
#[test]
fn a_host_that_is_asked_for_without_the_proxy_is_told() {
    use botpipe_kernel::plan::NetworkMode;
    let world = World::new();
    let ssh = "ssh: Could not resolve hostname github.com: Temporary failure in name resolution";
    assert_eq!(
        world.says(&Policy::default(), ssh),
        "`github.com` is not reached: `network: none` keeps it; `network: full` permits it, and `network: \
         limited` with `network_presets: [github]` for a remote by https, since ssh asks no proxy"
    );
    let limited = |domains: &[&str]| Policy {
        network: Some(NetworkMode::Limited),
        network_domains: Some(list(domains)),
        ..Policy::default()
    };
    let listed = limited(&["github.com", "repo.example"]);
    assert_eq!(
        world.says(&listed, ssh),
        "`github.com` is not reached: `network: limited` has it by a proxy, which ssh does not ask (a remote \
         by https does); `network: full` permits it"
    );
    let told = world.says(&listed, "Error: getaddrinfo EAI_AGAIN new.example");
    let line = "`network: limited` with `network_domains: [github.com, repo.example, new.example]` for Node.js";
    assert!(told.contains(line), "{told}");
    let told = world.says(&listed, "x: Unknown host repo.example: Name or service not known");
    assert!(told.contains("which Java asks by its own settings only; `network: full`"), "{told}");
    let told = world.says(&Policy::default(), "OSError: [Errno 101] Network is unreachable");
    assert!(told.starts_with("a host is not reached: `network: none` keeps it; "), "{told}");
    let private = "dial tcp 10.0.0.7:443: connect: network is unreachable";
    assert_eq!(
        world.says(&Policy::default(), private),
        "`10.0.0.7` is not reached: `network: none` keeps it; `network: full` permits it"
    );
    let full = Policy { network: Some(NetworkMode::Full), ..Policy::default() };
    assert_eq!(world.says(&full, ssh), "");
    let none = Policy { network: Some(NetworkMode::None), ..Policy::default() };
    let narrowed = world.told(View::Kept, &none, true, ssh);
    assert!(
        narrowed.contains("`network: full` in `ci.yaml`, which narrows it, permits"),
        "{narrowed}"
    );
}

#[test]
fn the_folder_of_ours_is_closed_and_says_so() {
    let world = World::new();
    let told =
        world.says(&Policy::default(), &format!("sh: 1: cannot create .botpipe/x: {READ_ONLY}"));
    assert!(told.starts_with("`.botpipe/x` is not written: it is Botpipe's own record"), "{told}");
}

#[test]
fn a_limit_that_nobody_sees_is_told() {
    let world = World::new();
    let full = "cp: error writing '/tmp/x': No space left on device";
    let told = world.says(&Policy::default(), full);
    let permits = "hold 4GiB at most, all together; `limits: { memory: 8GiB }` permits it";
    assert!(told.contains(permits), "{told}");
    assert_eq!(world.says(&Policy::default(), &full.replace("/tmp/x", "src/x")), "");
    let forked = "bash: fork: retry: Resource temporarily unavailable";
    assert_eq!(world.says(&Policy::default(), forked), "", "nothing of the policy bounds it");
    let limits = Bounds { processes: Some(4), ..Bounds::default() };
    let told = world.says(&Policy { limits, ..Policy::default() }, forked);
    assert!(told.ends_with("`limits: { processes: 8 }` permits more"), "{told}");
}

#[test]
fn tools_that_say_something_else_are_understood() {
    let world = World::new();
    let policy = Policy { allow_write: Some(list(&["src"])), ..Policy::default() };
    for said in [
        "Error: ENOENT: no such file or directory, mkdir 'docs/new'",
        "Error: unable to open database \"docs/new\": unable to open database file",
        "docs/new: Os { code: 30, kind: ReadOnlyFilesystem, message: \"Read-only file system\" }",
    ] {
        let told = world.says(&policy, said);
        assert!(told.ends_with("`allow_write: [src, docs]` permits it"), "{said}: {told}");
    }
    for said in [
        "Error: ENOENT: no such file or directory, mkdir 'src/none/new'",
        "Error: unable to open database \"src/new\": unable to open database file",
    ] {
        assert_eq!(world.says(&policy, said), "", "{said}");
    }
}

#[test]
fn what_is_not_taken_from_one_folder_to_another_is_told_with_the_list_that_has_both() {
    let world = World::new();
    let apart = Policy { allow_write: Some(list(&["src", "docs"])), ..Policy::default() };
    for said in [
        "OSError: [Errno 18] Invalid cross-device link: 'src/main' -> 'docs/main'",
        "Error: EXDEV: cross-device link not permitted, rename 'src/main' -> 'docs/main'",
        "ln: failed to create hard link 'docs/main' => 'src/main': Invalid cross-device link",
    ] {
        let told = world.says(&apart, said);
        assert!(told.contains("is not renamed or linked from one folder to another"), "{told}");
        assert!(["`src/main`", "`docs/main`"].iter().all(|it| told.contains(it)), "{told}");
        assert!(told.ends_with(": `allow_write: [.]` permits it"), "{said}: {told}");
    }
    let told = world.says(&apart, "fatal: renaming 'src/main' failed: Invalid cross-device link");
    assert!(told.starts_with("`src/main` is not renamed"), "{told}");
    let said = "OSError: [Errno 18] Invalid cross-device link: 'src/main' -> 'docs/main'";
    assert_eq!(world.says(&Policy::default(), said), "", "both are in the workspace");
    let said = "OSError: [Errno 18] Invalid cross-device link: '/tmp/x' -> 'src/x'";
    let told = world.says(&Policy::default(), said);
    assert!(
        told.ends_with("no policy permits it; copy it there, and remove the old one"),
        "{told}"
    );
}

#[test]
fn who_clears_up_is_told_to_leave_our_folder_out() {
    let world = World::new();
    let said = "warning: failed to remove .botpipe/: Device or resource busy";
    let told = world.says(&Policy::default(), said);
    assert!(told.starts_with("`.botpipe` is not removed"), "{told}");
    assert!(told.ends_with("`git clean -e .botpipe` does"), "{told}");
}

#[test]
fn git_names_files_from_the_top_of_the_repository_that_the_workspace_is_in() {
    let world = World::new();
    fs::create_dir(world.folder.path().join(".git")).unwrap();
    fs::remove_dir_all(world.folder.path().join("w/.git")).unwrap();
    for said in [
        "error: unable to unlink old 'beside/file': Read-only file system",
        "error: unable to create file beside/new: Read-only file system",
    ] {
        let told = world.says(&Policy::default(), said);
        assert!(told.ends_with("`allow_write: [., BASE/beside]` permits it"), "{said}: {told}");
    }
}
