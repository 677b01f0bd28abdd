//! A disk that fills up in the middle of a run: it stops and says so, and goes on once there is space.

use std::fs;
use std::path::Path;

use super::{GOOD, NOTE, Running, inside_own_mounts, mount, nothing_is_left, open, says};
use crate::place::{Place, tree};

/// Fills all but `left` KiB of a folder's disk; in an agent's words.
fn fill(folder: &str, left: u32) -> String {
    format!(
        "dd if=/dev/zero of={folder}/kept bs=1k count={left} 2>/dev/null
        dd if=/dev/zero of={folder}/ballast bs=4k 2>/dev/null
        dd if=/dev/zero of={folder}/ballast bs=1 count=4096 oflag=append conv=notrunc 2>/dev/null
        rm {folder}/kept"
    )
}

fn free(folder: &Path) {
    fs::remove_file(folder.join("ballast")).unwrap();
}

/// No half of a file is left anywhere, and what is recorded can be read.
fn nothing_half_written(place: &Place) {
    for (name, _) in tree(place.path(), &[]) {
        assert!(!name.contains(".botpipe-"), "{name}");
    }
    let events = place.say(&["logs", "note", "t1", "--events"]).ends(0).out;
    let lines: Vec<serde_json::Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["event"]["kind"], "run_created");
    // The projection in the run's folder is whole: the same text, or an older one.
    let list = place.say(&["runs", "list"]).ends(0).json();
    let run = list["runs"][0]["run"].as_str().unwrap();
    let projected = place.path().join(format!(".botpipe/tasks/t1/wf_note/runs/{run}/events.jsonl"));
    if let Ok(text) = fs::read_to_string(projected) {
        assert!(events.starts_with(&text), "{text}");
    }
}

/// Runs with an agent that fills a disk at some point, frees it, and resumes. Whether it was stopped.
fn fills(place: &Place, disk: &Path, agent: &str, what: &str) -> bool {
    let agent = format!("if [ -e freed ]; then {GOOD}\nelse {agent}\nfi");
    let said = Running::of(place, &agent).end();
    nothing_is_left(place);
    let stopped = said.code != 0;
    if stopped {
        assert_eq!(said.code, 1, "{what}: {said:?}");
        let full = said.err.contains("is full; free some space")
            || said.err.contains("No space left on device");
        assert!(full, "{what}: {said:?}");
        says(&said, &["botpipe resume note t1 --workspace ."]);
        // It is still full: it can be looked at, and to resume it says the same.
        nothing_half_written(place);
        let said = place.say(&["resume", "note", "t1"]);
        assert!(said.code == 1 || said.code == 0, "{what}: {said:?}");
        says(&said, &[]);
    }
    free(disk);
    fs::write(place.path().join("freed"), "").unwrap();
    place.say(&["resume", "note", "t1"]).ends(0);
    nothing_half_written(place);
    let note = place.path().join(".botpipe/tasks/t1/wf_note/note.md");
    assert_eq!(fs::read_to_string(note).unwrap(), "a note\n", "{what}");
    stopped
}

#[test]
fn a_disk_of_records_that_fills_up_in_a_turn() {
    if !inside_own_mounts("faults::disk::a_disk_of_records_that_fills_up_in_a_turn") {
        return;
    }
    let mut stopped = Vec::new();
    for left in [0, 4, 8, 12, 16, 24, 40, 64] {
        let place = Place::with("note", &open(NOTE));
        let disk = place.path().join(".botpipe");
        fs::create_dir(&disk).unwrap();
        mount(&["-t", "tmpfs", "-o", "size=2m", "none"], &disk);
        // The work is done and said before the disk fills: what fails is what we write.
        let agent = format!("{GOOD}\n{}", fill(".botpipe", left));
        stopped.push((left, fills(&place, &disk, &agent, &format!("{left} KiB left"))));
        unmount(&disk);
    }
    assert!(stopped[0].1, "{stopped:?}");
    assert!(stopped.iter().filter(|(_, stopped)| *stopped).count() >= 2, "{stopped:?}");
}

#[test]
fn a_disk_of_records_that_fills_up_before_the_agent_speaks() {
    if !inside_own_mounts("faults::disk::a_disk_of_records_that_fills_up_before_the_agent_speaks") {
        return;
    }
    let place = Place::with("note", &open(NOTE));
    let disk = place.path().join(".botpipe");
    fs::create_dir(&disk).unwrap();
    mount(&["-t", "tmpfs", "-o", "size=2m", "none"], &disk);
    let agent = format!("{}; seq 1 3000; {GOOD}", fill(".botpipe", 4));
    assert!(fills(&place, &disk, &agent, "before it speaks"));
    unmount(&disk);
}

#[test]
fn a_workspace_that_fills_up_as_a_whole() {
    if !inside_own_mounts("faults::disk::a_workspace_that_fills_up_as_a_whole") {
        return;
    }
    let mut stopped = 0;
    for left in [0, 32, 96] {
        let place = Place::new();
        mount(&["-t", "tmpfs", "-o", "size=3m", "none"], place.path());
        place.write(
            "workflows/note.sop.yaml",
            &NOTE.replace("done: FINISH", "done: FINISH\n      next: SELF"),
        );
        // Repeating the step takes a snapshot of the tree as it is now.
        let agent = format!(
            "cat > /dev/null; echo a note > \"$BOTPIPE_WORKFLOW_FOLDER/note.md\"
            head -c 20000 /dev/urandom > fresh; {}
            echo '{{\"outcome\": {{\"tag\": \"next\"}}}}'",
            // Once: in the next turn it would be there already.
            format_args!("[ -e ballast ] || {{ {}\n}}", fill(".", left))
        );
        // Where it is not stopped at once it is by the bound of visits, after which it goes on.
        let agent = format!(
            "if [ -e ballast ] && [ -e again ]; then {GOOD}; exit; fi; touch again\n{agent}"
        );
        if fills(&place, place.path(), &agent, &format!("{left} KiB left")) {
            stopped += 1;
        }
        unmount(place.path());
    }
    assert!(stopped > 0);
}

#[test]
fn a_run_that_cannot_even_begin() {
    if !inside_own_mounts("faults::disk::a_run_that_cannot_even_begin") {
        return;
    }
    let place = Place::with("note", NOTE);
    let disk = place.path().join(".botpipe");
    fs::create_dir(&disk).unwrap();
    mount(&["-t", "tmpfs", "-o", "size=1m", "none"], &disk);
    fs::write(disk.join("ballast"), vec![1; 2 << 20]).unwrap_err();
    let said = Running::of(&place, GOOD).end().ends(1);
    says(&said, &[".botpipe", "full"]);
    place.say(&["runs", "list"]).ends(0);
    free(&disk);
    Running::of(&place, GOOD).end().ends(0);
    unmount(&disk);
}

fn unmount(place: &Path) {
    let done = std::process::Command::new("umount").arg("-l").arg(place).status().unwrap();
    assert!(done.success());
}
