//! Where things live, and which artifacts and items of worklists count.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use botpipe_engine::workspace::Error as WorkspaceError;
use botpipe_engine::workspace::artifacts::{Rule, inspect, stamp};
use botpipe_engine::workspace::layout::Layout;
use botpipe_engine::workspace::worklists::{read_items, write_status};
use botpipe_kernel::plan::{Artifact, Format, ItemSource, Worklist};
use botpipe_kernel::run::{FindingState, ItemStatus};
use serde_json::json;
use tempfile::TempDir;

fn artifact(owner: Option<&str>) -> Artifact {
    Artifact {
        format: Format::Md,
        path: String::new(),
        owner: owner.map(|step| step.parse().unwrap()),
        schema: None,
        required: false,
    }
}

fn resolve(layout: &Layout, owner: Option<&str>, path: &str) -> Result<String, String> {
    let (task, workflow) = ("t1".parse().unwrap(), "loop".parse().unwrap());
    layout
        .resolve_artifact(&task, &workflow, &artifact(owner), path)
        .map(|place| place.relative)
        .map_err(|error| error.to_string())
}

#[test]
fn a_workspace_must_exist_and_be_a_folder() {
    let folder = TempDir::new().unwrap();
    let typo = folder.path().join("tpyo");
    let error = Layout::open(&typo).unwrap_err().to_string();
    assert!(error.contains("there is no folder") && error.contains("tpyo"), "{error}");
    assert!(!typo.exists());
    fs::write(&typo, "a file").unwrap();
    let error = Layout::open(&typo).unwrap_err().to_string();
    assert!(error.contains("is not a folder"), "{error}");
}

#[test]
fn botpipe_is_ignored_but_for_its_workflows() {
    let folder = TempDir::new().unwrap();
    let layout = Layout::open(folder.path()).unwrap();
    layout.create().unwrap();
    layout.create().unwrap();
    fs::create_dir_all(layout.workflows()).unwrap();
    fs::write(layout.workflows().join("x.sop.yaml"), "").unwrap();
    fs::write(layout.database(), "").unwrap();
    let repository = git2::Repository::init(folder.path()).unwrap();
    let ignored = |path: &str| repository.is_path_ignored(path).unwrap();
    assert!(ignored(".botpipe/botpipe.db") && ignored(".botpipe/.gitignore"));
    assert!(!ignored(".botpipe/workflows/x.sop.yaml"));
}

#[test]
fn a_file_or_link_named_botpipe_is_refused() {
    let folder = TempDir::new().unwrap();
    let layout = Layout::open(folder.path()).unwrap();
    fs::write(layout.botpipe(), "").unwrap();
    assert!(layout.create().unwrap_err().to_string().contains("is not a folder"));
    fs::remove_file(layout.botpipe()).unwrap();
    symlink("/tmp", layout.botpipe()).unwrap();
    assert!(layout.create().unwrap_err().to_string().contains("is not a folder"));
}

#[test]
fn artifacts_stay_in_their_folder() {
    let folder = TempDir::new().unwrap();
    let layout = Layout::open(folder.path()).unwrap();
    assert_eq!(
        resolve(&layout, None, "items//a/./x.md").unwrap(),
        ".botpipe/tasks/t1/wf_loop/items/a/x.md"
    );
    assert_eq!(
        resolve(&layout, Some("plan"), "x.md").unwrap(),
        ".botpipe/tasks/t1/wf_loop/plan/x.md"
    );
    for bad in ["", "/etc/passwd", "../x", "a/../../x", "a/", ".", "a\nb", "a\0b", "runs/r/x.md"] {
        let error = resolve(&layout, None, bad).unwrap_err();
        assert!(error.contains("change the artifact's `path`"), "{bad:?}: {error}");
    }
}

#[test]
fn a_link_on_the_way_is_refused_and_one_that_leads_out_of_the_workspace() {
    let folder = TempDir::new().unwrap();
    let outside = TempDir::new().unwrap();
    let layout = Layout::open(folder.path()).unwrap();
    let place = layout.root().join(".botpipe/tasks/t1/wf_loop");
    fs::create_dir_all(place.join("real")).unwrap();
    symlink(outside.path(), place.join("out")).unwrap();
    symlink("/nowhere/at/all", place.join("dangling")).unwrap();
    symlink("real", place.join("in")).unwrap();
    for bad in ["dangling", "out"] {
        let error = resolve(&layout, None, bad).unwrap_err();
        assert!(error.contains("leads out of the workspace"), "{bad}: {error}");
    }
    for bad in ["out/x.md", "in/x.md"] {
        let error = resolve(&layout, None, bad).unwrap_err();
        assert!(error.contains("remove it, and make a folder there"), "{bad}: {error}");
    }
}

