//! What is made ahead for a launch like the last: used for one that is, and never in place of what the host has now.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use botpipe_sandbox::{Bounds, Confinement, How, Layer, Network, Scratch, Text};

use crate::confine::{Host, files};

fn scratch(host: &Host, hidden: &[&str]) -> Layer {
    Layer::Scratch(Scratch {
        at: host.path("cache"),
        hidden: hidden.iter().map(Into::into).collect(),
        writable: true,
        ..Scratch::default()
    })
}

fn with(host: &Host, more: Vec<Layer>) -> Vec<Layer> {
    host.usual().into_iter().chain(more).collect()
}

/// The host's folder with these files.
fn fill(host: &Host, names: &[&str]) {
    fs::create_dir_all(host.path("cache")).unwrap();
    for name in names {
        fs::write(host.path("cache").join(name), "").unwrap();
    }
}

const LIST: &str = "ls \"$PWD/../cache\"; touch ../cache/mine";

#[test]
fn a_launch_like_the_last_begins_with_nothing_of_it() {
    let host = Host::new();
    fill(&host, &["key", "tool"]);
    let layers = with(&host, vec![scratch(&host, &["key"])]);
    let script = format!("{LIST}; ls /tmp; touch /tmp/mine");
    for _ in 0..4 {
        assert_eq!(host.run(files(layers.clone()), &script), (How::Exited(0), "tool\n".to_owned()));
    }
    assert_eq!(fs::read_dir(host.path("cache")).unwrap().count(), 2);
}

#[test]
fn what_the_host_has_instead_since_the_last_launch_is_what_the_next_one_sees() {
    let host = Host::new();
    fill(&host, &["old"]);
    let layers = with(&host, vec![scratch(&host, &[])]);
    for _ in 0..3 {
        assert_eq!(host.run(files(layers.clone()), LIST).1, "old\n");
    }
    fs::rename(host.path("cache"), host.path("before")).unwrap();
    fill(&host, &["new"]);
    assert_eq!(host.run(files(layers.clone()), LIST).1, "new\n");
    let closed = fs::Permissions::from_mode(0o500);
    fs::set_permissions(host.path("cache"), closed).unwrap();
    let (_, said) = host.run(files(layers), LIST);
    assert!(said.contains("Permission denied"), "{said}");
}

#[test]
fn what_differs_from_the_last_launch_is_as_it_says() {
    let host = Host::new();
    fill(&host, &["key", "other", "tool"]);
    let text =
        |text: &str| Layer::Text(Text { at: host.path("work/src/main"), text: text.to_owned() });
    let script = "ls ../cache; cat src/main";
    for (hidden, words, seen) in [
        ("key", "one", "other\ntool\none"),
        ("key", "one", "other\ntool\none"),
        ("other", "one", "key\ntool\none"),
        ("other", "two", "key\ntool\ntwo"),
        ("key", "two", "other\ntool\ntwo"),
    ] {
        let layers = with(&host, vec![scratch(&host, &[hidden]), text(words)]);
        assert_eq!(host.run(files(layers), script), (How::Exited(0), seen.to_owned()));
    }
}

#[test]
fn bounds_and_doors_are_those_of_each_launch() {
    let host = Host::new();
    let confinement = |in_memory: u64, doors: &[u16]| Confinement {
        network: Network::Own { doors: doors.to_vec() },
        bounds: Bounds { in_memory: Some(in_memory), ..Bounds::default() },
        ..files(host.usual())
    };
    let script = "head -c 2000000 /dev/zero > /tmp/two 2> /dev/null && echo fits; \
                  grep -c ':0FA[0-9A-F] .* 0A ' /proc/net/tcp";
    for (most, doors, said) in [
        (8 << 20, &[4000, 4001][..], "fits\n2\n"),
        (8 << 20, &[4000, 4001], "fits\n2\n"),
        (1 << 20, &[4001], "1\n"),
        (8 << 20, &[], "fits\n0\n"),
        (8 << 20, &[4000, 4001, 4002], "fits\n3\n"),
    ] {
        assert_eq!(host.run(confinement(most, doors), script).1, said);
    }
}
