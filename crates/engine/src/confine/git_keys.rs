//! Settings of git without those that prove who somebody is.

use super::logins;
use crate::workspace::redact::Redactor;

/// The same with empty lines for settings that tell of a key; `None`: none does.
///
/// # Source
/// `config.c` of git 2.47: `git_parse_source`, `parse_value`.
pub(super) fn without_keys(text: &str) -> Option<String> {
    let mut kept = String::with_capacity(text.len());
    let mut told = false;
    let mut section = Section::default();
    for line in whole_lines(text) {
        let (headers, setting) = section.enter(line);
        let seen = match setting.trim_start_matches(BLANK) {
            _ if section.tells => "",
            rest if section.setting_tells(rest) => headers,
            _ => {
                kept.push_str(line);
                continue;
            }
        };
        told |= !line.trim().is_empty();
        kept.push_str(seen);
        // A filter without its program lets pass what it was to hide: git is to refuse that instead.
        if section.name == "filter" && !setting.trim().is_empty() {
            kept.push_str("\trequired = true");
        }
        // The lines that follow keep their numbers, which git tells.
        kept.extend(line.chars().filter(|it| *it == '\n'));
    }
    told.then_some(kept)
}

const BLANK: [char; 4] = [' ', '\t', '\r', '\u{feff}'];

/// Where the lines that follow belong to.
#[derive(Debug, Default)]
struct Section {
    /// In small letters, without what is in quotes after it.
    name: String,
    /// What is in quotes, or after a point, tells of a key: so do all settings in it.
    tells: bool,
}

impl Section {
    /// Goes into the sections that a line begins; its two parts: those, and the rest.
    fn enter<'a>(&mut self, line: &'a str) -> (&'a str, &'a str) {
        let mut at = 0;
        let mut first = true;
        loop {
            let rest = &line[at..];
            let blank = rest.len() - rest.trim_start_matches(BLANK).len();
            let Some(head) = rest[blank..].strip_prefix('[') else {
                return line.split_at(at);
            };
            let end = end_of_header(head);
            let tells = self.tells && !first;
            *self = Self::of(&head[..end]);
            self.tells |= tells;
            first = false;
            at += blank + 1 + (end + 1).min(head.len());
        }
    }

    fn of(header: &str) -> Self {
        let (name, inner) = if let Some((name, quoted)) = header.split_once('"') {
            (name, without_escapes(quoted.trim_end_matches('"')))
        } else {
            let (name, inner) = header.split_once('.').unwrap_or((header, ""));
            (name, inner.to_owned())
        };
        let name = name.trim().to_lowercase();
        let told = match (name.as_str(), inner.split_once("remote.*.url:")) {
            ("includeif", Some((_, address))) => text_tells(address),
            // An address; others are names that a person gives.
            ("url" | "http" | "credential" | "lfs" | "remote", None) => text_tells(&inner),
            _ => false,
        };
        // The patterns of git-secrets are no keys.
        let says = ["passw", "secret", "token"].iter().any(|it| name.contains(it));
        let tells = told || (says && name != "secrets");
        Self { name, tells }
    }

    /// Whether a setting tells of a key, or a comment, which may be a setting that was taken out.
    fn setting_tells(&self, setting: &str) -> bool {
        let setting = setting.trim_start_matches(['#', ';', ' ', '\t']);
        let Some((key, value)) = setting.split_once('=') else { return text_tells(setting) };
        let key = key.trim().to_lowercase();
        let (value, comment) = value_of(value);
        self.key_tells(&key, &value) || text_tells(&value) || text_tells(comment)
    }

    fn key_tells(&self, key: &str, value: &str) -> bool {
        const WORDS: [&str; 9] = [
            "extraheader",
            "authorization",
            "passw",
            "token",
            "secret",
            "apikey",
            "api-key",
            "privatekey",
            "private-key",
        ];
        let says = SWITCHES.contains(&&*value.to_lowercase());
        // A program that asks, and a name that a person gave to a command.
        if says || key == "askpass" || self.name == "alias" {
            return false;
        }
        let assigns = |word: &str| !word.starts_with('-') && word.contains('=');
        let is_helper = key == "helper" && self.name == "credential";
        WORDS.iter().any(|word| key.contains(word) && !key.contains("tokeniz"))
            || (key.ends_with("pass") && !["bypass", "compass"].contains(&key))
            || key.contains("passphrase")
            || key == "pat"
            || key.ends_with("-pat")
            || (is_helper && (value.starts_with('!') || value.split_whitespace().any(assigns)))
    }
}

