//! Ordinary projects in the sandbox without any setting: they build, test and commit, and leave caches alone.

use std::path::PathBuf;
use std::process::Command;

use botpipe_testkit::escapes::Caller;

use crate::escapes::{has_sandbox, whoever};
use crate::ordinary_ground::{Project, Tools};

/// Those who can run these programs. Who cannot is left out, and that is said.
#[expect(clippy::print_stderr, reason = "whoever runs the tests is told what was left out")]
fn with(programs: &[&str]) -> Vec<Caller> {
    if !has_sandbox() {
        return Vec::new();
    }
    let mut callers = whoever();
    callers.retain(|caller| {
        programs.iter().all(|program| {
            let mut words = caller.words();
            words.extend(["sh", "-c", "command -v \"$0\" > /dev/null", program].map(str::to_owned));
            let mut command = Command::new(&words[0]);
            command
                .args(&words[1..])
                .env("PATH", format!("/usr/local/bin:/usr/bin:/bin:{}", go().display()));
            let found = command.status().is_ok_and(|it| it.success());
            if !found {
                eprintln!("SKIPPED, as {caller}: `{program}` is not there");
            }
            found
        })
    });
    callers
}

/// Where Go is, when it is not among the system's programs.
fn go() -> PathBuf {
    PathBuf::from("/usr/local/go/bin")
}

/// The tool chain that runs these tests: a folder with `bin/cargo`.
fn cargo() -> PathBuf {
    let cargo =
        std::env::var_os("CARGO").map_or_else(|| PathBuf::from("/usr/bin/cargo"), PathBuf::from);
    cargo.parent().unwrap().parent().unwrap().to_owned()
}

const CRATE: &str = r#"
mkdir -p src dep/src
printf '[package]\nname = "p"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n[dependencies]\ndep = { path = "dep" }\n' > Cargo.toml
printf '[package]\nname = "dep"\nversion = "0.1.0"\nedition = "2021"\n' > dep/Cargo.toml
echo 'pub fn two() -> u32 { 2 }' > dep/src/lib.rs
printf 'fn main() { println!("{}", dep::two()); }\n#[test]\nfn two() { assert_eq!(dep::two(), 2); }\n' > src/main.rs
echo target > .gitignore
"#;

#[test]
fn a_cargo_project_builds_tests_and_commits() {
    for caller in with(&[]) {
        let project = Project::make(caller, Tools::Rust(cargo()), CRATE);
        project.works("cargo build -q && cargo test -q && test \"$(target/debug/p)\" = 2");
        project.works("git add -A && git commit -qm built");
        project.host(
            "test -x target/debug/p && git log --format=%s | grep -qx built && git fsck --strict",
        );
        project.fetching_names("cargo", "cargo add botpipe-nothing-like-this");
        project.fetching_asks("cargo", "index.crates.io", "cargo add botpipe-nothing-like-this");
    }
}

/// As in the images that languages publish, whose tool chains lie outside any home.
#[test]
fn a_tool_chain_is_found_where_variables_say_that_it_is() {
    for caller in with(&[]) {
        let project = Project::make(caller, Tools::RustElsewhere(cargo()), CRATE);
        project.host("echo 'token = \"secret\"' > \"$CARGO_HOME/credentials.toml\"");
        project.works("cargo build -q && cargo test -q && test \"$(target/debug/p)\" = 2");
        // In a folder that is empty for programs, what the `PATH` names is read only, and the key closed.
        let at = env!("CARGO_TARGET_TMPDIR");
        let in_empty = ["/tmp/", "/root/", "/home/"].iter().any(|it| at.starts_with(it));
        project.works(if in_empty {
            "! cat \"$CARGO_HOME/credentials.toml\""
        } else {
            "test ! -e \"$CARGO_HOME/credentials.toml\" && echo gone > \"$CARGO_HOME/kept\""
        });
        project.host("test ! -e \"$CARGO_HOME/kept\" && test -e \"$CARGO_HOME/credentials.toml\"");
    }
}

