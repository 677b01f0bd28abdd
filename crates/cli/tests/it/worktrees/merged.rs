//! What each branch sees of the files, and what is merged of them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use serde_json::Value;

use super::{events, flow, folders, git, lines, read, run};
use crate::place::{Place, tree, until};

#[test]
fn what_branches_change_is_merged_file_by_file_and_line_by_line() {
    let place = flow(&[
        ("one", "sed -i s/1/ONE/ shared; echo new > made-by-one; test ! -e made-by-two"),
        ("two", "sed -i s/9/NINE/ shared; echo new > made-by-two; test ! -e made-by-one"),
    ]);
    place.write("shared", &lines(&[]));
    run(&place).ends(0);
    assert_eq!(read(&place, "shared"), lines(&[(1, "ONE"), (9, "NINE")]));
    assert_eq!(read(&place, "made-by-one") + &read(&place, "made-by-two"), "new\nnew\n");
    assert!(folders(&place).is_empty(), "{:?}", folders(&place));
    assert_eq!(events(&place, "merge_applied").len(), 1);
}

/// Each branch makes a part of a repository that has git run a program, and none of them the whole.
#[test]
fn what_only_the_merge_makes_whole_is_put_aside() {
    let place = flow(&[
        (
            "one",
            "mkdir -p m/objects m/refs; touch m/objects/o m/refs/r; \
             printf '[core]\\n\\tfsmonitor = touch x;false\\n\\tworktree = .\\n' > m/config",
        ),
        ("two", "mkdir m; echo ref: refs/heads/main > m/HEAD"),
    ]);
    let said = run(&place).ends(0);
    assert!(said.err.contains("m` a repository that may have git run programs"), "{said:?}");
    assert!(!place.path().join("m/HEAD").exists() && place.path().join("m/HEAD.refused").exists());
}

#[test]
fn a_conflict_leaves_a_branch_out_whole_and_keeps_its_folder() {
    let place = flow(&[
        ("one", "sed -i s/5/ONE/ shared; echo 1 > kept"),
        ("two", "sed -i s/5/TWO/ shared; echo 2 > left-out"),
    ]);
    place.write("shared", &lines(&[]));
    let said = run(&place).ends(4);
    assert_eq!(
        read(&place, "shared"),
        lines(&[(5, "ONE")]),
        "no markers, and nothing of the other"
    );
    assert!(place.path().join("kept").exists() && !place.path().join("left-out").exists());
    let merge = &events(&place, "branches_merged")[0]["merge"];
    let left = &merge["branches"][1];
    assert_eq!(left["branch"], "two");
    assert_eq!(left["conflicts"], serde_json::json!(["shared"]));
    let folder = left["folder"].as_str().unwrap();
    assert!(said.err.contains(folder), "{}", said.err);
    assert_eq!(read(&place, &format!("{folder}/shared")), lines(&[(5, "TWO")]));
    let shown = place.say(&["runs", "show", "side", "t"]).ends(0).json();
    let branches = &shown["merges"][0]["branches"];
    assert_eq!((&branches[0]["merged"], &branches[1]["merged"]), (&true.into(), &false.into()));
    assert_eq!(branches[1]["folder"], folder);
    assert_eq!(events(&place, "children_joined")[0]["tag"], "partial");
    assert_eq!(folders(&place).len(), 1);
}

#[test]
fn nothing_of_a_branch_that_failed_is_merged_and_its_files_are_recorded() {
    let place = flow(&[("good", "echo 1 > good"), ("bad", "echo 2 > bad; rm shared; exit 3")]);
    place.write("shared", "here\n");
    run(&place).ends(4);
    assert_eq!(read(&place, "shared"), "here\n");
    assert!(place.path().join("good").exists() && !place.path().join("bad").exists());
    let ends = events(&place, "child_ended");
    let bad = ends.iter().find(|it| it["branch"] == "bad").unwrap();
    let file = format!("{}:bad", bad["end"]["tree"].as_str().unwrap());
    let tree = &bad["end"]["tree"];
    let manifest = read(
        &place,
        &format!(".botpipe/tasks/t/wf_side/runs/{}/run.json", {
            let shown = place.say(&["runs", "show", "side", "t"]).ends(0).json();
            shown["run"].as_str().unwrap().to_owned()
        }),
    );
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["merges"][0]["branches"][1]["tree"], *tree);
    let show = ["--git-dir", ".botpipe/snapshots.git", "show", &file];
    assert_eq!(git(place.path(), &show), "2\n");
    assert!(folders(&place).is_empty());
}