fn why(path: &Path, format: Format, schema: Option<&jsonschema::Validator>) -> String {
    match inspect(path, &Rule { format, schema }, None, None) {
        FindingState::Invalid { why } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_artifact_is_missing_then_good_then_stale_then_good_again() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("plan.md");
    assert_eq!(
        inspect(&path, &Rule { format: Format::Md, schema: None }, None, None),
        FindingState::Missing
    );
    assert_eq!(stamp(&path), None);
    fs::write(&path, "words").unwrap();
    assert!(matches!(
        inspect(&path, &Rule { format: Format::Md, schema: None }, None, None),
        FindingState::Good { .. }
    ));
    let baseline = stamp(&path).unwrap();
    let now = inspect(&path, &Rule { format: Format::Md, schema: None }, Some(&baseline), None);
    assert_eq!(now, FindingState::Stale { digest: baseline.digest.clone() });
    // The same words again, in a new file.
    fs::write(folder.path().join("new"), "words").unwrap();
    fs::rename(folder.path().join("new"), &path).unwrap();
    let now = inspect(&path, &Rule { format: Format::Md, schema: None }, Some(&baseline), None);
    assert_eq!(now, FindingState::Good { digest: baseline.digest });
}

#[test]
fn an_invalid_artifact_says_why() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a");
    fs::write(&path, " \n").unwrap();
    assert_eq!(why(&path, Format::Md, None), "is empty");
    assert_eq!(why(&path, Format::Json, None), "is empty");
    assert!(matches!(
        inspect(&path, &Rule { format: Format::Raw, schema: None }, None, None),
        FindingState::Good { .. }
    ));
    fs::write(&path, b"ab\xff").unwrap();
    assert_eq!(why(&path, Format::Text, None), "is not UTF-8 text (at byte 2)");
    fs::write(&path, "{\n  \"a\": }").unwrap();
    let text = why(&path, Format::Json, None);
    assert!(text.starts_with("is not JSON") && text.contains("line 2 column 8"), "{text}");
    assert_eq!(why(folder.path(), Format::Md, None), "is a folder");
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(why(&link, Format::Md, None), "is a symbolic link");
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    assert_eq!(why(&pipe, Format::Raw, None), "is not a regular file");
    fs::File::create(&path).unwrap().set_len((64 << 20) + 1).unwrap();
    assert!(why(&path, Format::Raw, None).starts_with("has 67108865 bytes"));
}

#[test]
fn a_broken_schema_is_told_place_by_place_up_to_five() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("work.json");
    let schema = jsonschema::validator_for(&json!({
        "type": "object",
        "properties": { "items": { "type": "array", "items": { "type": "string" } } },
        "required": ["goal"],
    }))
    .unwrap();
    fs::write(&path, json!({ "items": [1, "b", 3, 4, 5, 6, 7] }).to_string()).unwrap();
    let text = why(&path, Format::Json, Some(&schema));
    assert!(text.contains("at /items/0: 1 is not of type \"string\""), "{text}");
    assert!(text.contains("and 2 more"), "{text}");
    fs::write(&path, json!({ "goal": 1, "items": ["b"] }).to_string()).unwrap();
    let found = inspect(&path, &Rule { format: Format::Json, schema: Some(&schema) }, None, None);
    assert!(matches!(found, FindingState::Good { .. }));
}

fn worklist() -> Worklist {
    Worklist {
        from: ItemSource::Artifact("work".parse().unwrap()),
        select: None,
        timeout_ms: None,
        collection: "items".to_owned(),
        id: "id".to_owned(),
        title: Some("title".to_owned()),
        status: Some("status".to_owned()),
    }
}

#[test]
fn items_are_read_in_order_with_their_status() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("work.json");
    let text = r#"{"items": [{"id": "b", "title": "B", "status": "done"}, {"id": 7, "x": 1},
        {"id": "c", "status": "in progress"}, {"id": "d", "status": "Completed", "title": null}]}"#;
    fs::write(&path, text).unwrap();
    let (digest, items) = read_items(&path, &worklist()).unwrap();
    assert_eq!(digest, stamp(&path).unwrap().digest);
    let short: Vec<_> =
        items.iter().map(|i| (i.id.as_str(), i.title.as_deref(), i.status)).collect();
    let expected = [
        ("b", Some("B"), ItemStatus::Completed),
        ("7", None, ItemStatus::Planned),
        ("c", None, ItemStatus::Planned),
        ("d", None, ItemStatus::Completed),
    ];
    assert_eq!(short, expected);
    assert_eq!(items[1].payload, json!({ "id": 7, "x": 1 }));
}