/// What a person's settings of git say holds inside, but that nothing is signed: the keys are not there.
#[test]
fn commits_are_the_persons_and_are_not_signed() {
    for caller in with(&["git"]) {
        let project = Project::make(caller, Tools::System, "touch first");
        project.host(
            "git config --global include.path '~/.gitconfig.local' && git config --global commit.gpgSign true
             git config --global tag.gpgSign true && git config --global core.excludesFile '~/.ignored'
             git config -f ~/.gitconfig.local user.email right@example.test && echo '*.log' > ~/.ignored",
        );
        project.works("touch a.log b && git add -A && git commit -qm work && git tag -am t t");
        let said = project.host("git log -1 --format=%ae --name-only && git cat-file tag t");
        assert!(said.starts_with("right@example.test\n\nb\n"), "{said}");
        assert!(!said.contains("a.log") && !said.contains("SIGNATURE"), "{said}");
    }
}

/// In a container nobody has settings of git: who commits is said by variables, and by which editor.
#[test]
fn commits_are_by_whom_and_by_the_editor_that_variables_name() {
    for caller in with(&["git"]) {
        let project = Project::make(caller, Tools::System, "touch first");
        project
            .host("git config --global --unset user.name; git config --global --unset user.email");
        let who = "GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.test GIT_COMMITTER_NAME=C EMAIL=c@example.test";
        let program = env!("CARGO_BIN_EXE_botpipe");
        project.host(&format!(
            "{who} GIT_EDITOR='sed -i 1s/^/edited/' timeout 120 {program} sandbox -- git commit -q --amend"
        ));
        let said = project.host("git log -1 --format='%an %ae %cn %ce %s'");
        // Of a commit that is amended the author stays.
        assert_eq!(said, "Caller c@example.test C c@example.test editedfirst\n");
        project.host(&format!("{who} {program} sandbox -- git commit -q --allow-empty -m b"));
        let said = project.host("git log -1 --format='%an %ae %cn %ce'");
        assert_eq!(said, "A a@example.test C c@example.test\n");
    }
}

/// They would refuse a commit outside; where they cannot be shown, that is told.
#[test]
fn a_persons_own_hooks_run_inside() {
    for caller in with(&["git"]) {
        let project = Project::make(caller, Tools::System, "touch first");
        let hook = "printf '#!/bin/sh\\n! grep -q hush $(git diff --cached --name-only)\\n'";
        project.host(&format!(
            "mkdir ~/.githooks && {hook} > ~/.githooks/pre-commit && chmod +x ~/.githooks/pre-commit
             git config --global core.hooksPath '~/.githooks'"
        ));
        let said = project.inside(&[], "echo hush > a; git add a; git commit -qm a");
        assert_ne!(said.code, 0, "as {caller}: {}{}", said.out, said.err);
        project
            .works("echo said > a; git add a; git commit -qm a; ! echo x > ~/.githooks/pre-commit");
        project.host("mv ~/.githooks ~/hooks && ln -s hooks ~/.githooks");
        let said = project.inside(&[], "true");
        let told = said.err.matches("git passes over the hooks of your own").count();
        assert_eq!(told, 1, "as {caller}: {}", said.err);
        let line = said.err.split_once("name `").unwrap().1.split_once('`').unwrap().0;
        project.host(&format!("git config --global core.hooksPath '{line}'"));
        let said = project.inside(&[], "echo hush > a; git add a; git commit -qm a");
        assert_ne!(said.code, 0, "as {caller}: {}{}", said.out, said.err);
    }
}

