//! Links that programs put where Botpipe reads and writes by itself, outside of any sandbox: none is followed.
//! Judged by what is on the host afterwards.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::place::{Place, Said, said};

const SECRET: &str = "what nobody may have";

/// A folder outside of every workspace, with a secret.
fn outside() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), SECRET).unwrap();
    folder
}

/// Runs a workflow of commands with nothing granted outside of the workspace.
fn run(place: &Place, name: &str) -> Said {
    let mut command = place.command(&["run", name, "x", "--task", "t"]);
    said(&command.env_remove("BOTPIPE_ALLOW_WRITE").output().unwrap())
}

/// A step that runs this, and a branch with files of its own that then runs that.
fn two(first: &str, branch: &str) -> Place {
    let [first, branch] = [first, branch].map(|it| serde_json::to_string(it).unwrap());
    Place::with(
        "two",
        &format!(
            "sop: 1\nname: two\nsteps:\n  - id: bend\n    run: {first}\n    routes: {{ done: sides, failed: FAIL }}\n  \
             - id: sides\n    isolation: worktree\n    routes: {{ done: FINISH, partial: FAIL, failed: FAIL }}\n    \
             parallel:\n      - {{ id: one, run: {branch}, routes: {{ done: FINISH, failed: FAIL }} }}\n"
        ),
    )
}