/// Where the header ends whose first bracket is before this.
fn end_of_header(head: &str) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    for (at, it) in head.char_indices() {
        match it {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return at,
            _ => {}
        }
    }
    head.len()
}

fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(it) = chars.next() {
        plain.extend(if it == '\\' { chars.next() } else { Some(it) });
    }
    plain
}

/// Lines as git has them: one that ends with a backslash goes on in the next.
fn whole_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut left = text;
    std::iter::from_fn(move || {
        let (line, rest) = left.split_at(end_of_line(left));
        left = rest;
        (!line.is_empty()).then_some(line)
    })
}

fn end_of_line(text: &str) -> usize {
    let mut quoted = false;
    let mut comment = false;
    let mut escaped = false;
    for (at, it) in text.char_indices() {
        match it {
            '\n' if !escaped => return at + 1,
            // Two characters that are one end of a line.
            '\r' if escaped => {}
            _ if escaped => escaped = false,
            '\\' if !comment => escaped = true,
            '"' if !comment => quoted = !quoted,
            '#' | ';' if !quoted => comment = true,
            _ => {}
        }
    }
    text.len()
}

/// A value as git reads it, and the comment after it.
fn value_of(written: &str) -> (String, &str) {
    let mut value = String::with_capacity(written.len());
    let mut quoted = false;
    let mut chars = written.char_indices();
    let mut comment = "";
    while let Some((at, it)) = chars.next() {
        match it {
            '"' => quoted = !quoted,
            '#' | ';' if !quoted => {
                comment = &written[at + 1..];
                break;
            }
            '\\' => match chars.next() {
                Some((_, 'n' | 't')) => value.push(' '),
                Some((_, '\r' | '\n')) | None => {}
                Some((_, it)) => value.push(it),
            },
            it => value.push(it),
        }
    }
    (value.trim().to_owned(), comment)
}

/// What a setting says that switches something.
const SWITCHES: [&str; 9] = ["", "true", "false", "yes", "no", "on", "off", "0", "1"];