/// A name that is the person's own is asked for where it is, and by the person's certificates.
#[test]
fn packages_are_asked_for_where_a_persons_settings_say() {
    for caller in with(&["python3"]) {
        let project = Project::make(caller, Tools::System, "touch first");
        project.host(
            "cd; mkdir -p .config/pip .config/go certs
             printf '//npm.corp.test/:_authToken=HUSH\n@corp:registry=https://npm.corp.test/\n' > .npmrc
             printf '[global]\nindex-url = https://pip.corp.test/simple\n' > .config/pip/pip.conf
             echo \"cafile=$HOME/certs/npm.pem\" >> .npmrc; git config --global http.sslCAInfo '~/certs/git.pem'
             for ca in npm git; do echo '-----BEGIN CERTIFICATE-----' > certs/$ca.pem; done
             printf 'GOPROXY=https://me:HUSH@go.corp.test\nGOPRIVATE=corp.test\n' > .config/go/env
             echo HUSH > .pypirc; echo '-----BEGIN CERTIFICATE-----' > certs/ca.pem
             echo '-----BEGIN PRIVATE KEY-----' > certs/key.pem",
        );
        let program = env!("CARGO_BIN_EXE_botpipe");
        let inside = |policy: &str, text: &str| {
            project.host(&format!(
                "echo '{policy}' > ~/policy.yaml; CURL_CA_BUNDLE=~/certs/ca.pem SSL_CERT_FILE=~/certs/key.pem \
                 {program} sandbox --policy ~/policy.yaml -- sh -c '{text}' 2>&1"
            ))
        };
        let seen =
            "grep -hv cafile ~/.npmrc ~/.config/pip/pip.conf ~/.config/go/env \"$CURL_CA_BUNDLE\"";
        let kept = "\n@corp:registry=https://npm.corp.test/\n[global]\nindex-url = https://pip.corp.test/simple\n\n\
                    GOPRIVATE=corp.test\n-----BEGIN CERTIFICATE-----\n";
        assert_eq!(inside("network: none", seen), kept, "as {caller}");
        assert_eq!(
            inside("network: none", "grep -r HUSH ~; cat ~/.pypirc 2>/dev/null; ls ~/certs"),
            "ca.pem\ngit.pem\nnpm.pem\n"
        );
        let told = inside("network: limited", "true");
        assert!(told.contains("/.config/go/env` names an address together with a key"), "{told}");
        assert!(told.contains("`SSL_CERT_FILE` names") && told.contains("private key"), "{told}");
        assert_eq!(told.lines().count(), 2, "{told}");
    }
}

/// What was written there would be gone without a word, and the repository of the host would know a work tree that is
/// nowhere.
#[test]
fn a_work_tree_beside_the_workspace_is_kept_or_told() {
    for caller in with(&["git"]) {
        let project = Project::make(caller, Tools::System, "touch first");
        let program = env!("CARGO_BIN_EXE_botpipe");
        let add = "git worktree add -q -B b ../beside && echo precious > ../beside/p";
        let at = |folder: &str, policy: &str| {
            project.host(&format!(
                "test -d {folder} || git clone -q . {folder}; cd {folder}; echo \"{policy}\" > ~/policy.yaml
                 {program} sandbox --policy ~/policy.yaml -- sh -c '{add}' 2>&1 || echo failed $?"
            ))
        };
        // A folder of the home holds the workspace: nothing can be made in it.
        let said = at("~/w/deep/one", "{}");
        assert!(said.contains("failed"), "as {caller}: {said}");
        let line = said.split_once("it is read only; `").unwrap().1.split_once('`').unwrap().0;
        assert!(line.ends_with("/home/w/deep]"), "{said}");
        assert_eq!(at("~/w/deep/one", line), "", "as {caller}");
        project.host("grep precious ~/w/deep/beside/p");
        // The home itself does: programs have their own.
        let said = at("~/two", "{}");
        let told = said.matches("/home/beside` was in memory and is gone").count();
        assert_eq!((told, said.lines().count()), (1, 1), "as {caller}: {said}");
        let line = said.split_once("as in `").unwrap().1.split_once('`').unwrap().0;
        project.host("cd ~/two && git worktree prune && mkdir ../beside");
        assert_eq!(at("~/two", line), "", "as {caller}");
        project.host("grep precious ~/beside/p");
    }
}

