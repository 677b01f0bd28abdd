//! Who a program is by the lists of users and groups: whoever runs it, by name and home, under the number that
//! it has in there. Root is an ordinary user inside, whose number may be nobody's or somebody else's.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use botpipe_sandbox::{Account, Layer, Text, id_inside};
use rustix::process::{getgid, getuid};

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// A list that is longer stays as it is: it goes to every program that starts.
const LONGEST: usize = 256 << 10;

/// The name of whoever runs this, as the system or the environment has it.
pub(crate) fn name() -> String {
    name_of(&list(USERS).unwrap_or_default(), getuid().as_raw())
}

fn name_of(users: &str, id: u32) -> String {
    let known = entry_of(users, id).and_then(|line| line.split(':').next());
    let said = || ["USER", "LOGNAME"].iter().find_map(|name| env::var(name).ok());
    let name = known.map(str::to_owned).or_else(said).filter(|name| is_name(name));
    name.unwrap_or_else(|| if id == 0 { "root".to_owned() } else { "user".to_owned() })
}

/// The name of an account, as the system has it.
pub(super) fn name_of_account(account: Account) -> String {
    named(&list(USERS).unwrap_or_default(), account.user).unwrap_or_else(|| "user".to_owned())
}

fn named(users: &str, id: u32) -> Option<String> {
    let known = entry_of(users, id).and_then(|line| line.split(':').next());
    known.filter(|name| is_name(name)).map(str::to_owned)
}

/// The list of users, where it is one that is told to programs.
pub(super) fn users() -> Option<String> {
    list(USERS)
}

/// The homes in a list of users that may be a workspace or lie in it. Those of services are projects as well
/// (`/var/www`).
pub(super) fn homes(users: &str, workspace: &Path) -> Vec<PathBuf> {
    let listed = users.lines().filter_map(|line| {
        let mut fields = line.split(':').skip(2);
        let id: u32 = fields.next()?.parse().ok()?;
        let home = Path::new(fields.nth(2)?);
        (id == 0 || (PEOPLE..NOBODY).contains(&id)).then_some(home)
    });
    let homes = listed.filter_map(|home| {
        // Nothing is asked of the others: their homes may lie on machines that do not answer.
        let inside = home.starts_with(workspace);
        let may_lead = inside || home.file_name() == workspace.file_name();
        may_lead.then(|| home.canonicalize().ok()).flatten()
    });
    homes.collect()
}

/// The first number of a person.
const PEOPLE: u32 = 1000;
/// One that is none.
const NOBODY: u32 = 65_534;

/// Lists in which the number of the program is this person, where the host's do not say so.
pub(super) fn layers(
    home: Option<&Path>,
    account: Option<Account>,
    users: Option<&str>,
) -> Vec<Layer> {
    let (Some(users), Some(groups)) = (users, list(GROUPS)) else { return Vec::new() };
    let (user, group) = match account {
        Some(Account { user, group }) => (user, group),
        None => (getuid().as_raw(), getgid().as_raw()),
    };
    let ids = ((user, id_inside(user)), (group, id_inside(group)));
    let name = match account {
        Some(account) => name_of_account(account),
        None => name_of(users, user),
    };
    // The home of an account that the system knows is another.
    let listed = if account.is_some() { Listed::Home } else { Listed::Number };
    let (users, groups) = told((users, &groups), (&name, ids), (home, listed));
    let (users, groups) = match account {
        Some(account) => with_root(account, (users, groups)),
        None => (users, groups),
    };
    let layer = |at: &str, text: String| Layer::Text(Text { at: at.into(), text });
    let users = users.map(|text| layer(USERS, text));
    let groups = groups.map(|text| layer(GROUPS, text));
    users.into_iter().chain(groups).collect()
}

type Lists = (Option<String>, Option<String>);

/// Such lists with root, whose files are seen, after who is first.
fn with_root(account: Account, (users, groups): Lists) -> Lists {
    let (user, group) = account.root_inside();
    let second = |list: String, line: String| match list.split_once('\n') {
        Some((first, rest)) => format!("{first}\n{line}\n{rest}"),
        None => list,
    };
    let users = users.map(|it| second(it, format!("root:x:{user}:{group}:root:/:/bin/false")));
    // Where the account's group is root's, it has its line.
    let others = account.group != 0;
    let line = format!("root:x:{group}:");
    (users, groups.map(|it| if others { second(it, line) } else { it }))
}

type Ids = ((u32, u32), (u32, u32));

/// What a list has to say of who is in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listed {
    Number,
    /// That, and the home.
    Home,
}

