//! The settings that a repository which a program made may have: those that have git run nothing and write
//! nothing elsewhere. Any other has it put aside.

use std::path::Path;

use super::settings::Setting;
use crate::policy::lexical;

/// What a setting may be.
#[derive(Clone, Copy)]
enum May {
    /// Anything.
    Be,
    /// One of these words.
    BeOneOf(&'static [&'static str]),
    /// A place of a repository that git gets to without a program of somebody's choice.
    BePlace,
}

use May::{Be, BeOneOf, BePlace};

const NO: &[&str] = &["false", "no", "off", "0", ""];

/// By the section and the name, in small letters.
///
/// # Source
/// git-config(1) of git 2.47.
const PLAIN: &[(&str, May)] = &[
    ("author.email", Be),
    ("author.name", Be),
    ("branch.autosetupmerge", Be),
    ("branch.autosetuprebase", Be),
    ("checkout.defaultremote", Be),
    ("checkout.guess", Be),
    ("clone.defaultremotename", Be),
    ("color.ui", Be),
    ("commit.cleanup", Be),
    ("commit.gpgsign", Be),
    ("commit.verbose", Be),
    ("committer.email", Be),
    ("committer.name", Be),
    ("core.abbrev", Be),
    ("core.attributesfile", BeOneOf(&["/dev/null"])),
    ("core.autocrlf", Be),
    ("core.bare", Be),
    ("core.bigfilethreshold", Be),
    ("core.checkstat", Be),
    ("core.commitgraph", Be),
    ("core.compression", Be),
    ("core.editor", BeOneOf(&["true", ":", "false"])),
    ("core.eol", Be),
    ("core.excludesfile", BeOneOf(&["/dev/null"])),
    ("core.filemode", Be),
    ("core.fsmonitor", BeOneOf(NO)),
    ("core.fsync", Be),
    ("core.hookspath", BeOneOf(&["/dev/null"])),
    ("core.ignorecase", Be),
    ("core.logallrefupdates", Be),
    ("core.longpaths", Be),
    ("core.multipackindex", Be),
    ("core.pager", BeOneOf(&["cat"])),
    ("core.precomposeunicode", Be),
    ("core.preloadindex", Be),
    ("core.protecthfs", BeOneOf(&["true"])),
    ("core.protectntfs", BeOneOf(&["true"])),
    ("core.quotepath", Be),
    ("core.repositoryformatversion", Be),
    ("core.safecrlf", Be),
    ("core.sharedrepository", Be),
    ("core.sparsecheckout", Be),
    ("core.sparsecheckoutcone", Be),
    ("core.symlinks", Be),
    ("core.trustctime", Be),
    ("core.untrackedcache", Be),
    ("diff.algorithm", Be),
    ("diff.renamelimit", Be),
    ("diff.renames", Be),
    ("extensions.compatobjectformat", Be),
    ("extensions.objectformat", Be),
    ("extensions.refstorage", Be),
    ("extensions.relativeworktrees", Be),
    ("extensions.worktreeconfig", Be),
    ("feature.manyfiles", Be),
    ("fetch.fsckobjects", Be),
    ("fetch.prune", Be),
    ("fetch.recursesubmodules", Be),
    ("gc.auto", Be),
    ("gc.autodetach", Be),
    ("gc.pruneexpire", Be),
    ("gc.reflogexpire", Be),
    ("gc.reflogexpireunreachable", Be),
    ("http.receivepack", Be),
    ("http.uploadpack", Be),
    ("i18n.commitencoding", Be),
    ("i18n.logoutputencoding", Be),
    ("index.skiphash", Be),
    ("index.sparse", Be),
    ("index.threads", Be),
    ("index.version", Be),
    ("init.defaultbranch", Be),
    ("log.date", Be),
    ("maintenance.auto", Be),
    ("merge.conflictstyle", Be),
    ("merge.ff", Be),
    ("pack.threads", Be),
    ("pack.window", Be),
    ("pack.windowmemory", Be),
    ("pull.ff", Be),
    ("pull.rebase", Be),
    ("push.autosetupremote", Be),
    ("push.default", Be),
    ("push.gpgsign", BeOneOf(NO)),
    ("rebase.autosquash", Be),
    ("rebase.autostash", Be),
    ("receive.advertisepushoptions", Be),
    ("receive.denycurrentbranch", Be),
    ("receive.denydeletes", Be),
    ("receive.denynonfastforwards", Be),
    ("receive.fsckobjects", Be),
    ("remote.pushdefault", BePlace),
    ("rerere.autoupdate", Be),
    ("rerere.enabled", Be),
    ("status.showuntrackedfiles", Be),
    ("submodule.active", Be),
    ("submodule.recurse", Be),
    ("tag.forcesignannotated", Be),
    ("tag.gpgsign", Be),
    ("transfer.fsckobjects", Be),
    ("uploadpack.allowanysha1inwant", Be),
    ("uploadpack.allowfilter", Be),
    ("uploadpack.allowreachablesha1inwant", Be),
    ("uploadpack.allowtipsha1inwant", Be),
    ("user.email", Be),
    ("user.name", Be),
    ("user.useconfigonly", Be),
];