/// Its python is a link to one that is seen: the link itself is not.
#[test]
fn an_environment_of_the_home_is_found_by_the_line_that_is_told() {
    for caller in with(&["python3"]) {
        let project = Project::make(caller, Tools::System, "touch first");
        project.host(
            "mkdir -p ~/venvs/v/bin ~/notes ~/more && cd ~/venvs/v && touch pyvenv.cfg
             ln -s $(command -v python3) bin/python3 && ln -s python3 bin/python
             printf '#!%s/bin/python\nprint(1)\n' $PWD > ~/../work/s.py; chmod +x ~/../work/s.py
             echo note > ~/notes/note; ln -s ../notes/note ~/more/link; ln -s notes/note ~/link",
        );
        let program = env!("CARGO_BIN_EXE_botpipe");
        let say = |grant: &str, words: &str| {
            project.host(&format!("{grant} {program} sandbox -- {words} 2>&1 || true"))
        };
        for (words, out, grants) in [
            ("~/venvs/v/bin/python -c 'print(1)'", "1\n", "/home/venvs/v"),
            ("./s.py", "1\n", "/home/venvs/v"),
            ("sh -c ./s.py", "1\n", "/home/venvs/v"),
            ("bash -c ./s.py", "1\n", "/home/venvs/v"),
            ("cat ~/more/link", "note\n", "/home/notes/note"),
        ] {
            let said = say("", words);
            let (_, grant) =
                said.split_once("there; `").unwrap_or_else(|| panic!("{words}: {said}"));
            let (grant, _) = grant.split_once("` in Botpipe's own environment permits it").unwrap();
            assert!(grant.ends_with(grants), "{grant}");
            assert_eq!(say(grant, words), out, "as {caller}: {grant} {words}");
        }
        // Beside it lies all of the home.
        let said = say("", "cat ~/link");
        assert!(said.contains("/home/link` is not seen: it is a link in a folder"), "{said}");
        let name = said.split_once("; name `").unwrap().1.split_once('`').unwrap().0;
        let grant = said.split_once("which `").unwrap().1.split_once('`').unwrap().0;
        assert_eq!(say(grant, &format!("cat {name}")), "note\n");
    }
}

/// By name and home; the number of root is another one inside.
#[test]
fn whoever_runs_a_program_has_a_name_in_there() {
    for caller in with(&["python3"]) {
        let project = Project::make(caller, Tools::System, "touch first");
        let asks = "import getpass, os, pwd; it = pwd.getpwuid(os.getuid()); \
                    print(getpass.getuser(), it.pw_name, it.pw_dir == os.environ['HOME'])";
        let said = project.inside(&[], &format!("whoami; python3 -c \"{asks}\"; id -gn"));
        assert_eq!(said.code, 0, "as {caller}: {}{}", said.out, said.err);
        let name = said.out.lines().next().unwrap_or_default();
        assert!(said.out.contains(&format!("{name} {name} True")), "as {caller}: {}", said.out);
        assert!(caller != Caller::Root || name == "root", "as {caller}: {}", said.out);
    }
}

/// A dependency that the caller's cache has is used from there, without a network.
#[test]
fn a_cargo_project_finds_what_the_callers_cache_has() {
    let home = std::env::var("CARGO_HOME")
        .unwrap_or_else(|_| format!("{}/.cargo", std::env::var("HOME").unwrap_or_default()));
    let found = Command::new("sh")
        .args(["-c", "ls $0/registry/cache/*/fastrand-2*.crate && ls $0/registry/index/*/.cache/fa/st/fastrand", &home])
        .output()
        .unwrap();
    if !found.status.success() {
        eprintln!("SKIPPED: the registry's cache in `{home}` has no `fastrand`");
        return;
    }
    for caller in with(&[]) {
        if caller != Caller::own() {
            continue; // the cache is ours
        }
        let text = format!(
            "mkdir -p src ~/.cargo/registry && cd {home}/registry && for f in index/*/config.json \
             index/*/.cache/fa/st/fastrand cache/*/fastrand-2*.crate; do mkdir -p ~/.cargo/registry/$(dirname $f); \
             cp $f ~/.cargo/registry/$f; done; cd - > /dev/null\n\
             printf '[package]\\nname = \"p\"\\nversion = \"0.1.0\"\\nedition = \"2021\"\\n[workspace]\\n[dependencies]\\nfastrand = \"2\"\\n' > Cargo.toml\n\
             echo 'fn main() {{ fastrand::seed(1); println!(\"{{}}\", fastrand::u8(5..6)); }}' > src/main.rs\n\
             echo target > .gitignore; cargo generate-lockfile -q --offline; cargo fetch -q --offline"
        );
        let project = Project::make(caller, Tools::Rust(cargo()), &text);
        project.works("cargo build -q && test \"$(target/debug/p)\" = 5");
    }
}

