//! Files beside a workflow: only those, on disk and in memory.

use botpipe_lang::{FileProblem, Files, Folder, InMemory};

#[test]
fn a_folder_gives_only_what_lies_in_it() {
    let top = tempfile::tempdir().unwrap();
    let root = top.path().join("flow");
    std::fs::create_dir_all(root.join("prompts")).unwrap();
    std::fs::write(top.path().join("secret.md"), "secret").unwrap();
    std::fs::write(root.join("prompts/plan.md"), "plan").unwrap();
    std::fs::write(root.join("binary.md"), [0xff, 0xfe]).unwrap();
    let folder = Folder::new(&root);
    assert_eq!(folder.read("prompts/plan.md").as_deref(), Ok("plan"));
    assert_eq!(folder.read("./prompts/plan.md").as_deref(), Ok("plan"));
    assert_eq!(folder.read("prompts/other.md"), Err(FileProblem::Missing));
    assert_eq!(folder.read("prompts/plan.md/x"), Err(FileProblem::Missing));
    assert_eq!(folder.read("binary.md"), Err(FileProblem::NotText));
    assert!(matches!(folder.read("prompts"), Err(FileProblem::Unreadable { .. })));
    for outside in ["../secret.md", "prompts/../../secret.md", "/etc/passwd", ""] {
        assert_eq!(folder.read(outside), Err(FileProblem::Outside), "{outside}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_leads_nowhere_else() {
    let top = tempfile::tempdir().unwrap();
    let root = top.path().join("flow");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(top.path().join("secret.md"), "secret").unwrap();
    std::fs::write(root.join("real.md"), "real").unwrap();
    std::os::unix::fs::symlink("../secret.md", root.join("out.md")).unwrap();
    std::os::unix::fs::symlink("real.md", root.join("in.md")).unwrap();
    let folder = Folder::new(&root);
    assert_eq!(folder.read("out.md"), Err(FileProblem::Outside));
    assert_eq!(folder.read("in.md").as_deref(), Ok("real"));
}

#[test]
fn memory_reads_like_a_folder() {
    let files: InMemory = [("prompts/plan.md", "plan")].into_iter().collect();
    assert_eq!(files.read("./prompts/plan.md").as_deref(), Ok("plan"));
    assert_eq!(files.read("prompts/no.md"), Err(FileProblem::Missing));
    assert_eq!(files.read("../prompts/plan.md"), Err(FileProblem::Outside));
}