#[test]
fn moved_removed_executable_linked_and_binary_files_are_merged() {
    let place = flow(&[
        (
            "one",
            "mv long renamed; rm gone; chmod +x tool; ln -s tool link; printf 'b\\0b' > bin-one",
        ),
        ("two", "printf 'new\\0' > bin; rm -r folder; echo x > folder"),
        ("three", "printf 'other\\0' > bin; ln -sfn elsewhere old-link"),
    ]);
    place.write("long", &(lines(&[]) + &"more of it\n".repeat(20)));
    place.write("gone", "gone\n");
    place.write("tool", "#!/bin/sh\n");
    place.write("folder/file", "in a folder\n");
    fs::write(place.path().join("bin"), b"old\0").unwrap();
    symlink("tool", place.path().join("old-link")).unwrap();
    run(&place).ends(4);
    let at = |name: &str| place.path().join(name);
    assert_eq!(read(&place, "renamed"), lines(&[]) + &"more of it\n".repeat(20));
    assert!(!at("long").exists() && !at("gone").exists());
    assert_eq!(fs::metadata(at("tool")).unwrap().permissions().mode() & 0o111, 0o111);
    assert_eq!(fs::read_link(at("link")).unwrap(), Path::new("tool"));
    assert_eq!(fs::read(at("bin-one")).unwrap(), b"b\0b");
    assert_eq!(fs::read(at("bin")).unwrap(), b"new\0");
    assert_eq!(read(&place, "folder"), "x\n");
    // The third changed the same binary file: nothing of it is there.
    assert_eq!(fs::read_link(at("old-link")).unwrap(), Path::new("tool"));
    let merge = &events(&place, "branches_merged")[0]["merge"];
    assert_eq!(merge["branches"][2]["conflicts"], serde_json::json!(["bin"]));
}

#[test]
fn what_is_moved_by_one_and_changed_by_another_does_not_go_together() {
    let place = flow(&[("one", "mv long moved"), ("two", "sed -i s/9/NINE/ long")]);
    place.write("long", &(lines(&[]) + &"more of it\n".repeat(20)));
    run(&place).ends(4);
    assert!(!place.path().join("long").exists());
    assert_eq!(read(&place, "moved"), lines(&[]) + &"more of it\n".repeat(20));
    let merge = &events(&place, "branches_merged")[0]["merge"];
    assert_eq!(merge["branches"][1]["conflicts"], serde_json::json!(["long"]));
}

#[test]
fn a_file_where_another_has_a_folder_is_never_lost() {
    let (file, below) = ("rm -r d; echo precious > d", "echo h > d/h.txt");
    for (one, two) in [(file, below), (below, file), ("rm -r d; ln -s x d", below)] {
        let place = flow(&[("one", one), ("two", two)]);
        place.write("d/g.txt", "g\n");
        run(&place).ends(4);
        let merge = &events(&place, "branches_merged")[0]["merge"];
        let conflicts = merge["branches"][1]["conflicts"].as_array().unwrap();
        assert!(!conflicts.is_empty(), "{merge}");
        assert_eq!(place.path().join("d").is_dir(), one == below, "the first one's stays");
        assert_eq!(folders(&place).len(), 1, "the second one's is kept");
    }
    // A person's as well.
    let place = flow(&[("one", "sleep 1; echo h > d/h.txt"), ("two", "true")]);
    place.write("d/g.txt", "g\n");
    let mut going = place.command(&["run", "side", "--task", "t"]);
    let mut going = going.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the copies", || folders(&place).len() == 2);
    fs::remove_dir_all(place.path().join("d")).unwrap();
    place.write("d", "a person's\n");
    going.wait().unwrap();
    assert_eq!(read(&place, "d"), "a person's\n");
    assert_eq!(events(&place, "children_joined")[0]["tag"], "partial");
}

