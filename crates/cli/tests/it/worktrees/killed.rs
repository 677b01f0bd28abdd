//! Branches with files of their own, cut off and taken up again, and beside a person who goes on.

use std::fs;
use std::process::Stdio;

use botpipe_testkit::kills::killed_at;

use super::{events, flow, folders, lines, read};
use crate::faults::nothing_is_left;
use crate::place::{Place, kill_once, until};

#[test]
fn branches_that_ended_never_run_again_and_one_cut_off_goes_on_in_its_folder() {
    let outside = tempfile::tempdir().unwrap();
    let (ledger, go) = (outside.path().join("ledger"), outside.path().join("go"));
    let (noted, gone) = (ledger.display(), go.display());
    let place = flow(&[
        ("one", &format!("echo one >> {noted}; echo 1 > one")),
        (
            "slow",
            &format!(
                "echo slow >> {noted}; echo half >> half; touch {noted}-begun; \
                 until [ -e {gone} ]; do sleep 0.02; done; rm half; echo 2 > slow"
            ),
        ),
    ]);
    let mut command = place.command(&["run", "side", "--task", "t"]);
    let run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the end of one", || ledger.exists() && events(&place, "child_ended").len() == 1);
    kill_once(run, &outside.path().join("ledger-begun"), place.path());
    assert!(!place.path().join("one").exists() && !place.path().join("half").exists());
    fs::write(&go, "").unwrap();
    place.say(&["resume", "side", "t"]).ends(0);
    nothing_is_left(&place);
    let mut told: Vec<_> =
        fs::read_to_string(&ledger).unwrap().lines().map(str::to_owned).collect();
    told.sort();
    assert_eq!(told, ["one", "slow", "slow"]);
    assert_eq!(read(&place, "one") + &read(&place, "slow"), "1\n2\n");
    assert!(!place.path().join("half").exists() && folders(&place).is_empty());
}

/// Whether this is the moment; told with the workspace's name.
type Aim = fn(&str, &str) -> bool;

/// Whether a file is moved into its place.
fn put(moment: &str, when: &str, file: &str) -> bool {
    moment.starts_with(&format!("{when} rename")) && moment.ends_with(file)
}

/// Two branches that change many files.
fn many() -> Place {
    let place = flow(&[
        ("one", "for n in $(seq 300); do echo one >> many-$n; done; sed -i s/1/ONE/ shared"),
        ("two", "sed -i s/9/NINE/ shared; rm old-*"),
    ]);
    place.write("shared", &lines(&[]));
    for n in 0..50 {
        place.write(&format!("old-{n}"), "old\n");
        place.write(&format!("many-{n}"), "before\n");
    }
    place
}

/// The same, and a run of theirs killed where `aim` says.
fn killed(aim: Aim) -> Place {
    let place = many();
    let name = place.path().file_name().unwrap().to_str().unwrap().to_owned();
    let mut command = place.command(&["run", "side", "--task", "t"]);
    let struck = killed_at(&mut command, &mut |moment| aim(moment, &name)).unwrap();
    assert!(struck, "the moment never came");
    nothing_is_left(&place);
    place
}

#[test]
fn killed_between_any_two_deeds_the_merge_is_written_once() {
    let aims: [(&str, Aim); 8] = [
        ("a copy is half made", |it, _| it.ends_with("/new/many-3")),
        ("a copy is not there", |it, name| put(it, "before", &format!("/{name}"))),
        ("a copy is there", |it, name| put(it, "after", &format!("/{name}"))),
        ("nothing is removed", |it, _| it == "before unlinkat old-0"),
        ("nothing is written", |it, _| put(it, "before", " many-1")),
        ("half is written", |it, _| put(it, "after", " many-200")),
        ("all is written", |it, _| put(it, "after", " shared")),
        ("a copy is half removed", |it, _| it == "before unlinkat many-200"),
    ];
    for (what, aim) in aims {
        let place = killed(aim);
        // A person sees some of it, and goes on with what they have.
        let begun = read(&place, "shared");
        place.write("shared", &begun.replace('5', "MINE"));
        place.write("by-hand", "mine\n");
        place.say(&["resume", "side", "t"]).ends(0);
        let merged = lines(&[(1, "ONE"), (5, "MINE"), (9, "NINE")]);
        assert_eq!(read(&place, "shared"), merged, "{what}");
        assert_eq!(read(&place, "many-7"), "before\none\n", "{what}");
        assert_eq!(read(&place, "many-300"), "one\n", "{what}");
        assert_eq!(read(&place, "by-hand"), "mine\n", "{what}");
        assert!(!place.path().join("old-1").exists(), "{what}");
        assert_eq!(events(&place, "merge_applied").len(), 1, "{what}");
        assert!(folders(&place).is_empty(), "{what}");
    }
}