/// The same, of one branch, remote or submodule.
const PLAIN_OF: &[(&str, May)] = &[
    ("branch.description", Be),
    ("branch.merge", Be),
    ("branch.pushremote", BePlace),
    ("branch.rebase", Be),
    ("branch.remote", BePlace),
    ("remote.fetch", Be),
    ("remote.followremotehead", Be),
    ("remote.mirror", Be),
    ("remote.prune", Be),
    ("remote.push", Be),
    ("remote.pushurl", BePlace),
    ("remote.skipdefaultupdate", Be),
    ("remote.skipfetchall", Be),
    ("remote.tagopt", Be),
    ("remote.url", BePlace),
    ("submodule.active", Be),
    ("submodule.branch", Be),
    ("submodule.fetchrecursesubmodules", Be),
    ("submodule.ignore", Be),
    ("submodule.path", Be),
    ("submodule.shallow", Be),
    ("submodule.update", BeOneOf(&["checkout", "rebase", "merge", "none"])),
    ("submodule.url", BePlace),
];

/// Whether a setting is one that may be. `tree` tells of the top of a work tree whether it may be that.
pub(super) fn is_plain(setting: &Setting, tree: impl Fn(&[u8]) -> bool) -> bool {
    let value = setting.value.as_deref();
    if setting.name == "core.worktree" && setting.of.is_none() {
        return value.is_some_and(tree);
    }
    let list = if setting.of.is_some() { PLAIN_OF } else { PLAIN };
    let may = list.iter().find(|(name, _)| *name == setting.name).map(|(_, may)| may);
    match may {
        None => false,
        Some(Be) => true,
        Some(BeOneOf(words)) => {
            value.is_some_and(|value| words.iter().any(|word| word.as_bytes() == value))
        }
        Some(BePlace) => value.is_some_and(is_plain_place),
    }
}

/// Whether git gets to a repository by ways of its own: a path, or one of its usual protocols.
///
/// # Source
/// `transport_get` of git 2.47: `word::` and an unknown `word://` have git run `git-remote-word`.
fn is_plain_place(place: &[u8]) -> bool {
    let end =
        place.iter().position(|byte| !(byte.is_ascii_alphanumeric() || b"+-.".contains(byte)));
    let (word, rest) = place.split_at(end.unwrap_or(place.len()));
    if place.starts_with(b"-") || rest.starts_with(b"::") || place.iter().any(u8::is_ascii_control)
    {
        return false;
    }
    let usual: [&[u8]; 7] = [b"https", b"http", b"ssh", b"git", b"file", b"git+ssh", b"ssh+git"];
    match rest.strip_prefix(b"://") {
        Some(host) => usual.contains(&word) && !host.starts_with(b"-"),
        None => true,
    }
}

/// Whether the work tree of a submodule is where that may be: below the workspace, and not git's own.
pub(super) fn is_of_submodule(folder: &Path, workspace: &Path, tree: &Path) -> bool {
    let mut names = folder.components().map(std::path::Component::as_os_str);
    let of_git = names.any(|name| name == ".git") && names.next().is_some_and(|it| it == "modules");
    let tree = lexical(&folder.join(tree));
    let inside = tree.strip_prefix(workspace).is_ok_and(|inside| {
        !inside.as_os_str().is_empty() && inside.components().all(|it| it.as_os_str() != ".git")
    });
    of_git && inside
}

#[cfg(test)]
mod tests {
    use super::super::settings::parse;
    use super::*;

    fn all_plain(text: &str) -> bool {
        let settings = parse(text.as_bytes()).unwrap();
        settings.all.iter().all(|setting| is_plain(setting, |_| false))
    }