/// Whether a value, a comment or a name tells of a key by itself.
fn text_tells(text: &str) -> bool {
    const NAMES: [&str; 7] =
        ["token", "secret", "passw", "apikey", "api-key", "api_key", "authorization"];
    let lower = text.to_lowercase();
    let mut words = lower
        .split(|it: char| it.is_whitespace() || "\"'`;&|(){},".contains(it))
        .filter(|it| !it.is_empty())
        .peekable();
    let mut assigned = false;
    while let Some(word) = words.next() {
        let Some((name, value)) = word.split_once(['=', ':']) else {
            assigned |= word.ends_with("sshpass");
            continue;
        };
        // What stands for it is none: `$TOKEN`, a file, a word that switches something.
        let value = if value.is_empty() { words.peek().copied().unwrap_or("$") } else { value };
        let stands_for = value.starts_with(['$', '~', '/', '.', '%'])
            || name.ends_with("file")
            || name.ends_with("-style")
            || SWITCHES.contains(&value);
        assigned |= !stands_for && NAMES.iter().any(|it| name.contains(it));
    }
    assigned
        || logins::has_login(&lower)
        || Redactor::new(std::iter::empty()).secret_in(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDINARY: &str = "\u{feff}[user]\n\tname = A \\\"B\\\"\n\temail = a@x.test\n\tsigningKey = key::ssh-ed25519 AAAAC3Nz a@host\n\
        [core] editor = vim -c 'set tw=72' ; my own\n\taskPass = /usr/bin/ksshaskpass\n\
        [alias]\n\tlg = log --format='%h %an' @{u}.. \\\n\t  --graph # all of it\n\tpass = !pass show x\n\
        \tpr = \"!f() { git push origin HEAD:refs/for/$1; }; f\"\n\ttoken = !echo token=$TOKEN\n\
        [url \"ssh://git@host.test/\"] insteadOf = https://host.test/\n\
        [URL \"git@host.test:\"]\n\tpushInsteadOf = https://host.test/\n[url \"https://git@host.test\"]\n\tinsteadOf = h:\n\
        [includeIf \"gitdir:~/a:b@c/secrets/\"]\n\tpath = ~/.work\n\
        [includeIf \"hasconfig:remote.*.url:git@host.test:x/**\"]\n\tpath = ~/.work\n\
        [http]\n\tproxy = http://proxy.test:3128\n\tsslCertPasswordProtected = true\n\
        [credential]\n\thelper =\n\thelper = cache --timeout=60\n[credential \"https://host.test\"]\n\tusername = ann\n\
        [diff \"secret\"]\n\ttextconv = gpg --decrypt\n[secrets]\n\tproviders = git secrets --aws-provider\n\
        [filter \"vault\"]\n\tclean = enc --vault-password-file=~/.vp\n\tsmudge = cat\n\
        [core]\n\tsshCommand = ssh -o PasswordAuthentication=no -o BatchMode=yes\n\
        [branch \"fix-token:1\"]\n\tremote = origin\n[my]\n\ttokenizer = x\n\tbypass = y\n\
        [http \"https://x.test\"]\n\tsslCertPasswordProtected = 1\n\
        [init]\n\tdefaultBranch = main\n# the credentials are elsewhere\n";

    #[test]
    fn ordinary_settings_tell_of_no_key() {
        assert_eq!(without_keys(ORDINARY), None);
    }

    /// Whatever tells of one, in whatever way git lets it be written, and nothing beside it.
    #[test]
    fn settings_that_tell_of_a_key_are_not_seen() {
        for told in [
            "[http]\n\textraHeader = AUTHORIZATION: basic HUSH\n",
            "[HTTP \"https://x.test/\"] EXTRAHEADER=X: HUSH\n",
            "[url \"https://oauth2:HUSH@x.test/\"]\n\tinsteadOf = https://HUSH.test/\n\n\tpushInsteadOf = HUSH\n",
            "[Url\t\"https://HUSH\\@x.test/\"]\n\tinsteadOf = https://x.test/\n",
            "[url \"a]b\\\"//bob:HUSH@x\"] insteadOf = y\n",
            "[url.https://HUSH@x.test/]\n\tinsteadof = y\n",
            "[sendemail]\n\tsmtpPass = HUSH\n",
            "[sendemail] smtpPass = \\\nHUSH\n",
            "[sendemail \"work\"]\n\tsmtpPass = \"a \\\n  b # HUSH\"\n",
            "[sendemail]\r\n\tsmtpPass = a\\\r\nHUSH\r\n",
            "[github]\n\ttoken = HUSH\n",
            "[gitlab] pat = HUSH\n",
            "[x]\n\ttoken = a \\\n[y]HUSH\n",
            "[credential]\n\thelper = \"!f() { echo username=x; echo password=HUSH; }; f\"\n",
            "[credential \"https://x.test\"]\n\thelper = own user=HUSH\n",
            "[http]\n\tproxy = bob:HUSH@proxy.test:3128\n",
            "[remote \"own\"]\n\turl = ht\\\ntps://bob:HUSH@x.test\n",
            "[alias]\n\tup = !curl -H 'Authorization: HUSH' https://x.test\n",
            "[alias]\n\tup = !TOKEN=HUSH ./up\n",
            "[core]\n\tsshCommand = sshpass -pHUSH ssh\n",
            "[includeIf \"hasconfig:remote.*.url:https://bob:HUSH@x.test/**\"]\n\tpath = y\n",
            "[my]\n\tvalue = ghp_HUSH567890123456789012345\n",
            "# token = HUSH\n",
            "[x] ; \\\n[github]\n\ttoken = HUSH\n",
            "[core]\n\tpager = less # token: HUSH\n",
            "[core]\n\tpager = less # a \\\n\tpassword = HUSH\n",
        ] {
            let all = format!("{ORDINARY}{told}[color]\n\tui = auto\n");
            let seen = without_keys(&all).unwrap_or_default();
            assert!(seen.starts_with(ORDINARY) && !seen.contains("HUSH"), "{told}\n{seen}");
            assert!(seen.ends_with("[color]\n\tui = auto\n"), "{told}\n{seen}");
            assert_eq!(seen.lines().count(), all.lines().count(), "{told}");
        }
    }

    /// Without its program git would take what the filter was to hide as it is.
    #[test]
    fn a_filter_that_goes_is_required() {
        let text = "[filter \"vault\"]\n\tclean = enc --password=HUSH\n\tsmudge = cat\n";
        let seen = "[filter \"vault\"]\n\trequired = true\n\tsmudge = cat\n";
        assert_eq!(without_keys(text).unwrap(), seen);
    }

    #[test]
    fn a_section_stays_where_a_setting_on_its_line_goes() {
        let text = "[sendemail] smtpPass = HUSH\n\tsmtpUser = ann\n";
        assert_eq!(without_keys(text).unwrap(), "[sendemail]\n\tsmtpUser = ann\n");
    }
}