fn git(folder: &Path, words: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=t", "-c", "user.email=t@example.org"]);
    git.args(["-c", "protocol.file.allow=always"]).args(words);
    let output = git.current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn shell(folder: &Path, script: &str) {
    let output = Command::new("sh").args(["-ec", script]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
}

fn repository(folder: &Path) {
    git(folder, &["init", "-qb", "main"]);
    git(folder, &["add", "."]);
    git(folder, &["commit", "-qm", "first"]);
}

/// Fails if the secret is in any file of the workspace; what is there is not followed.
#[track_caller]
fn has_no_secret(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let about = path.symlink_metadata().unwrap();
        if about.is_dir() {
            has_no_secret(&path);
        } else if about.is_file() {
            let bytes = fs::read(&path).unwrap();
            let found = bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
            assert!(!found, "`{}` has it", path.display());
        }
    }
}

#[track_caller]
fn ends_by_itself(mut run: Child) -> ExitStatus {
    let until = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(ended) = run.try_wait().unwrap() {
            return ended;
        }
        if Instant::now() > until {
            run.kill().unwrap();
            panic!("it waits for a pipe");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Everything in a folder, by name.
fn names(folder: &Path) -> Vec<String> {
    let all = fs::read_dir(folder).unwrap();
    let mut all: Vec<_> =
        all.map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect();
    all.sort();
    all
}

#[test]
fn a_branch_is_given_nothing_that_links_in_the_repository_lead_to() {
    let outside = outside();
    let secret = outside.path().join("secret").display().to_string();
    // Those of a program are put aside; these stood before, as one without a sandbox leaves them.
    let stand = format!(
        "ln -s {secret} .git/refs/heads/leak; ln -s {secret} .git/packed-refs; \
         ln -s {secret} .git/shallow; rm .git/info/exclude; ln -s {secret} .git/info/exclude; \
         ln -s {secret} .git/sharedindex.1; ln -s {outside} .git/refs/heads/more; \
         mkfifo .git/refs/heads/pipe",
        outside = outside.path().display()
    );
    let place = two(
        "true",
        "find .git -type f -exec cat {} + > all; cat .git/refs/heads/more/secret >> all; \
         git rev-parse main > head; true",
    );
    place.write("file", "one\n");
    repository(place.path());
    let head = git(place.path(), &["rev-parse", "main"]);
    shell(place.path(), &stand);
    let said = run(&place, "two").ends(0);
    assert!(said.err.contains("a branch has no copy of what is a link, or no file"), "{said:?}");
    assert!(said.err.contains("`refs/heads/leak`"), "{said:?}");
    assert_eq!(fs::read_to_string(place.path().join("head")).unwrap(), head, "what is plain is");
    assert!(!fs::read(place.path().join("all")).unwrap().is_empty());
    has_no_secret(place.path());
}

#[test]
fn a_head_and_objects_behind_links_are_none() {
    let other = outside();
    repository(other.path());
    let git_of = |name: &str| other.path().join(".git").join(name).display().to_string();
    let stand = format!(
        "git init -qb main; rm -rf .git/objects .git/HEAD .git/refs; for it in objects HEAD refs; do \
         ln -s {}$it .git/$it; done",
        git_of("")
    );
    let place =
        two("true", "git log > all 2>&1; git show HEAD:secret >> all 2>&1; cat .git/HEAD >> all");
    shell(place.path(), &stand);
    run(&place, "two").ends(0);
    has_no_secret(place.path());
    let borrowed =
        fs::read_to_string(place.path().join(".botpipe/snapshots.git/objects/info/alternates"));
    assert!(!borrowed.unwrap_or_default().contains(&git_of("objects")));
}

/// A `.git` file, and a link in its place, that lead to a repository that knows nothing of the workspace.
#[test]
fn another_repository_is_not_lent_to_whoever_names_it() {
    let other = outside();
    repository(other.path());
    let linked = other.path().join("linked");
    git(other.path(), &["worktree", "add", "-q", linked.to_str().unwrap()]);
    let of_other = other.path().join(".git").display().to_string();
    for bend in [
        format!("echo 'gitdir: {of_other}' > .git"),
        format!("ln -s {of_other} .git"),
        format!("echo 'gitdir: {of_other}/worktrees/linked' > .git"),
        format!(
            "mkdir -p x/refs x/objects; echo 'ref: refs/heads/main' > x/HEAD; \
                 echo {of_other} > x/commondir; echo 'gitdir: x' > .git"
        ),
        format!(
            "mkdir -p x/worktrees/n; cd x/worktrees/n; echo 'ref: refs/heads/main' > HEAD; \
                 echo {of_other} > commondir; echo ../../../.git > gitdir; cd ../../..; \
                 echo 'gitdir: x/worktrees/n' > .git"
        ),
        format!(
            "mkdir x; ln -s {of_other}/objects x/objects; ln -s {of_other}/refs x/refs; \
                 echo 'ref: refs/heads/main' > x/HEAD; echo 'gitdir: x' > .git"
        ),
    ] {
        let place = two(
            &bend,
            "git show HEAD:secret > got 2>&1; git cat-file --batch-all-objects --batch >> got 2>&1; true",
        );
        let said = run(&place, "two").ends(0);
        // A repository that steers git is put aside by itself.
        let told = ["so branches have nothing of it", ".git.refused`"];
        assert!(told.iter().any(|words| said.err.contains(words)), "{bend}: {said:?}");
        has_no_secret(place.path());
        let known =
            fs::read_to_string(place.path().join(".botpipe/snapshots.git/objects/info/alternates"));
        assert!(!known.unwrap_or_default().contains(&of_other), "{bend}");
    }
}

#[test]
fn a_repository_that_may_not_be_read_is_not_lent_as_the_workspaces_own() {
    let place = two(
        "echo 'gitdir: kept/.git' > .git",
        "git show HEAD:secret > got 2>&1; git cat-file --batch-all-objects --batch >> got 2>&1; true",
    );
    let flow = place.path().join("workflows/two.sop.yaml");
    let text = fs::read_to_string(&flow).unwrap();
    fs::write(&flow, text.replace("steps:", "policy: { deny_read: [kept/] }\nsteps:")).unwrap();
    place.write("kept/secret", SECRET);
    repository(&place.path().join("kept"));
    run(&place, "two");
    let got = fs::read_to_string(place.path().join("got")).unwrap_or_default();
    assert!(!got.contains(SECRET), "{got}");
}

/// As `git clone --shared` would make it.
#[test]
fn objects_that_a_program_names_are_not_lent() {
    let other = outside();
    repository(other.path());
    let objects = other.path().join(".git/objects");
    let blob = git(other.path(), &["rev-parse", "HEAD:secret"]);
    let place = two(
        &format!("echo {} > .git/objects/info/alternates", objects.display()),
        &format!(
            "git cat-file -p {blob} > got 2>&1; git log --format=%s > log",
            blob = blob.trim()
        ),
    );
    place.write("file", "one\n");
    repository(place.path());
    run(&place, "two").ends(0);
    assert_eq!(fs::read_to_string(place.path().join("log")).unwrap(), "first\n");
    has_no_secret(place.path());
}

/// What waits for the other end of a pipe waits for ever.
#[test]
fn pipes_among_the_objects_hold_nothing_up() {
    let id = "d95f3ad14dee633a758d2e331151e950dd13e4ed"; // of "content\n"
    for bend in [
        "rm -f .git/objects/info/alternates; mkfifo .git/objects/info/alternates".to_owned(),
        format!(
            "mkdir -p .git/objects/{0}; mkfifo .git/objects/{0}/{1}; echo content > new",
            &id[..2],
            &id[2..]
        ),
    ] {
        let place = two(&bend, "cat file > seen");
        place.write("file", "one\n");
        repository(place.path());
        let mut command = place.command(&["run", "two", "x", "--task", "t"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        ends_by_itself(command.env_remove("BOTPIPE_ALLOW_WRITE").spawn().unwrap());
    }
}

#[test]
fn a_repository_that_names_the_workspace_back_is_lent() {
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("file"), "one\n").unwrap();
    repository(other.path());
    let flow = two("true", "git log --format=%s > seen; git status --porcelain >> seen");
    let text = fs::read_to_string(flow.path().join("workflows/two.sop.yaml")).unwrap();
    let above = tempfile::tempdir().unwrap();
    git(above.path(), &["init", "-qb", "main"]);
    git(above.path(), &["submodule", "--quiet", "add", other.path().to_str().unwrap(), "sub"]);
    let linked = above.path().join("linked");
    git(other.path(), &["worktree", "add", "-q", linked.to_str().unwrap()]);
    for place in [linked, above.path().join("sub")] {
        assert!(place.join(".git").is_file());
        fs::create_dir(place.join("workflows")).unwrap();
        fs::write(place.join("workflows/two.sop.yaml"), &text).unwrap();
        let mut command = flow.command(&["run", "two", "x", "--task", "t"]);
        said(&command.current_dir(&place).output().unwrap()).ends(0);
        let seen = fs::read_to_string(place.join("seen")).unwrap();
        assert!(seen.starts_with("first\n"), "{}: {seen}", place.display());
    }
}

const RECORDS: &str = "\
sop: 1
name: records
steps:
  - id: bend
    run: |
      cd $BOTPIPE_WORKFLOW_FOLDER
      ls -A runs > ../../../../seen
      rm -rf runs; mv runs old; mkdir -p runs; rm -rf runs/$BOTPIPE_RUN
      ln -s OUTSIDE runs/$BOTPIPE_RUN; ln -s OUTSIDE runs
      true
    routes: { done: more, failed: FAIL }
  - id: more
    run: echo said
    routes: { done: FINISH, failed: FAIL }
";

#[test]
fn the_records_of_a_run_are_closed_to_its_first_program_already() {
    let outside = outside();
    let out = outside.path().display().to_string();
    let place = Place::with("records", &RECORDS.replace("OUTSIDE", &out));
    fs::write(outside.path().join("run.json"), "mine").unwrap();
    run(&place, "records").ends(0);
    assert_eq!(names(outside.path()), ["run.json", "secret"]);
    assert_eq!(fs::read_to_string(outside.path().join("run.json")).unwrap(), "mine");
    let runs = place.path().join(".botpipe/tasks/t/wf_records/runs");
    let [run] = &names(&runs)[..] else { panic!("{:?}", names(&runs)) };
    assert!(fs::symlink_metadata(runs.join(run)).unwrap().is_dir());
    assert!(runs.join(run).join("run.json").is_file());
    assert_eq!(fs::read_to_string(place.path().join("seen")).unwrap(), "", "nothing is seen of it");
}

/// As a clone may bring it, or a run that nothing confined.
#[test]
fn nothing_of_a_run_is_written_through_a_link() {
    let outside = outside();
    let folders = ["tasks", "tasks/t", "tasks/t/wf_records", "tasks/t/wf_records/runs"];
    for linked in folders.into_iter().chain(["objects", "snapshots.git", "botpipe.db"]) {
        let place = Place::with("records", &RECORDS.replace("OUTSIDE", "/nowhere"));
        let link = place.path().join(".botpipe").join(linked);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(outside.path(), &link).unwrap();
        let said = run(&place, "records");
        assert_ne!(said.code, 0, "{linked}");
        assert!(said.err.contains("is a symbolic link"), "{linked}: {said:?}");
        assert_eq!(names(outside.path()), ["secret"], "{linked}");
    }
}

#[test]
fn feedback_is_not_written_through_a_link() {
    let text = "\
sop: 1
name: judged
artifacts:
  plan: { md: plan.md, required: true }
  problems: { md: check/deploy.md }
steps:
  - id: bend
    run: |
      cd $BOTPIPE_WORKFLOW_FOLDER
      ln -s ../../../../.claude/commands check; echo words > plan.md
    writes: [plan]
    routes: { done: judge, failed: FAIL }
  - id: judge
    validate: { run: 'echo rm -rf; exit 3' }
    validates: plan
    feedback: problems
    routes: { valid: FINISH, invalid: FAIL }
";
    let place = Place::with("judged", text);
    place.write(".claude/commands/other.md", "a person's\n");
    let said = run(&place, "judged");
    assert_eq!(names(&place.path().join(".claude/commands")), ["other.md"], "{said:?}");
    assert!(said.err.contains("check` is a symbolic link"), "{said:?}");
    assert!(said.err.contains("remove it, and make a folder there"), "{said:?}");
}

#[test]
fn what_may_not_be_read_is_not_handed_on_through_an_artifact() {
    let text = "\
sop: 1
name: handed
policy: { deny_read: [secrets/] }
artifacts:
  plan: { json: out/plan.json, required: true }
steps:
  - id: bend
    run: ln -s ../../../../secrets $BOTPIPE_WORKFLOW_FOLDER/out
    writes: [plan]
    routes: { done: each, failed: FAIL }
  - id: each
    fan_out: { from: plan }
    branch:
      run: 'echo {{ branch.item }} >> got'
";
    for (at, name) in [("plan.json", "out"), ("plan.json", "out/plan.json")] {
        let text = if name == "out" {
            text.to_owned()
        } else {
            let bend = "mkdir $BOTPIPE_WORKFLOW_FOLDER/out; ln -s ../../../../../secrets/plan.json \
                        $BOTPIPE_WORKFLOW_FOLDER/out/plan.json";
            text.replace("ln -s ../../../../secrets $BOTPIPE_WORKFLOW_FOLDER/out", bend)
        };
        let place = Place::with("handed", &text);
        place.write(&format!("secrets/{at}"), &format!("[\"{SECRET}\"]"));
        let said = run(&place, "handed");
        assert_ne!(said.code, 0, "{said:?}");
        assert!(!place.path().join("got").exists(), "{said:?}");
        assert!(said.err.contains("symbolic link"), "{said:?}");
    }
}

#[test]
fn a_branch_has_no_other_name_of_what_may_not_be_read() {
    let place = two("true", "cat twin target more/inner > got 2>&1; ls > left; true");
    let flow = place.path().join("workflows/two.sop.yaml");
    let text = fs::read_to_string(&flow).unwrap();
    let denied = "policy: { deny_read: [./own.key, link, kept, ABSOLUTE] }\nsteps:";
    let absolute = place.path().canonicalize().unwrap().join("absolute");
    let denied = denied.replace("ABSOLUTE", &absolute.display().to_string());
    fs::write(&flow, text.replace("steps:", &denied)).unwrap();
    for name in ["own.key", "target", "more/inner", "absolute"] {
        place.write(name, SECRET);
    }
    fs::hard_link(place.path().join("own.key"), place.path().join("twin")).unwrap();
    symlink("target", place.path().join("link")).unwrap();
    symlink("more", place.path().join("kept")).unwrap();
    place.write("open", "for all\n");
    run(&place, "two").ends(0);
    let got = fs::read_to_string(place.path().join("got")).unwrap();
    assert!(!got.contains(SECRET), "{got}");
    assert_eq!(
        fs::read_to_string(place.path().join("left")).unwrap(),
        "got\nleft\nopen\nworkflows\n"
    );
    assert_eq!(fs::metadata(place.path().join("twin")).unwrap().nlink(), 2, "it stays as it was");
}

#[test]
fn a_pipe_in_the_place_of_rules_holds_nothing_up() {
    let text = "\
sop: 1
name: pipe
policy: { allow_write: [src/] }
steps:
  - id: bend
    policy: { allow_write: [.] }
    run: rm .gitignore; mkfifo .gitignore .git/commondir .git/info/rules; rm .git/info/exclude; mkfifo .git/info/exclude
    routes: { done: more, failed: more }
  - id: more
    run: echo x > src/made
    routes: { done: FINISH, failed: FAIL }
";
    let place = Place::with("pipe", text);
    place.write(".gitignore", "target/\n");
    place.write("src/file", "x\n");
    repository(place.path());
    let mut command = place.command(&["run", "pipe", "x", "--task", "t"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let run = command.env_remove("BOTPIPE_ALLOW_WRITE").spawn().unwrap();
    assert!(ends_by_itself(run).success());
    assert!(place.path().join("src/made").exists());
}

/// Each way in which git runs programs that its configuration names.
#[test]
fn botpipes_own_git_runs_nothing_that_a_repository_names() {
    let place = Place::new();
    place.write("file", "one\n");
    place.write("more/file", "two\n");
    place.write(".gitattributes", "* diff=own filter=own merge=own\n");
    repository(place.path());
    // A clone that left something out, which is fetched where it is missed.
    let tree = git(place.path(), &["rev-parse", "HEAD:more"]);
    let (folder, name) = tree.trim().split_at(2);
    fs::remove_file(place.path().join(".git/objects").join(folder).join(name)).unwrap();
    let ran = tempfile::tempdir().unwrap();
    let mark = |name: &str| format!("touch {}", ran.path().join(name).display());
    let config = place.path().join(".git/config");
    let mut text = fs::read_to_string(&config).unwrap();
    for (section, key, mark) in [
        ("core", "fsmonitor", mark("fsmonitor")),
        ("core", "pager", mark("pager")),
        ("core", "sshCommand", mark("ssh")),
        ("core", "gitProxy", mark("proxy")),
        ("core", "askPass", mark("askpass")),
        ("core", "editor", mark("editor")),
        ("core", "alternateRefsCommand", mark("alternates")),
        ("pager", "log", mark("log")),
        ("alias", "log", format!("!{}", mark("alias"))),
        ("alias", "ls-files", format!("!{}", mark("alias-of-list"))),
        ("diff", "external", mark("external")),
        ("diff \"own\"", "command", mark("driver")),
        ("diff \"own\"", "textconv", mark("textconv")),
        ("filter \"own\"", "clean", mark("clean")),
        ("filter \"own\"", "smudge", mark("smudge")),
        ("filter \"own\"", "process", mark("process")),
        ("credential", "helper", format!("!{}", mark("credential"))),
        ("gpg", "program", mark("gpg")),
        ("log", "showSignature", "true".to_owned()),
        ("core", "repositoryFormatVersion", "1".to_owned()),
        ("extensions", "partialClone", "origin".to_owned()),
        ("remote \"origin\"", "promisor", "true".to_owned()),
        ("remote \"origin\"", "url", format!("ext::{}", mark("promisor"))),
        ("remote \"origin\"", "uploadpack", mark("uploadpack")),
        ("protocol", "allow", "always".to_owned()),
        ("protocol \"ext\"", "allow", "always".to_owned()),
    ] {
        writeln!(text, "[{section}]\n\t{key} = \"{mark}\"").unwrap();
    }
    fs::write(&config, text).unwrap();
    // What is tried does run where nobody takes care.
    let mut careless = Command::new("git");
    careless.args(["log", "--name-only", "--format="]).current_dir(place.path());
    drop(careless.output());
    let mut careless = Command::new("git");
    drop(careless.args(["status"]).current_dir(place.path()).output());
    assert!(ran.path().join("promisor").exists() && ran.path().join("fsmonitor").exists());
    for entry in fs::read_dir(ran.path()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    place.write("policy.yaml", "deny_read: ['**/*.key']\n");
    place.say(&["sandbox", "--policy", "policy.yaml", "--", "true"]);
    assert_eq!(names(ran.path()), Vec::<String>::new());
}
