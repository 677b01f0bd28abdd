//! What stands half done in a repository, and has git run programs, or write where it should not, when somebody goes on
//! with it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::settings::{self, Links};

/// Lists of what is still to do.
const LISTS: [&str; 3] =
    ["rebase-merge/git-rebase-todo", "rebase-merge/git-rebase-todo.backup", "sequencer/todo"];

/// Files of one line: git runs `git-merge-` and what it says.
const STRATEGIES: [&str; 2] = ["rebase-merge/strategy", "rebase-apply/strategy"];

/// Options of `git apply`, quoted.
const APPLIES: &str = "rebase-apply/apply-opt";

/// Files of one option, which is to say whose key signs.
const SIGNS: [&str; 2] = ["rebase-apply/gpg_sign_opt", "rebase-merge/gpg_sign_opt"];

/// Settings of git's own kind, of which one is a strategy.
const OPTIONS: &str = "sequencer/opts";

/// The strategies that git has itself.
///
/// # Source
/// git-merge(1) of git 2.47.
const OF_GIT: [&[u8]; 6] = [b"ort", b"recursive", b"resolve", b"octopus", b"ours", b"subtree"];

/// What files of a state have git run, by the file.
pub(super) type Programs = BTreeMap<PathBuf, Vec<Vec<u8>>>;

/// What the states of a repository have git run. `shown` is the path of its folder, `at` is where it is reached.
/// What cannot be read could be anything, which is an entry of its own.
pub(super) fn of(shown: &Path, at: &Path) -> Programs {
    let mut all = Programs::new();
    let files = LISTS.iter().chain(&STRATEGIES).chain(&SIGNS).chain([&APPLIES, &OPTIONS]);
    for name in files {
        let programs = match settings::bytes_of(&at.join(name), Links::Refused) {
            Ok(None) => continue,
            Ok(Some(bytes)) if LISTS.contains(name) => of_list(&bytes),
            Ok(Some(bytes)) if STRATEGIES.contains(name) => of_strategy(&bytes),
            Ok(Some(bytes)) if SIGNS.contains(name) => of_sign(&bytes),
            Ok(Some(bytes)) if *name == APPLIES => of_apply(&bytes),
            Ok(Some(bytes)) => of_options(&bytes),
            Err(_) => vec![UNREAD.to_vec()],
        };
        if !programs.is_empty() {
            all.insert(shown.join(name), programs);
        }
    }
    all
}

const UNREAD: &[u8] = b"unread";

/// Whether all of these programs stood before: a list gets shorter while somebody goes on with it.
pub(super) fn stood(now: &[Vec<u8>], before: Option<&Vec<Vec<u8>>>) -> bool {
    let mut left = before.cloned().unwrap_or_default();
    now.iter().all(|program| {
        let at = left.iter().position(|it| it == program);
        at.map(|at| left.swap_remove(at)).is_some()
    })
}

/// The lines that run programs.
///
/// # Source
/// `parse_insn_line` of git 2.47, `sequencer.c`.
fn of_list(text: &[u8]) -> Vec<Vec<u8>> {
    let lines = text.split(|byte| matches!(byte, b'\n' | b'\0'));
    let lines = lines.map(<[u8]>::trim_ascii);
    let runs = lines.filter(|line| {
        let word = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        matches!(word, b"exec" | b"x")
    });
    runs.map(<[u8]>::to_vec).collect()
}

fn of_strategy(text: &[u8]) -> Vec<Vec<u8>> {
    let name = text.trim_ascii();
    if name.is_empty() || OF_GIT.contains(&name) { Vec::new() } else { vec![name.to_vec()] }
}

/// Git hands the text to a command of its own as one option.
///
/// # Source
/// `run_am` of git 2.47, `builtin/rebase.c`.
fn of_sign(text: &[u8]) -> Vec<Vec<u8>> {
    let option = text.trim_ascii();
    let signs = option.is_empty() || (option.starts_with(b"-S") && !option.contains(&b'\n'));
    if signs { Vec::new() } else { vec![option.to_vec()] }
}

/// The options that `git am` does not write there: `--build-fake-ancestor` writes any file, `--unsafe-paths` has a
/// patch do so.
///
/// # Source
/// `cmd_am` of git 2.47, what it passes through; `sq_quote_argv`.
fn of_apply(text: &[u8]) -> Vec<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(text) else { return vec![UNREAD.to_vec()] };
    let mut strange = Vec::new();
    let mut rest = text.trim();
    while let Some((option, after)) = rest.strip_prefix('\'').and_then(|it| it.split_once('\'')) {
        if !is_of_am(option) {
            strange.push(option.as_bytes().to_vec());
        }
        let next = after.strip_prefix(' ').map(str::trim_start);
        rest = next.unwrap_or(after);
        // Of one that goes on, with a quote in it, nothing is known.
        if next.is_none() {
            break;
        }
    }
    if !rest.is_empty() {
        strange.push(UNREAD.to_vec());
    }
    strange
}

