//! The ground of an ordinary project: a workspace and a home, a caller, and the sandbox without any setting.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use botpipe_testkit::escapes::{Caller, tree};
use tempfile::TempDir;

use crate::escapes::ground;
use crate::place::{Said, said};

/// Programs beside the system's own.
pub(crate) enum Tools {
    /// None.
    System,
    /// Those of a folder.
    At(PathBuf),
    /// A Rust tool chain, which is put into the home as rustup has it there.
    Rust(PathBuf),
    /// The same outside the home, where variables say that it is, as images of containers have it.
    RustElsewhere(PathBuf),
}

/// A project of somebody's.
pub(crate) struct Project {
    ground: TempDir,
    caller: Caller,
    /// The folder before the system's own in `PATH`.
    tools: Option<PathBuf>,
    variables: Vec<(&'static str, PathBuf)>,
}

impl Project {
    /// Made by shell text in an empty repository with one commit to come.
    pub(crate) fn make(caller: Caller, tools: Tools, text: &str) -> Self {
        let ground = ground();
        let mut variables = Vec::new();
        let tools = match tools {
            Tools::System => None,
            Tools::RustElsewhere(from) => {
                let at = |name: &str| ground.path().join("usr").join(name);
                rust_in(&at("rustup/toolchains/ours"), &from);
                variables.push(("CARGO_HOME", at("cargo")));
                variables.push(("RUSTUP_HOME", at("rustup")));
                Some(stands_for_rustup(&at("cargo/bin")))
            }
            Tools::At(folder) => Some(folder),
            Tools::Rust(from) => {
                Some(rust_in(&ground.path().join("home/.rustup/toolchains/ours"), &from))
            }
        };
        for name in
            ["work", "home", "outside", "home/.cargo", "home/.npm", "home/.cache", "usr/cargo"]
        {
            fs::create_dir_all(ground.path().join(name)).unwrap();
            if let (Caller::User(uid), Caller::Root) = (caller, Caller::own()) {
                chown(ground.path().join(name), Some(uid), Some(uid)).unwrap();
            }
        }
        let project = Self { ground, caller, tools, variables };
        let before = "git config --global user.name Caller && git config --global user.email c@example.test\n\
                      git config --global init.defaultBranch main && git config --global protocol.file.allow always\n\
                      for d in .cargo .npm .cache; do echo kept > ~/$d/kept; done; git init -q .\n";
        project.host(&format!("{before}{text}\ngit add -A && git commit -qm first"));
        project
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.ground.path().join("work")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut all = self.caller.words();
        all.extend(words.iter().map(ToString::to_string));
        let mut command = Command::new(&all[0]);
        let system = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
        let tools = self.tools.as_ref().map(|it| format!("{}:", it.display())).unwrap_or_default();
        command.args(&all[1..]).env_clear().env("PATH", tools + system).env("LANG", "C.UTF-8");
        command.env("HOME", self.ground.path().join("home")).env("NO_COLOR", "1");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.work()).stdin(Stdio::null());
        command
    }

    /// Shell text of the host, in the workspace, as the caller; it has to succeed.
    #[track_caller]
    pub(crate) fn host(&self, text: &str) -> String {
        let done = said(&self.command(&["sh", "-ec", text]).output().unwrap());
        assert_eq!(done.code, 0, "on the host: {text}\n{}{}", done.out, done.err);
        done.out
    }

    /// Shell text inside, with these options of `botpipe sandbox`. The caller's caches stay as they are.
    #[track_caller]
    pub(crate) fn inside(&self, options: &[&str], text: &str) -> Said {
        let before = self.caches();
        let program = env!("CARGO_BIN_EXE_botpipe");
        let mut words = vec!["timeout", "120", program, "sandbox"];
        words.extend(options);
        words.extend(["--", "sh", "-ec", text]);
        let done = said(&self.command(&words).output().unwrap());
        let after = self.caches();
        let differ: Vec<_> =
            after.iter().filter(|it| before.get(it.0) != Some(it.1)).map(|it| it.0).collect();
        assert!(
            before == after,
            "as {}: the caller's caches are not as they were: {differ:?}",
            self.caller
        );
        done
    }

    /// The same, and it has to succeed.
    #[track_caller]
    pub(crate) fn works(&self, text: &str) {
        let done = self.inside(&[], text);
        assert_eq!(done.code, 0, "as {}, inside: {text}\n{}{}", self.caller, done.out, done.err);
    }

    /// Fetching fails, and what is said names the line of the policy that permits it.
    #[track_caller]
    pub(crate) fn fetching_names(&self, preset: &str, text: &str) {
        let done = self.inside(&[], text);
        let all = format!("{}{}", done.out, done.err);
        assert_ne!(done.code, 0, "as {}, fetched without a network: {all}", self.caller);
        assert!(
            all.contains("network_presets") && all.contains(preset),
            "as {}: nothing tells that `network_presets: [{preset}]` permits it: {all}",
            self.caller
        );
    }

    /// With the preset, the proxy takes the request to `host`, here a stand-in on the loopback that hears it.
    #[track_caller]
    pub(crate) fn fetching_asks(&self, preset: &str, host: &str, text: &str) {
        let (port, heard) = stand_in();
        let policy = self.ground.path().join("policy.yaml");
        fs::write(&policy, format!("network: limited\nnetwork_presets: [{preset}]\n")).unwrap();
        let resolve = format!("{host}=127.0.0.1:{port}");
        let policy = policy.display().to_string();
        let done = self.inside(&["--policy", &policy, "--resolve", &resolve], text);
        let heard = heard.join().unwrap();
        assert!(
            heard.windows(host.len()).any(|part| part == host.as_bytes()),
            "as {}: `{host}` was not asked for {preset}: {}{}",
            self.caller,
            done.out,
            done.err
        );
    }

    fn caches(&self) -> BTreeMap<String, String> {
        let caches = ["home/.cargo", "home/.npm", "home/.cache", "usr/cargo"];
        caches.iter().flat_map(|name| tree(&self.ground.path().join(name))).collect()
    }
}

/// Puts a tool chain there, by hard links where it can; its folder of programs.
fn rust_in(to: &Path, from: &Path) -> PathBuf {
    fs::create_dir_all(to).unwrap();
    let copied = Command::new("sh")
        .args(["-c", "cp -al \"$0/bin\" \"$0/lib\" \"$1\" 2> /dev/null || cp -a \"$0/bin\" \"$0/lib\" \"$1\""])
        .args([from, to])
        .status();
    assert!(copied.unwrap().success());
    to.join("bin")
}

/// Programs that find the tool chain as rustup's do, by a variable; their folder.
fn stands_for_rustup(folder: &Path) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    for name in ["cargo", "rustc"] {
        let text = "#!/bin/sh\nexec \"${RUSTUP_HOME:?could not choose a version}/toolchains/ours/bin/${0##*/}\" \"$@\"\n";
        fs::write(folder.join(name), text).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder.to_owned()
}

/// A listener that hears the first words of whoever comes within twenty seconds, and says nothing.
fn stand_in() -> (u16, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = thread::spawn(move || {
        let mut all = Vec::new();
        for _ in 0..400 {
            if let Ok((mut stream, _)) = listener.accept() {
                stream.set_nonblocking(false).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                let mut words = [0; 4096];
                let count = stream.read(&mut words).unwrap_or(0);
                all.extend_from_slice(&words[..count]);
                if count > 0 {
                    break;
                }
            }
            thread::sleep(Duration::from_millis(50));
        }
        all
    });
    (port, heard)
}