    /// What git itself writes, and what tests of programs that use git set.
    #[test]
    fn ordinary_settings_may_be() {
        for text in [
            "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true",
            "[core]\n\tignorecase = true\n\tprecomposeunicode = true\n\tsymlinks = false\n\tautocrlf = input",
            "[user]\n\tname = \"J\u{f6}rg\"\n\temail = j@example.com\n[commit]\n\tgpgsign = false",
            "[extensions]\n\tobjectFormat = sha256\n\trefStorage = reftable",
            "[remote \"origin\"]\n\turl = https://example.com/a.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*",
            "[branch \"main\"]\n\tremote = origin\n\tmerge = refs/heads/main\n\trebase = true",
            "[submodule \"lib\"]\n\tactive = true\n\turl = ../lib\n\tupdate = rebase",
            "[core]\n\thooksPath = /dev/null\n\tfsmonitor = false\n\teditor = true\n\tpager = cat",
        ] {
            assert!(all_plain(text), "{text}");
        }
    }

    #[test]
    fn what_has_git_run_something_may_not() {
        for text in [
            "[core]\n\tfsmonitor = touch x",
            "[core]\n\tfsmonitor",
            "[core]\n\thooksPath = src",
            "[core]\n\tsshCommand = x",
            "[core]\n\teditor = x",
            "[core]\n\tcommentChar = x",
            "[core]\n\tworktree = /",
            "[core]\n\talternateRefsCommand = x",
            "[interactive]\n\tdiffFilter = x",
            "[gc]\n\trecentObjectsHook = x",
            "[trailer \"sign\"]\n\tcmd = x",
            "[submodule \"m\"]\n\tupdate=!x",
            "[include]\n\tpath = x",
            "[includeIf \"gitdir:/\"]\n\tpath = x",
            "[alias]\n\tst = !x",
            // Git asks a host of the program's for what is missing, whatever it is asked.
            "[extensions]\n\tpartialClone = origin",
            "[remote \"origin\"]\n\tpromisor = true",
            "[remote \"origin\"]\n\tpartialCloneFilter = blob:none",
            "[diff]\n\texternal = x",
            "[diff \"x\"]\n\ttextconv = x",
            "[filter \"x\"]\n\tclean = x",
            "[merge \"x\"]\n\tdriver = x",
            "[credential]\n\thelper = x",
            "[gpg]\n\tprogram = x",
            "[pager]\n\tlog = x",
            "[protocol]\n\tallow = always",
            "[remote \"o\"]\n\turl = ext::sh -c x",
            "[remote \"o\"]\n\tpushurl = ext::x",
            "[remote.o]\n\turl = ext::x",
            "[remote \"o\"]\n\tvcs = x",
            "[remote \"o\"]\n\tuploadpack = x",
            "[remote]\n\tpushDefault = ext::x",
            "[branch \"main\"]\n\tremote = ext::x",
            "[submodule \"m\"]\n\turl = fd::3",
            "[url \"ext::x\"]\n\tinsteadOf = https://",
            "[core \"x\"]\n\tbare = true",
            "[new]\n\tsetting = x",
        ] {
            assert!(!all_plain(text), "{text}");
        }
    }

    #[test]
    fn a_plain_place_is_a_path_or_a_usual_address() {
        for place in ["/a/b", "../lib", ".", "origin", "C:/x", "git@host:a/b.git", "ssh://[::1]/a"]
        {
            assert!(is_plain_place(place.as_bytes()), "{place}");
        }
        for place in
            ["ext::x", "::x", "-oProxyCommand=x", "ssh://-oProxyCommand=x/a", "x://a", "a\nb"]
        {
            assert!(!is_plain_place(place.as_bytes()), "{place}");
        }
    }

    #[test]
    fn a_submodule_has_its_work_tree_in_the_workspace() {
        let is = |folder: &str, tree: &str| {
            is_of_submodule(Path::new(folder), Path::new("/w"), Path::new(tree))
        };
        assert!(is("/w/.git/modules/lib", "../../../lib"));
        assert!(is("/w/.git/modules/a/lib", "../../../../a/lib"));
        assert!(!is("/w/.git/modules/lib", "../../.."));
        assert!(!is("/w/.git/modules/lib", "../../../../home"));
        assert!(!is("/w/.git/modules/lib", "/"));
        assert!(!is("/w/.git/modules/lib", ".."));
        assert!(!is("/w/docs", "../lib"));
    }
}
