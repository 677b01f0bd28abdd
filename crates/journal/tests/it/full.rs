//! A full disk and a folder that may not be written: named, nothing half-written, and over when it is over.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use botpipe_journal::{Error, Journal, Objects, RunFilter};

use crate::scratch::{Scratch, append, me, new_run, run, said, sayings};

/// A small file system of our own.
struct Disk(PathBuf);

impl Disk {
    /// Mounts one of 1 MiB; `None`, said loudly, where we may not mount.
    #[expect(clippy::print_stderr, reason = "what was not tested must be seen")]
    fn mount(path: PathBuf) -> Option<Self> {
        fs::create_dir_all(&path).unwrap();
        if mount(&["-t", "tmpfs", "-o", "size=1m", "none"], &path) {
            return Some(Self(path));
        }
        eprintln!("NOT TESTED: full and read-only disks, since this user may not mount a tmpfs");
        None
    }

    /// Fills every page that is left.
    fn fill(&self) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        for size in [65536, 4096] {
            loop {
                let n = NEXT.fetch_add(1, Ordering::Relaxed);
                if fs::write(self.0.join(format!("ballast-{n}")), vec![1; size]).is_err() {
                    break;
                }
            }
        }
    }

    fn free(&self) {
        for entry in fs::read_dir(&self.0).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().starts_with("ballast") {
                fs::remove_file(path).unwrap();
            }
        }
    }

    fn allow(&self, mode: &str) {
        assert!(mount(&["-o", &format!("remount,{mode}")], &self.0));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(args: &[&str], path: &Path) -> bool {
    Command::new("mount").args(args).arg(path).output().is_ok_and(|done| done.status.success())
}

#[test]
fn a_full_disk_is_named_and_over_once_there_is_space() {
    let scratch = Scratch::new();
    let Some(disk) = Disk::mount(scratch.at("disk")) else { return };
    let root = disk.0.join(".botpipe");
    let journal = Journal::open(&root).unwrap();
    let lease = journal.create_run(new_run("r1"), &me()).unwrap();
    append(&journal, &lease, "first").unwrap();
    let objects = Objects::open(&root);
    disk.fill();
    journal.append_soon(&lease, 1, &[said("started")]).unwrap();
    let large = "x".repeat(20_000);
    for _ in 0..3 {
        let result = append(&journal, &lease, &large);
        assert!(matches!(result, Err(Error::DiskFull { .. })), "{result:?}");
    }
    disk.fill();
    let result = objects.put(&[3; 9000]);
    assert!(matches!(result, Err(Error::DiskFull { .. })), "{result:?}");
    // What was there can still be read, by us and by others.
    assert_eq!(sayings(&journal, "r1")[0], "first");
    disk.free();
    append(&journal, &lease, &large).unwrap();
    assert_eq!(sayings(&journal, "r1"), ["first", "started", &large]);
    let digest = objects.put(&[3; 9000]).unwrap();
    assert_eq!(objects.get(&digest).unwrap(), [3; 9000]);
}

#[test]
fn a_fresh_journal_on_a_full_disk_is_refused_and_possible_later() {
    let scratch = Scratch::new();
    let Some(disk) = Disk::mount(scratch.at("disk")) else { return };
    disk.fill();
    let root = disk.0.join(".botpipe");
    let result = Journal::open(&root);
    assert!(matches!(result, Err(Error::DiskFull { .. })), "{result:?}");
    disk.free();
    Journal::open(&root).unwrap();
}

#[test]
fn a_folder_that_may_not_be_written_can_still_be_read() {
    let scratch = Scratch::new();
    let Some(disk) = Disk::mount(scratch.at("disk")) else { return };
    let root = disk.0.join(".botpipe");
    let journal = Journal::open(&root).unwrap();
    let lease = journal.create_run(new_run("r1"), &me()).unwrap();
    append(&journal, &lease, "first").unwrap();
    lease.release().unwrap();
    drop(journal);
    disk.allow("ro");
    let result = Journal::open(&root);
    assert!(matches!(result, Err(Error::NotWritable { .. })), "{result:?}");
    let journal = Journal::open_existing(&root).unwrap().unwrap();
    assert_eq!(journal.runs(&RunFilter::default()).unwrap().len(), 1);
    assert_eq!(sayings(&journal, "r1"), ["first"]);
    let result = journal.acquire(&run("r1"), &me());
    assert!(matches!(result, Err(Error::NotWritable { .. })), "{result:?}");
    let result = Objects::open(&root).put(b"x");
    assert!(matches!(result, Err(Error::NotWritable { .. })), "{result:?}");
    disk.allow("rw");
    let lease = journal.acquire(&run("r1"), &me()).unwrap();
    append(&journal, &lease, "second").unwrap();
}
