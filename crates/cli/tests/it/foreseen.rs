//! What shows of a policy before anything runs: what of it is refused, how far it is kept, and where there is no
//! sandbox at all.

use crate::place::Place;

/// Two scripts under this policy.
fn place(policy: &str) -> Place {
    let steps = "steps:\n  - { id: make, run: mkdir -p out }\n  - { id: look, run: ls out }\n";
    Place::with("work", &format!("sop: 1\nname: work\npolicy: {{ {policy} }}\n{steps}"))
}

#[test]
fn what_cannot_be_compiled_is_refused_before_the_run_begins() {
    for (policy, why) in [
        ("deny_read: [.]", "hides the whole workspace"),
        ("deny_read: [../../etc/*]", "is a pattern outside the workspace"),
        ("allow_write: [/nonexistent/dir]", "`allow_write: /nonexistent/dir` cannot be opened"),
        ("allow_read: [missing], allow_write: [out]", "`allow_read: missing` cannot be opened"),
        ("allow_read: [workflows]", "read only in part"),
    ] {
        let place = place(policy);
        let said = place.say(&["run", "work", "--dry-run"]).ends(7);
        let refused = said.json()["refused"][0].as_str().unwrap().to_owned();
        assert!(refused.contains("step `make`") && refused.contains(why), "{policy}: {refused}");
        assert!(said.err.contains(why), "{policy}: {said:?}");
        let said = place.say(&["policy", "explain", "work"]).ends(7).json();
        let refused = said["bound"][0]["refusal"].as_str().unwrap();
        assert!(refused.contains(why), "{policy}: {refused}");
        let said = place.say(&["run", "work", "--task", "t1"]).ends(7);
        assert!(said.err.contains(why), "{policy}: {said:?}");
        place.say(&["runs", "show", "work", "t1"]).ends(3);
    }
}

#[test]
fn what_an_earlier_step_makes_is_not_missed_before() {
    let steps = "
steps:
  - { id: make, run: mkdir out; echo x > out/x }
  - { id: more, run: echo y >> out/x, policy: { allow_write: [out/x] } }
";
    let place = Place::with("work", &format!("sop: 1\nname: work\n{steps}"));
    place.say(&["run", "work", "--dry-run"]).ends(0);
    place.say(&["policy", "explain", "work"]).ends(0);
    place.say(&["run", "work", "--task", "t1"]).ends(0);
}

#[test]
fn what_is_only_watched_is_shown_so_and_named_where_strict_refuses_it() {
    let place = place("deny_read: [.env]");
    let said = place.say(&["policy", "explain", "work", "make"]).ends(0).json();
    let coverage = |of: &str| {
        let lines = said["bound"][0]["controls"].as_array().unwrap();
        lines.iter().find(|it| it["control"] == of).unwrap()["coverage"].as_str().map(str::to_owned)
    };
    assert_eq!(coverage("deny_read").as_deref(), Some("watch"), "{said}");
    assert_eq!(coverage("sandbox_mode").as_deref(), Some("launch_snapshot"), "{said}");
    assert_eq!(coverage("network").as_deref(), Some("full"), "{said}");
    place.write("ci.yaml", "strict: true\n");
    let said = place.say(&["run", "work", "--task", "t1", "--policy-file", "ci.yaml"]).ends(7);
    for words in ["`strict: true` by `ci.yaml`", "`deny_read: [.env]` is only watched"] {
        assert!(said.err.contains(words), "{said:?}");
    }
}

#[test]
fn a_clone_that_turns_the_sandbox_off_is_told() {
    let place = place("network: none");
    place.write("botpipe.yaml", "policy: { sandbox_mode: danger_full_access, network: full }\n");
    let said = place.say(&["run", "work", "--task", "t1"]).ends(0);
    let told = "no sandbox around steps `make`, `look`: `sandbox_mode: danger_full_access` in `botpipe.yaml`";
    assert_eq!(
        said.err.matches(&format!("note: {told}; a `--policy-file`")).count(),
        1,
        "{said:?}"
    );
    let shown = place.say(&["runs", "show", "work", "t1"]).ends(0).json();
    for row in [&said.json()["unsandboxed"][0], &shown["unsandboxed"][0]] {
        assert_eq!(row["control"], "sandbox_mode", "{row}");
        assert_eq!(row["value"], "danger_full_access", "{row}");
        assert_eq!(row["by"], "nobody", "{row}");
        assert_eq!(row["origin"]["path"], "botpipe.yaml", "{row}");
        assert_eq!(row["steps"][1], "look", "{row}");
    }
    let kept = shown["sandbox"][0]["controls"].as_array().unwrap();
    let mode = kept.iter().find(|it| it["control"] == "sandbox_mode").unwrap();
    assert_eq!((&mode["by"], &mode["coverage"]), (&"nobody".into(), &"none".into()), "{mode}");
    // What the person says narrows it, and then nothing is to be told.
    place.write("ci.yaml", "sandbox_mode: workspace_write\n");
    let said = place.say(&["run", "work", "--task", "t2", "--policy-file", "ci.yaml"]).ends(0);
    assert!(!said.err.contains("no sandbox"), "{said:?}");
    assert!(said.json()["unsandboxed"].is_null(), "{said:?}");
}
