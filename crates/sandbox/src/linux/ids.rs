//! The numbers of users and groups in a user namespace: which there are, and which of the host's each of them is.

use std::fs;
use std::io;

use super::confine::inside;
use super::sys::Pid;
use crate::{Account, NoAccount, Refused};

/// Those of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ids {
    users: Vec<Id>,
    groups: Vec<Id>,
    /// Who its first process becomes, by its numbers inside.
    account: Option<(u32, u32)>,
}

/// A number inside and the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Id {
    inside: u32,
    outside: u32,
}

impl Id {
    fn same(id: u32) -> Self {
        Self { inside: id, outside: id }
    }
}

impl Ids {
    /// Those of whoever starts it, as they are outside.
    pub(super) fn as_outside((user, group): (u32, u32)) -> Self {
        Self { users: vec![Id::same(user)], groups: vec![Id::same(group)], account: None }
    }

    /// Those of whoever starts it, as a confined program has them.
    pub(super) fn confined((user, group): (u32, u32)) -> Self {
        let id = |outside| vec![Id { inside: inside(outside), outside }];
        Self { users: id(user), groups: id(group), account: None }
    }

    /// Those of root and of an account: what is either's can be reached while the set-up lasts. Root has another
    /// number, which nobody in there can become.
    pub(super) fn of_root_and(account: Account) -> Self {
        let (root, roots_group) = account.root_inside();
        let Account { user, group } = account;
        let users = vec![Id { inside: root, outside: 0 }, Id::same(user)];
        let mut groups = vec![Id { inside: roots_group, outside: 0 }];
        if group != 0 {
            groups.push(Id::same(group));
        }
        Self { users, groups, account: Some((user, inside(group))) }
    }

    /// Whether the host's root is among them.
    pub(super) fn host_root(&self) -> bool {
        self.users.iter().any(|id| id.outside == 0)
    }

    /// Who the first process becomes; `None`: it is who it shall be already.
    pub(super) fn account(&self) -> Option<(u32, u32)> {
        self.account
    }

    /// Tells the kernel, from within. That is for one number of each only, and those of this process.
    pub(super) fn map_own(&self) -> Result<(), Refused> {
        tell("self", "setgroups", "deny")?;
        self.map("self")
    }

    /// Tells the kernel, from outside and with its powers there.
    pub(super) fn map_of(&self, process: Pid) -> Result<(), Refused> {
        self.map(&process.to_string())
    }

    fn map(&self, process: &str) -> Result<(), Refused> {
        tell(process, "uid_map", &text(&self.users))?;
        tell(process, "gid_map", &text(&self.groups))
    }
}

fn tell(process: &str, step: &str, text: &str) -> Result<(), Refused> {
    fs::write(format!("/proc/{process}/{step}"), text).map_err(|e| Refused {
        step: step.to_owned(),
        errno: e.raw_os_error().unwrap_or(libc::EIO),
    })
}

/// # Source
/// `user_namespaces(7)`: the number inside, the one outside, how many from there on; all lines in one write.
fn text(ids: &[Id]) -> String {
    let lines: Vec<String> =
        ids.iter().map(|id| format!("{} {} 1\n", id.inside, id.outside)).collect();
    lines.concat()
}

/// What of the powers over numbers is missing, and whether the numbers are known here at all.
pub(crate) fn account_refused(account: Account) -> Option<NoAccount> {
    let own = |name: &str| fs::read_to_string(format!("/proc/self/{name}"));
    let powers = own("status").ok().and_then(|status| powers(&status));
    let missing = POWERS.iter().find(|(_, bit)| powers.is_some_and(|all| all >> bit & 1 == 0));
    if let Some((name, _)) = missing {
        return Some(NoAccount::Power(name));
    }
    // Where it cannot be told, it is tried.
    let known = |map: io::Result<String>, id| map.map_or(true, |map| is_known(&map, id));
    let known = known(own("uid_map"), account.user) && known(own("gid_map"), account.group);
    (!known).then_some(NoAccount::Unknown)
}

/// # Source
/// Linux, `include/uapi/linux/capability.h`.
const POWERS: [(&str, u32); 2] = [("CAP_SETGID", 6), ("CAP_SETUID", 7)];

/// The effective capabilities by `/proc/self/status`.
fn powers(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// Whether a number is in a map.
fn is_known(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(|it| it.parse::<u64>().unwrap_or(0));
        let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
        let (first, count) = (first.unwrap_or(0), count.unwrap_or(0));
        (first..first.saturating_add(count)).contains(&u64::from(id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(user: u32, group: u32) -> (String, String, Option<(u32, u32)>) {
        let ids = Ids::of_root_and(Account { user, group });
        assert!(ids.host_root());
        (text(&ids.users), text(&ids.groups), ids.account())
    }

    #[test]
    fn root_and_an_account_have_numbers_that_do_not_clash() {
        for ((user, group), users, groups, inside) in [
            ((4321, 1234), "1000 0 1\n4321 4321 1\n", "1000 0 1\n1234 1234 1\n", (4321, 1234)),
            ((1000, 1000), "1001 0 1\n1000 1000 1\n", "1001 0 1\n1000 1000 1\n", (1000, 1000)),
            ((1000, 1001), "1001 0 1\n1000 1000 1\n", "1000 0 1\n1001 1001 1\n", (1000, 1001)),
            ((1001, 0), "1000 0 1\n1001 1001 1\n", "1000 0 1\n", (1001, 1000)),
            (
                (65534, 65534),
                "1000 0 1\n65534 65534 1\n",
                "1000 0 1\n65534 65534 1\n",
                (65534, 65534),
            ),
        ] {
            assert_eq!(told(user, group), (users.to_owned(), groups.to_owned(), Some(inside)));
        }
    }

    #[test]
    fn whoever_starts_a_program_is_alone_in_there() {
        let outside = Ids::as_outside((7, 8));
        assert_eq!(
            (text(&outside.users), text(&outside.groups)),
            ("7 7 1\n".into(), "8 8 1\n".into())
        );
        let root = Ids::confined((0, 0));
        assert_eq!((text(&root.users), root.host_root()), ("1000 0 1\n".into(), true));
        assert_eq!((root.account(), Ids::confined((7, 8))), (None, outside));
    }

    #[test]
    fn what_is_missing_is_told_before_it_is_tried() {
        assert_eq!(powers("Name:\tx\nCapEff:\t00000000a80425fb\n"), Some(0xa804_25fb));
        assert_eq!(powers("Name:\tx\n"), None);
        let map = "         0     100000      65536\n     70000          5          1\n";
        for (id, known) in [(0, true), (65535, true), (65536, false), (70000, true), (70001, false)]
        {
            assert_eq!(is_known(map, id), known, "{id}");
        }
    }
}