#[test]
fn a_branch_stands_in_a_repository_of_its_own_and_the_users_is_as_it_was() {
    let place = flow(&[
        (
            "one",
            "git status --porcelain > ../../../../../status; git log --format=%s >> ../../../../../status; \
             echo more >> committed; git add -A; git commit -qm mine; git stash list; git branch x; \
             test ! -e ignored/file",
        ),
        (
            "two",
            "test ! -d .git/hooks; git diff --stat | grep committed; rm -rf .git; ! git status || exit 9; echo 2 > two",
        ),
    ]);
    place.write("committed", &lines(&[]));
    place.write("staged", "staged\n");
    place.write(".gitignore", "ignored/\nstatus\n");
    place.write("ignored/file", "not copied\n");
    place.write("sub/inner", "of another repository\n");
    git(place.path(), &["init", "-qb", "main"]);
    git(place.path(), &["config", "user.name", "A"]);
    git(place.path(), &["config", "user.email", "a@example.org"]);
    git(place.path(), &["add", "committed", ".gitignore"]);
    git(place.path(), &["commit", "-qm", "first"]);
    git(&place.path().join("sub"), &["init", "-q"]);
    git(place.path(), &["add", "staged"]);
    place.write("committed", &lines(&[(1, "changed")]));
    fs::write(place.path().join(".git/hooks/pre-commit"), "#!/bin/sh\nexit 1\n").unwrap();
    let hook = place.path().join(".git/hooks/pre-commit");
    fs::set_permissions(hook, fs::Permissions::from_mode(0o755)).unwrap();
    let before = tree(&place.path().join(".git"), &[]);
    run(&place).ends(0);
    let after = tree(&place.path().join(".git"), &[]);
    assert!(before == after, "the user's repository was changed");
    assert_eq!(read(&place, "committed"), lines(&[(1, "changed")]) + "more\n");
    assert_eq!(read(&place, "two"), "2\n");
    let status = read(&place, "status");
    assert_eq!(status, " M committed\nA  staged\n?? workflows/\nfirst\n", "as in the user's own");
    assert_eq!(git(place.path(), &["worktree", "list"]).lines().count(), 1);
}

/// Git before 2.45 has no tables of references.
#[test]
fn a_repository_of_another_format_lends_nothing_and_branches_run() {
    for format in ["--object-format=sha256", "--ref-format=reftable"] {
        let place = flow(&[("one", "echo 1 > a.txt"), ("two", "echo 2 > b.txt")]);
        let init =
            Command::new("git").args(["init", "-q", format]).current_dir(place.path()).output();
        if !init.unwrap().status.success() {
            continue;
        }
        git(place.path(), &["add", "."]);
        git(place.path(), &["commit", "-qm", "first"]);
        let said = run(&place).ends(0);
        assert!(said.err.contains("has no objects to lend"), "{format}: {}", said.err);
        assert_eq!(read(&place, "a.txt") + &read(&place, "b.txt"), "1\n2\n", "{format}");
    }
}

#[test]
fn a_workspace_within_a_repository_is_as_deep_in_the_copy() {
    let outer = tempfile::tempdir().unwrap();
    let place = outer.path().join("outer/inner");
    fs::create_dir_all(place.join("workflows")).unwrap();
    fs::write(outer.path().join("outer/above"), "above\n").unwrap();
    fs::write(place.join("file"), "file\n").unwrap();
    let flow =
        flow(&[("one", "git status --porcelain > seen; git rev-parse --show-prefix >> seen")]);
    let text = read(&flow, "workflows/side.sop.yaml");
    fs::write(place.join("workflows/side.sop.yaml"), text).unwrap();
    git(&outer.path().join("outer"), &["init", "-qb", "main"]);
    git(&outer.path().join("outer"), &["add", "."]);
    git(&outer.path().join("outer"), &["commit", "-qm", "first"]);
    let mut command = flow.command(&["run", "side", "--task", "t"]);
    let out = command.current_dir(&place).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(fs::read_to_string(place.join("seen")).unwrap(), "?? inner/seen\ninner/\n");
}

#[test]
fn what_a_person_changes_meanwhile_is_a_side_of_the_merge() {
    let slow = "until [ -e $GO ]; do sleep 0.02; done";
    let place = flow(&[
        ("one", &format!("{slow}; sed -i s/1/ONE/ shared; echo 1 > one")),
        ("two", &format!("{slow}; sed -i s/5/TWO/ shared; echo 2 > two")),
    ]);
    let outside = tempfile::tempdir().unwrap();
    let go = outside.path().join("go");
    let text = read(&place, "workflows/side.sop.yaml").replace("$GO", go.to_str().unwrap());
    place.write("workflows/side.sop.yaml", &text);
    place.write("shared", &lines(&[]));
    place.write("removed", "by the person\n");
    let mut command = place.command(&["run", "side", "--task", "t"]);
    let run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the copies", || folders(&place).len() == 2);
    place.write("shared", &lines(&[(5, "MINE")]));
    place.write("by-hand", "a new file\n");
    fs::remove_file(place.path().join("removed")).unwrap();
    until("the branches", || events(&place, "child_owed").len() == 2);
    fs::write(&go, "").unwrap();
    assert_eq!(run.wait_with_output().unwrap().status.code(), Some(4));
    assert_eq!(read(&place, "shared"), lines(&[(1, "ONE"), (5, "MINE")]));
    assert_eq!(read(&place, "by-hand"), "a new file\n");
    assert!(!place.path().join("removed").exists() && !place.path().join("two").exists());
    assert_eq!(read(&place, "one"), "1\n");
}