const PACKAGE: &str = r#"
mkdir -p dep test
printf '{"name":"dep","version":"1.0.0","main":"index.js"}' > dep/package.json
echo 'module.exports = () => 2;' > dep/index.js
printf '{"name":"p","version":"1.0.0","scripts":{"test":"node --test test/"},"dependencies":{"dep":"file:dep"}}' > package.json
printf 'const test = require("node:test"); test("two", () => require("assert").equal(require("dep")(), 2));' > test/two.test.js
echo node_modules > .gitignore
"#;

#[test]
fn an_npm_package_installs_tests_and_commits() {
    for caller in with(&["node", "npm"]) {
        let project = Project::make(caller, Tools::System, PACKAGE);
        project.works("npm install --no-audit --no-fund --loglevel=error && npm test");
        project.works("git add -A && git commit -qm tested");
        project.host("test -e node_modules/dep/index.js && git log --format=%s | grep -qx tested");
        let fetch = "npm install --no-audit --no-fund --fetch-retries=0 --fetch-timeout=5000 botpipe-nothing-like-this";
        project.fetching_names("npm", fetch);
        project.fetching_asks("npm", "registry.npmjs.org", fetch);
    }
}

const MODULE: &str = r"
mkdir -p app tests
touch app/__init__.py tests/__init__.py
echo 'def two(): return 2' > app/two.py
printf 'import unittest\nfrom app.two import two\nclass Two(unittest.TestCase):\n    def test(self): self.assertEqual(two(), 2)\n' > tests/test_two.py
printf '.venv\n__pycache__\n' > .gitignore
";

#[test]
fn a_python_project_gets_an_environment_tests_and_commits() {
    for caller in with(&["python3"]) {
        let project = Project::make(caller, Tools::System, MODULE);
        project.works("python3 -m venv .venv && .venv/bin/python -m unittest -q");
        project.works("git add -A && git commit --allow-empty -qm tested");
        project.host("test -x .venv/bin/pip && git log --format=%s | grep -qx tested");
        project.host(".venv/bin/python -m unittest -q");
        // One that the host made is used as well.
        project.host("rm -r .venv && python3 -m venv .venv");
        project.works(".venv/bin/python -m unittest -q");
        let fetch = ".venv/bin/pip install --retries 0 --timeout 5 botpipe-nothing-like-this";
        project.fetching_names("pypi", fetch);
        project.fetching_asks("pypi", "pypi.org", fetch);
    }
}

const GO: &str = r#"
mkdir -p two
printf 'module example.test/p\n\ngo 1.19\n' > go.mod
printf 'package two\nfunc Two() int { return 2 }\n' > two/two.go
printf 'package two\nimport "testing"\nfunc TestTwo(t *testing.T) { if Two() != 2 { t.Fatal() } }\n' > two/two_test.go
printf 'package main\nimport "example.test/p/two"\nfunc main() { println(two.Two()) }\n' > main.go
echo /p > .gitignore
"#;

#[test]
fn a_go_module_builds_tests_and_commits() {
    for caller in with(&["go"]) {
        let project = Project::make(caller, Tools::At(go()), GO);
        project.works(
            "go build -o p . && go test ./... && git add -A && git commit --allow-empty -qm built",
        );
        project.host("./p 2>&1 | grep -qx 2 && git log --format=%s | grep -qx built");
        let fetch = "go get example.test/nothing-like-this";
        project.fetching_names("go", fetch);
        project.fetching_asks("go", "proxy.golang.org", fetch);
    }
}