/// The merge that a person's line made impossible for the first branch: nothing of that is there.
#[track_caller]
fn first_is_left_out(place: &Place) {
    assert_eq!(read(place, "shared"), lines(&[(1, "MINE"), (9, "NINE")]));
    assert_eq!(read(place, "many-1"), "before\n");
    assert!(!place.path().join("many-100").exists() && !place.path().join("old-1").exists());
    assert_eq!(events(place, "merge_refused").len(), 1);
    let merge = &events(place, "branches_merged")[1]["merge"];
    assert_eq!(merge["branches"][0]["conflicts"], serde_json::json!(["shared"]));
    assert_eq!(folders(place).len(), 1);
}

#[test]
fn half_a_merge_that_a_person_makes_impossible_is_taken_back() {
    let place = killed(|it, _| put(it, "after", " many-200"));
    assert_eq!(read(&place, "many-1"), "before\none\n", "half of it is written");
    // The line that a branch changed as well.
    place.write("shared", &lines(&[(1, "MINE")]));
    place.say(&["resume", "side", "t"]).ends(4);
    first_is_left_out(&place);
}

#[test]
fn what_a_person_saves_while_the_merge_is_written_is_not_written_over() {
    let place = many();
    let mut command = place.command(&["run", "side", "--task", "t"]);
    let mut saved = false;
    let struck = killed_at(&mut command, &mut |moment| {
        if !saved && put(moment, "after", " many-200") {
            place.write("shared", &lines(&[(1, "MINE")]));
            saved = true;
        }
        false
    });
    assert!(!struck.unwrap() && saved);
    first_is_left_out(&place);
}

#[test]
fn a_branch_that_is_put_back_puts_back_its_own_files_alone() {
    let outside = tempfile::tempdir().unwrap();
    let begun = outside.path().join("begun");
    let place = flow(&[(
        "one",
        &format!(
            "test ! -e half; echo half > half; if [ ! -e {0} ]; then touch {0}; sleep 60; fi; \
             echo 1 > one",
            begun.display()
        ),
    )]);
    let text = read(&place, "workflows/side.sop.yaml");
    place.write(
        "workflows/side.sop.yaml",
        &text.replace("{ id: one,", "{ id: one, on_interrupt: restart,"),
    );
    let mut command = place.command(&["run", "side", "--task", "t"]);
    let run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    kill_once(run, &begun, place.path());
    place.write("by-hand", "stays\n");
    place.say(&["resume", "side", "t"]).ends(0);
    assert_eq!(read(&place, "by-hand") + &read(&place, "one"), "stays\n1\n");
}

#[test]
fn a_copy_that_a_power_cut_left_torn_is_made_again_and_what_is_left_of_it_is_kept() {
    for (settled, torn) in [(false, true), (true, false)] {
        let outside = tempfile::tempdir().unwrap();
        let (begun, go) = (outside.path().join("begun"), outside.path().join("go"));
        let (there, gone) = (begun.display(), go.display());
        let slow = format!(
            "echo half >> half; touch {there}; until [ -e {gone} ]; do sleep 0.02; done; echo 2 > slow"
        );
        let place = flow(&[("slow", &slow)]);
        place.write("shared", "as it was\n");
        let mut command = place.command(&["run", "side", "--task", "t"]);
        let run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        kill_once(run, &begun, place.path());
        let own = folders(&place).pop().unwrap();
        let copy = fs::read_dir(own.join("files")).unwrap().next().unwrap().unwrap().path();
        // What a power cut does: another boot, and a file that was never written.
        let mark = own.join("unsettled");
        assert!(!fs::read(&mark).unwrap().is_empty());
        if settled {
            fs::remove_file(&mark).unwrap();
        } else {
            fs::write(&mark, "another boot").unwrap();
        }
        fs::write(copy.join("shared"), "").unwrap();
        // The run stands still in its second start, and can be looked at.
        fs::remove_file(&begun).unwrap();
        let mut resume = place.command(&["resume", "side", "t"]);
        let mut run = resume.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        crate::place::wait_for("the second start", &begun, &mut run);
        let left = own.join("torn");
        assert_eq!(left.exists(), torn);
        if torn {
            let left = left.join(copy.file_name().unwrap());
            assert_eq!(fs::read_to_string(left.join("half")).unwrap(), "half\n");
        }
        fs::write(&go, "").unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(0));
        assert_eq!(read(&place, "shared"), if torn { "as it was\n" } else { "" });
        assert_eq!(read(&place, "half"), if torn { "half\n" } else { "half\nhalf\n" });
        assert!(folders(&place).is_empty());
    }
}