/// The lists of users and groups with a line put first, each where that is needed; numbers outside and inside.
fn told(
    (users, groups): (&str, &str),
    (name, ((user, inside), (group, group_inside))): (&str, Ids),
    (home, listed): (Option<&Path>, Listed),
) -> (Option<String>, Option<String>) {
    let own = entry_of(users, user);
    let field = |n: usize| own.and_then(|line| line.split(':').nth(n)).filter(|it| !it.is_empty());
    let home = home.and_then(Path::to_str).filter(|home| !home.contains([':', '\n']));
    let home = home.or_else(|| field(5)).unwrap_or("/");
    let shell = field(6).unwrap_or("/bin/sh");
    let comment = field(4).unwrap_or("");
    let at_home = listed == Listed::Number || field(5) == Some(home);
    let is_right = entry_of(users, inside) == own && own.is_some() && at_home;
    let line = format!("{name}:x:{inside}:{group_inside}:{comment}:{home}:{shell}\n");
    let people = (!is_right).then(|| line + users);
    let own = entry_of(groups, group);
    let named = own.and_then(|line| line.split(':').next()).filter(|name| is_name(name));
    let is_right = entry_of(groups, group_inside) == own && own.is_some();
    let line = format!("{}:x:{group_inside}:\n", named.unwrap_or(name));
    (people, (!is_right).then(|| line + groups))
}

/// The line of a number: the first, as the system's own functions find it.
fn entry_of(list: &str, id: u32) -> Option<&str> {
    let is = |line: &&str| line.split(':').nth(2).is_some_and(|it| it.parse() == Ok(id));
    list.lines().find(is)
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !name.is_empty() && name.chars().all(plain) && !name.starts_with('-')
}

/// A list of the host's: a file itself, since what is laid over a link would be laid elsewhere.
fn list(path: &str) -> Option<String> {
    let is_file = fs::symlink_metadata(path).is_ok_and(|it| it.is_file());
    let text = fs::read(path).ok().filter(|text| is_file && text.len() <= LONGEST)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    (!text.contains('\0')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "root:x:0:0:root:/root:/bin/bash\nubuntu:x:1000:1000::/home/ubuntu:/bin/sh\n\
                          ann:x:1001:1001:Ann:/home/ann:/bin/zsh\n";
    const GROUPED: &str = "root:x:0:\nubuntu:x:1000:\nann:x:1001:\n";

    fn first(ids: Ids, home: &str) -> (Option<String>, Option<String>) {
        first_of(ids, home, Listed::Number)
    }

    fn first_of(ids: Ids, home: &str, listed: Listed) -> (Option<String>, Option<String>) {
        let line = |text: Option<String>| text.map(|it| it.lines().next().unwrap().to_owned());
        let name = name_of(LISTED, ids.0.0);
        let (users, groups) =
            told((LISTED, GROUPED), (&name, ids), (Some(Path::new(home)), listed));
        (line(users), line(groups))
    }

    #[test]
    fn root_stays_root_by_name_whoever_else_has_its_number() {
        let (user, group) = first(((0, 1000), (0, 1000)), "/root");
        assert_eq!(user.unwrap(), "root:x:1000:1000:root:/root:/bin/bash");
        assert_eq!(group.unwrap(), "root:x:1000:");
    }

    #[test]
    fn an_account_has_the_home_of_whoever_starts_it() {
        let (user, group) = first_of(((1001, 1001), (0, 1000)), "/root", Listed::Home);
        assert_eq!(user.unwrap(), "ann:x:1001:1000:Ann:/root:/bin/zsh");
        assert_eq!(group.unwrap(), "root:x:1000:");
    }

    #[test]
    fn root_is_named_beside_an_account_by_another_number() {
        let lists =
            || (Some("ann:x:1000:1000::/:\nb\n".to_owned()), Some("ann:x:1000:\nb\n".to_owned()));
        let account = |user, group| Account { user, group };
        let (users, groups) = with_root(account(1000, 1000), lists());
        assert_eq!(users.unwrap(), "ann:x:1000:1000::/:\nroot:x:1001:1001:root:/:/bin/false\nb\n");
        assert_eq!(groups.unwrap(), "ann:x:1000:\nroot:x:1001:\nb\n");
        let (users, groups) = with_root(account(7, 0), lists());
        assert!(users.unwrap().contains("\nroot:x:1000:1000:"));
        assert_eq!(groups, lists().1);
    }

    #[test]
    fn an_ordinary_user_is_as_the_host_has_it() {
        assert_eq!(first(((1001, 1001), (1001, 1001)), "/home/ann"), (None, None));
    }

    #[test]
    fn a_number_that_is_nobodys_gets_a_line() {
        let (user, group) = first(((4321, 4321), (4321, 4321)), "/work/a:b");
        let user = user.unwrap();
        assert!(user.contains(":x:4321:4321::/:/bin/sh"), "{user}");
        assert!(group.unwrap().ends_with(":x:4321:"));
    }
}
