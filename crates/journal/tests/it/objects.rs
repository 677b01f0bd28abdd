//! Objects: put, found again, verified.

use std::fs;

use botpipe_journal::{Error, Objects, digest_of};

use crate::scratch::Scratch;

#[test]
fn an_object_is_named_by_its_digest_and_written_once() {
    let scratch = Scratch::new();
    let objects = Objects::open(&scratch.root());
    let digest = objects.put(b"hello").unwrap();
    assert_eq!(digest.as_str(), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_eq!(objects.get(&digest).unwrap(), b"hello");
    assert!(objects.has(&digest));
    let before = fs::metadata(objects.path(&digest)).unwrap().modified().unwrap();
    assert_eq!(objects.put(b"hello").unwrap(), digest);
    assert_eq!(fs::metadata(objects.path(&digest)).unwrap().modified().unwrap(), before);
    assert_eq!(fs::read_dir(scratch.root().join("objects/2c")).unwrap().count(), 1);
}

#[test]
fn an_object_that_is_missing_or_altered_is_said_to_be() {
    let scratch = Scratch::new();
    let objects = Objects::open(&scratch.root());
    assert!(matches!(objects.get(&digest_of(b"x")), Err(Error::MissingObject { .. })));
    let digest = objects.put(b"hello").unwrap();
    fs::write(objects.path(&digest), "hallo").unwrap();
    assert!(matches!(objects.get(&digest), Err(Error::Damaged { .. })));
    // One that was cut short is written anew.
    fs::write(objects.path(&digest), "").unwrap();
    objects.put(b"hello").unwrap();
    assert_eq!(objects.get(&digest).unwrap(), b"hello");
}