#[test]
fn branches_of_a_workflow_in_a_branch_are_merged_into_its_files_first() {
    let place = flow(&[]);
    let text = read(&place, "workflows/side.sop.yaml");
    place.write(
        "workflows/side.sop.yaml",
        &(text
            + "      - { id: below, workflow: inner }\n      - { id: beside, run: 'sed -i s/5/FIVE/ shared' }\n"),
    );
    place.write(
        "workflows/inner.sop.yaml",
        "\
sop: 1
name: inner
steps:
  - id: sides
    isolation: worktree
    parallel:
      - { id: one, run: 'sed -i s/1/ONE/ shared' }
      - { id: two, run: 'git diff --exit-code && sed -i s/9/NINE/ shared' }
    routes: { done: both, failed: FAIL }
  - id: both
    run: 'grep ONE shared && grep NINE shared && ! grep FIVE shared'
",
    );
    place.write("shared", &lines(&[]));
    git(place.path(), &["init", "-qb", "main"]);
    git(place.path(), &["add", "."]);
    git(place.path(), &["commit", "-qm", "first"]);
    run(&place).ends(0);
    assert_eq!(git(place.path(), &["status", "--porcelain"]), " M shared\n");
    assert_eq!(read(&place, "shared"), lines(&[(1, "ONE"), (5, "FIVE"), (9, "NINE")]));
    assert!(folders(&place).is_empty());
}

#[test]
fn artifacts_of_a_branch_are_where_they_always_are() {
    let place = Place::with(
        "side",
        "\
sop: 1
name: side
artifacts:
  before: { md: before.md, required: true }
  note: { md: 'notes/{{ branch.key }}.md', required: true }
steps:
  - id: first
    run: echo before > {{ artifacts.before }}
    writes: [before]
  - id: each
    isolation: worktree
    fan_out: \"['a', 'b']\"
    branch:
      requires: [before]
      run: 'mkdir -p {{ workflow.folder }}/notes; cat {{ artifacts.before }} > {{ artifacts.note }}'
      writes: [note]
    routes: { done: FINISH, failed: FAIL }
",
    );
    run(&place).ends(0);
    for name in ["1", "2"] {
        let path = format!(".botpipe/tasks/t/wf_side/notes/{name}.md");
        assert_eq!(read(&place, &path), "before\n");
    }
    assert!(folders(&place).is_empty());
}

#[test]
fn a_file_that_a_rule_hides_is_not_written_over() {
    let place = flow(&[
        ("one", "echo 1 > one"),
        ("two", "test ! -e local; : > .gitignore; echo theirs > local; echo theirs > new"),
    ]);
    place.write(".gitignore", "local\n");
    place.write("local", "mine\n");
    run(&place).ends(4);
    assert_eq!(read(&place, "local"), "mine\n");
    assert!(place.path().join("one").exists() && !place.path().join("new").exists());
    let merge = &events(&place, "branches_merged")[0]["merge"];
    assert_eq!(merge["branches"][1]["conflicts"], serde_json::json!(["local"]));
}

#[test]
fn a_branch_that_is_ended_because_another_failed_leaves_its_files_recorded() {
    // A branch sees nothing of another's files.
    let outside = tempfile::tempdir().unwrap();
    let go = outside.path().join("go").display().to_string();
    let place = flow(&[
        ("bad", &format!("until [ -e {go} ]; do sleep 0.02; done; exit 3")),
        ("slow", &format!("echo half > half; touch {go}; sleep 60")),
    ]);
    let text = read(&place, "workflows/side.sop.yaml");
    let text =
        text.replace("isolation: worktree\n", "isolation: worktree\n    settle: fail_fast\n");
    place.write("workflows/side.sop.yaml", &text);
    run(&place).ends(4);
    let ends = events(&place, "child_ended");
    let slow = ends.iter().find(|it| it["branch"] == "slow").unwrap();
    assert!(slow["end"]["verdict"].is_null(), "it was cancelled: {slow}");
    let file = format!("{}:half", slow["end"]["tree"].as_str().unwrap());
    let show = ["--git-dir", ".botpipe/snapshots.git", "show", &file];
    assert_eq!(git(place.path(), &show), "half\n");
    assert!(!place.path().join("half").exists() && folders(&place).is_empty());
}
