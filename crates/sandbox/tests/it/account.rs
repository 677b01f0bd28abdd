//! What a program of root's can do that runs as somebody else, judged by the host's files. Only root can have one.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use botpipe_sandbox::{Account, Confinement, How, Layer, Scratch};

use crate::confine::{Host, files};

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A host whose workspace is an account's.
fn host_of(account: Account) -> Host {
    let host = Host::new();
    for name in ["work", "work/src", "work/src/main", "work/.env"] {
        chown(host.path(name), Some(account.user), Some(account.group)).unwrap();
    }
    host
}

fn confined(account: Account, layers: Vec<Layer>) -> Confinement {
    Confinement { account: Some(account), ..files(layers) }
}

fn owner(path: &Path) -> (u32, u32) {
    let there = path.symlink_metadata().unwrap();
    (there.uid(), there.gid())
}

const ACCOUNTS: [(u32, u32); 4] = [(4321, 1234), (1000, 1000), (1000, 1001), (4321, 0)];

#[test]
fn what_it_makes_is_the_accounts() {
    if !is_root() {
        return;
    }
    for (user, group) in ACCOUNTS {
        let account = Account { user, group };
        let host = host_of(account);
        let script = "id -u; echo new > made; echo more >> src/main; mkdir sub; touch /tmp/own; \
                      stat -c %u . /tmp /tmp/own sub; echo heard > /dev/stdout; : < /dev/stdin; \
                      grep -E '^(Groups|CapEff|CapPrm|CapBnd|NoNewPrivs)' /proc/self/status";
        let (how, said) = host.run(confined(account, host.usual()), script);
        let own = format!("{user}\n");
        let expected = format!(
            "{}heard\nGroups:\t \nCapPrm:\t{none}\nCapEff:\t{none}\nCapBnd:\t{none}\nNoNewPrivs:\t1\n",
            own.repeat(5),
            none = "0".repeat(16)
        );
        assert_eq!((how, said), (How::Exited(0), expected));
        for name in ["made", "sub", "src/main"] {
            assert_eq!(owner(&host.path("work").join(name)), (user, group), "{name}");
        }
    }
}

#[test]
fn roots_number_opens_nothing() {
    if !is_root() {
        return;
    }
    for (user, group) in ACCOUNTS {
        let account = Account { user, group };
        let host = host_of(account);
        let root = if user == 1000 { 1001 } else { 1000 };
        for name in ["roots", "others"] {
            fs::write(host.path("work").join(name), "the secret").unwrap();
            fs::set_permissions(host.path("work").join(name), fs::Permissions::from_mode(0o600))
                .unwrap();
        }
        fs::copy("/usr/bin/id", host.path("work/setuid")).unwrap();
        let mode = fs::Permissions::from_mode(0o6755);
        fs::set_permissions(host.path("work/setuid"), mode).unwrap();
        chown(host.path("work/others"), Some(7777), Some(7777)).unwrap();
        fs::create_dir(host.path("work/closed")).unwrap();
        let script = format!(
            "for it in roots others; do cat $it; echo x >> $it; chown {user} $it; chmod 777 $it; done; \
             touch own; chown {root} own; chown 0 own; chgrp {root} own; chmod u+s own; touch closed/in; \
             cat /etc/shadow; echo x > /proc/sys/kernel/hostname; ln roots linked; cp roots copied; \
             cat /proc/1/environ; ls /proc/1/fd; ls /proc/1/root/; kill -0 1 && echo alive; \
             unshare -U true; unshare -r true; unshare -m true; nsenter -t 1 -m true; \
             setpriv --reuid={root} id -u; setpriv --reuid=0 id -u; setpriv --clear-groups --regid={root} id -g; \
             setpriv --clear-groups true && echo cleared; ./setuid -u; \
             newuidmap $$ 0 {root} 1; mount -t tmpfs none /tmp; true"
        );
        let (how, said) = host.run(confined(account, host.usual()), &script);
        assert_eq!(how, How::Exited(0), "{said}");
        assert!(!said.contains("secret") && !said.contains("root:"), "{said}");
        let became = [root.to_string(), "0".to_owned(), "cleared".to_owned()];
        assert!(!said.lines().any(|line| became.iter().any(|it| it == line)), "{said}");
        assert!(said.lines().any(|line| line == user.to_string()), "{said}");
        for (name, is) in [("roots", (0, 0)), ("others", (7777, 7777)), ("own", (user, group))] {
            let path = host.path("work").join(name);
            assert_eq!(owner(&path), is, "{name}: {said}");
            assert_eq!(path.metadata().unwrap().mode() & 0o7111, 0, "{name}: {said}");
        }
        let secret = fs::read_to_string(host.path("work/roots")).unwrap();
        assert_eq!(secret, "the secret");
        assert!(!host.path("work/closed/in").exists() && !host.path("work/linked").exists());
    }
}

#[test]
fn an_overlay_and_what_lies_behind_roots_folders_are_as_for_anybody() {
    if !is_root() {
        return;
    }
    let account = Account { user: 4321, group: 1234 };
    let host = host_of(account);
    fs::set_permissions(host.path(""), fs::Permissions::from_mode(0o700)).unwrap();
    let at = host.path("work");
    let private = vec![Layer::Private("/tmp".into()), Layer::Private("/var/tmp".into())];
    let scratch = |writable| {
        Layer::Scratch(Scratch {
            at: at.clone(),
            hidden: vec![".env".into()],
            folders: vec!["target".into()],
            writable,
        })
    };
    let script = "cat src/main && echo more >> src/main && mv src there && rm -r there && ls -a && touch target/x";
    let (how, said) =
        host.run(confined(account, [private.clone(), vec![scratch(true)]].concat()), script);
    assert_eq!((how, said.as_str()), (How::Exited(0), "the code.\n..\ntarget\n"));
    let (how, said) = host
        .run(confined(account, [private, vec![scratch(false)]].concat()), "cat src/main; touch x");
    assert_eq!(how, How::Exited(1), "{said}");
    assert_eq!(fs::read_to_string(host.path("work/src/main")).unwrap(), "the code");
}

#[test]
fn it_ends_with_its_starter_as_any_program() {
    if !is_root() {
        return;
    }
    let account = Account { user: 4321, group: 1234 };
    let host = host_of(account);
    let (how, said) =
        host.run(confined(account, host.usual()), "sleep 600 & setsid sleep 600 & echo on");
    assert_eq!((how, said.as_str()), (How::Exited(0), "on\n"));
}