const MONOREPO: &str = r#"
git init -q ../outside/lib
(cd ../outside/lib && echo 'echo lib' > lib.sh && git add -A && git commit -qm lib)
git submodule --quiet add ../outside/lib libs/lib 2> /dev/null || git submodule --quiet add "$(cd ../outside/lib && pwd)" libs/lib
mkdir -p apps/one apps/two tools
echo 'mkdir -p out && for a in apps/*; do sh libs/lib/lib.sh > out/$(basename $a); done' > tools/build.sh
echo 'test "$(cat out/one out/two)" = "$(printf "lib\nlib")"' > tools/test.sh
echo out > .gitignore
"#;

#[test]
fn a_monorepo_with_a_submodule_builds_tests_and_commits_in_both() {
    for caller in with(&["git"]) {
        let project = Project::make(caller, Tools::System, MONOREPO);
        project.works("sh tools/build.sh && sh tools/test.sh && git status --porcelain");
        project.works("cd libs/lib && echo 'true' >> lib.sh && git checkout -qb topic && git commit -qam inner");
        project.works("git add -A && git commit -qm outer && git submodule status");
        project
            .host("test -e out/two && git log --format=%s | grep -qx outer && git fsck --strict");
        project.host(
            "git -C libs/lib log --format=%s | grep -qx inner && git -C libs/lib fsck --strict",
        );
        project.host("test -z \"$(git status --porcelain)\"");
    }
}

/// Each holds the word; those of the second list are needed, and are seen without it.
const KEYS: &str = ".ivy2/.credentials .sbt/.credentials .sbt/1.0/credentials.sbt .cabal/credentials \
    .stack/upload/credentials.json .julia/servers/x.test/auth.toml .dotnet/corefx/cryptography/x509stores/my/k.pfx \
    .gradle/develocity/keys.properties .gradle/enterprise/keys.properties .gradle/init.d/ours.gradle \
    .gradle/gradle.properties .m2/.develocity/keys.properties .m2/settings.xml .npm/_logs/x.log .bundle/config \
    .local/share/uv/credentials/credentials.toml .cargo/credentials.toml .local/share/pnpm/auth.ini .gem/credentials \
    .docker/config.json .pulumi/credentials.json .fly/config.yml";
const SETTINGS: &str = ".cargo/config.toml .cabal/config .sbt/1.0/global.sbt .gradle/init.gradle";

/// What tools keep beside their caches is not seen, whatever folder of the home or the `PATH` it lies in; what they
/// need of the same files is.
#[test]
fn keys_of_tools_are_not_seen_and_their_settings_are() {
    for caller in with(&["python3"]) {
        let project = Project::make(caller, Tools::System, "touch first");
        project.host(&format!(
            "cd ~; for f in {KEYS}; do mkdir -p $(dirname $f); echo 'token: HUSH' > $f; done
             for f in {SETTINGS}; do mkdir -p $(dirname $f); printf 'before = 1\\npassword = \"HUSH\"\\nafter = 2\\n' > $f; done
             for f in .docker .pulumi .fly; do mkdir -p $f/bin; echo 'echo found' > $f/bin/at$f; chmod +x $f/bin/at$f; done
             mkdir -p .cargo/bin && echo 'echo found' > .cargo/bin/cargo-credential-x && chmod +x .cargo/bin/*"
        ));
        let bins = "PATH=$HOME/.docker/bin:$HOME/.pulumi/bin:$HOME/.fly/bin:$PATH";
        let program = env!("CARGO_BIN_EXE_botpipe");
        let inside =
            |text: &str| project.host(&format!("{bins} {program} sandbox -- sh -c '{text}'"));
        assert_eq!(inside("grep -rl HUSH ~ || true"), "");
        let count = SETTINGS.split_whitespace().count();
        let settings = format!("cd; for f in {SETTINGS}; do grep -h after $f; done");
        assert_eq!(inside(&settings), "after = 2\n".repeat(count));
        assert_eq!(
            inside("at.docker; at.pulumi; at.fly; ~/.cargo/bin/cargo-credential-x"),
            "found\n".repeat(4)
        );
        // They do not come to be by what a program does, and tools may make their own.
        inside(
            "mkdir -p ~/.npm/_logs && echo x > ~/.npm/_logs/x.log && echo y > ~/.gem/credentials",
        );
    }
}