#[test]
fn a_bad_worklist_names_every_place_and_what_to_do() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("work.json");
    let problem = |text: &str| {
        fs::write(&path, text).unwrap();
        read_items(&path, &worklist()).unwrap_err().to_string()
    };
    let missing = read_items(&path, &worklist()).unwrap_err().to_string();
    assert!(missing.contains("work.json`: is missing: write it"), "{missing}");
    for (text, expected) in [
        ("nonsense", "is not JSON: expected ident at line 1"),
        ("[]", "has no key `items`"),
        (r#"{"items": {}}"#, "`items` is an object: make it the array"),
        (r#"{"items": ["x"]}"#, "`items[0]` is a string: make it an object"),
        (r#"{"items": [{"title": "x"}]}"#, "`items[0]` has no `id`"),
        (r#"{"items": [{"id": true}]}"#, "`items[0]` has a boolean as `id`"),
        (r#"{"items": [{"id": "../a"}]}"#, "`items[0]` has a bad `id`: `../a` is no item id"),
        (r#"{"items": [{"id": "a", "status": 1}]}"#, "(`a`) has a number as `status`"),
        (r#"{"items": [{"id": "a", "title": []}]}"#, "(`a`) has an array as `title`"),
        (r#"{"items": [{"id": "1"}, {"id": 1}]}"#, "`items[1]` has the id `1` of `items[0]`"),
    ] {
        let problem = problem(text);
        assert!(problem.contains(expected), "{text}\n{problem}");
    }
    let both = problem(r#"{"items": [{}, {"id": "a/b"}]}"#);
    assert!(both.contains("`items[0]`") && both.contains("`items[1]`"), "{both}");
}

#[test]
fn a_status_changes_nothing_else_in_the_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("work.json");
    let before = "{\n  \"zeta\": 1.0,\n  \"items\": [\n    {\n      \"status\": \"planned\",\n      \
                  \"id\": \"a\"\n    },\n    {\n      \"id\": \"b\",\n      \"deep\": {\"id\": \"a\"}\n    }\n  ],\n  \
                  \"alpha\": \"\\u00e4\"\n}\n";
    fs::write(&path, before).unwrap();
    let digest = stamp(&path).unwrap().digest;
    let write = |item: &str| {
        let item = item.parse().unwrap();
        let recorded = || Ok::<(), WorkspaceError>(());
        let status = ItemStatus::Completed;
        write_status(&path, &worklist(), &item, status, Some(&digest), recorded).unwrap()
    };
    let written = write("a");
    let after = before.replace("\"planned\"", "\"completed\"");
    assert_eq!(fs::read_to_string(&path).unwrap(), after);
    assert_eq!((written.stamp.clone(), written.drift), (stamp(&path), None));
    // Again: nothing is written, but that the file is another than was read is told.
    let again = write("a");
    assert_eq!(again.stamp, written.stamp);
    assert!(again.drift.unwrap().contains("was changed since"));
    // An item without the key gets it, set out as the others.
    write("b");
    let after = after.replace("\"id\": \"b\",", "\"id\": \"b\",\n      \"status\": \"completed\",");
    assert_eq!(fs::read_to_string(&path).unwrap(), after);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_status_that_is_not_on_record_is_not_written() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("work.json");
    let before = r#"{"items": [{"id": "a", "status": "planned"}]}"#;
    fs::write(&path, before).unwrap();
    let refused = || {
        assert_eq!(fs::read_to_string(&path).unwrap(), before, "written before it is on record");
        Err(WorkspaceError::DiskFull { path: path.clone() })
    };
    let item = "a".parse().unwrap();
    let status = ItemStatus::Completed;
    write_status(&path, &worklist(), &item, status, None, refused).unwrap_err();
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_worklist_that_went_away_is_drift_not_an_error() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("work.json");
    let drift = || {
        let item = "a".parse().unwrap();
        let recorded = || Ok::<(), WorkspaceError>(());
        let status = ItemStatus::Completed;
        let written = write_status(&path, &worklist(), &item, status, None, recorded).unwrap();
        written.drift.unwrap()
    };
    assert!(drift().contains("is gone; item `a` is completed"));
    for (text, expected) in [
        ("not json", "is no JSON object any more"),
        ("{}", "has no `items` any more"),
        (r#"{"items": 3}"#, "has no array in `items` any more"),
        (r#"{"items": [{"id": "b"}]}"#, "has lost the item"),
    ] {
        fs::write(&path, text).unwrap();
        assert!(drift().contains(expected), "{text}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}