fn is_of_am(option: &str) -> bool {
    const ALONE: [&str; 3] = ["--ignore-space-change", "--ignore-whitespace", "--reject"];
    let number = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit());
    let inside = |folder: &str| {
        let mut parts = Path::new(folder).components();
        parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    };
    ALONE.contains(&option)
        || ["--whitespace=", "--exclude=", "--include="].iter().any(|it| option.starts_with(it))
        || ["-p", "-C"].iter().any(|it| option.strip_prefix(it).is_some_and(number))
        || option.strip_prefix("--directory=").is_some_and(inside)
}

fn of_options(text: &[u8]) -> Vec<Vec<u8>> {
    let Ok(settings) = settings::parse(text) else { return vec![UNREAD.to_vec()] };
    let strategies = settings.all.into_iter().filter(|it| it.name == "options.strategy");
    strategies.flat_map(|it| of_strategy(&it.value.unwrap_or_default())).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_state_that_runs_programs_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for made in ["rebase-merge", "rebase-apply", "sequencer"] {
            fs::create_dir(at(made)).unwrap();
        }
        let runs = |name: &str, text: &[u8]| {
            fs::write(at(name), text).unwrap();
            let found = of(folder.path(), folder.path()).contains_key(&at(name));
            fs::remove_file(at(name)).unwrap();
            found
        };
        let todo = "rebase-merge/git-rebase-todo";
        for text in [
            &b"exec touch x"[..],
            b"pick 1 \xff\nexec x\n",
            b"  x\tmake\n",
            b"# one\n\nx make \r\n",
        ] {
            assert!(runs(todo, text), "{}", String::from_utf8_lossy(text));
        }
        for text in [&b"pick 1 exec\nfixup 2 x\n# exec y\n"[..], b"", b"xpick 1\n", b"executed\n"] {
            assert!(!runs(todo, text), "{}", String::from_utf8_lossy(text));
        }
        for strategy in ["rebase-merge/strategy", "rebase-apply/strategy"] {
            assert!(runs(strategy, b"x/evil\n"));
            assert!(!runs(strategy, b"ort\n"));
        }
        for text in [
            &b" '--build-fake-ancestor=/x'\n"[..],
            b"--unsafe-paths",
            b" '-p1' '--unsafe-paths'",
            b" '--directory=../x'",
            b" '--directory=/x'",
            b" '-p1''--unsafe-paths'",
            b" '--exclude=a'\\''b' '--unsafe-paths'",
            b" '-p1'\t--unsafe-paths",
            b"\xff",
        ] {
            assert!(runs(APPLIES, text), "{}", String::from_utf8_lossy(text));
        }
        for text in [
            &b""[..],
            b"\n",
            b" '-p2' '--whitespace=fix' '-C1'\n",
            b" '--directory=a/b'",
            b" '--reject'",
        ] {
            assert!(!runs(APPLIES, text), "{}", String::from_utf8_lossy(text));
        }
        for sign in SIGNS {
            assert!(!runs(sign, b"-Skey of mine\n") && !runs(sign, b"-S"));
            assert!(runs(sign, b"--directory=x\n") && runs(sign, b"-S\n-x\n"));
        }
        assert!(runs(OPTIONS, b"[options]\n\tstrategy = x/evil\n"));
        assert!(runs(OPTIONS, b"[Options]\nStrategy=\"ort \\\"\n"));
        assert!(!runs(OPTIONS, b"[options]\n\tstrategy = ort\n\tedit = true\n"));
        std::os::unix::fs::symlink("elsewhere", at(todo)).unwrap();
        assert!(of(folder.path(), folder.path()).contains_key(&at(todo)), "it may lead anywhere");
    }

    #[test]
    fn a_list_that_got_shorter_stood_before() {
        let list = |text: &str| of_list(text.as_bytes());
        let before = list("pick 1\nexec make\npick 2\nexec make\nx lint\n");
        assert!(stood(&list("pick 2\nexec make\nx lint\n"), Some(&before)));
        assert!(stood(&before, Some(&before)));
        assert!(!stood(&list("exec make\nexec make\nexec make\n"), Some(&before)));
        assert!(!stood(&list("exec make; evil\n"), Some(&before)));
        assert!(!stood(&list("exec make\n"), None));
    }
}
