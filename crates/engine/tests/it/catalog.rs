//! Finding workflows by name, alias and path, and making scratch repositories.

use std::fs;
use std::path::Path;

use botpipe_engine::catalog::{Error, Origin, find, list, shipped};
use botpipe_engine::scratch::{NewFile, changed, create};
use tempfile::TempDir;

fn sop(name: &str, title: &str) -> String {
    format!("sop: 1\nname: {name}\ntitle: {title}\naliases: [{name}-too]\nsteps: []\n")
}

fn workspace(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn the_first_root_wins_and_the_others_are_shown_as_hidden() {
    let folder = workspace(&[
        (".botpipe/workflows/a/sop.yaml", &sop("a", "mine")),
        ("workflows/a.sop.yaml", &sop("a", "theirs")),
        ("workflows/other/README.md", "no workflow"),
        ("workflows/.sop.yaml", &sop("nameless", "no name")),
    ]);
    let found = list(folder.path()).unwrap();
    let ours: Vec<_> = found.iter().filter(|it| it.origin != Origin::Shipped).collect();
    assert_eq!(ours.len(), 2, "{ours:?}");
    assert_eq!(ours[1].shadowed_by, Some(ours[0].place()));
    assert_eq!(find(folder.path(), "a").unwrap().title.as_deref(), Some("mine"));
    assert_eq!(find(folder.path(), "a-too").unwrap().origin, Origin::Workspace);
    assert!(!folder.path().join(".botpipe/botpipe.db").exists());
}

#[test]
fn a_path_leads_to_its_file_or_folder_and_its_files_are_read_beside_it() {
    let folder =
        workspace(&[("kept/a/sop.yaml", &sop("a", "x")), ("kept/a/prompts/p.md", "Do it.")]);
    for reference in ["kept/a", "kept/a/sop.yaml", "./kept/a/"] {
        let found = find(folder.path(), reference).unwrap();
        assert_eq!((found.name.as_str(), found.origin), ("a", Origin::Path));
        let (source, files) = found.load().unwrap();
        assert!(source.text.contains("name: a"));
        assert_eq!(files.read("prompts/p.md").unwrap(), "Do it.");
        assert!(files.read("../../x").is_err());
    }
    assert!(matches!(find(folder.path(), "kept"), Err(Error::Unknown { .. })));
    assert!(matches!(find(folder.path(), "./kept"), Err(Error::NoSop { .. })));
    assert!(matches!(find(folder.path(), "kept/b.sop.yaml"), Err(Error::NoFile { .. })));
}

#[test]
fn an_unknown_name_comes_with_the_nearest_one_and_all_others() {
    let folder = workspace(&[("workflows/release.sop.yaml", &sop("release", "x"))]);
    let error = find(folder.path(), "relase").unwrap_err();
    assert_eq!(error.to_string(), "there is no workflow `relase`");
    let hint = error.hint().unwrap();
    assert!(hint.starts_with("did you mean `release`? known workflows: release"), "{hint}");
    assert!(matches!(find(Path::new("/no/such/folder"), "x"), Err(Error::Workspace(_))));
}

#[test]
fn a_file_that_is_no_yaml_is_listed_by_its_name() {
    let folder = workspace(&[("workflows/odd.sop.yaml", "name: [\n")]);
    fs::write(folder.path().join("workflows/raw.sop.yaml"), b"\xff\xfe").unwrap();
    let found = list(folder.path()).unwrap();
    let names: Vec<_> = found.iter().map(|it| it.name.as_str()).take(2).collect();
    assert_eq!(names, ["odd", "raw"]);
    assert!(find(folder.path(), "raw").unwrap().load().is_err());
}

#[test]
fn every_shipped_workflow_can_be_loaded() {
    let folder = workspace(&[]);
    for found in list(folder.path()).unwrap() {
        let (source, _) = found.load().unwrap();
        assert!(source.name.starts_with("shipped:"), "{}", source.name);
    }
    assert_eq!(shipped("no such folder/").count(), 0);
}

#[test]
fn a_scratch_repository_knows_what_changed() {
    let folder = workspace(&[]);
    let file = |path, text, executable| NewFile { path, text, executable };
    let files =
        [file("src/a.sh", "echo a\n", true), file("b.md", "b\n", false), file("c", "", false)];
    create(folder.path(), files, "first").unwrap();
    assert_eq!(changed(folder.path()).unwrap(), []);
    fs::write(folder.path().join("b.md"), "longer\n").unwrap();
    fs::write(folder.path().join("src/new"), "new\n").unwrap();
    fs::remove_file(folder.path().join("c")).unwrap();
    let expected = [('M', "b.md"), ('D', "c"), ('A', "src/new")];
    assert_eq!(
        changed(folder.path()).unwrap(),
        expected.map(|(mark, path)| (mark, path.to_owned()))
    );
}
