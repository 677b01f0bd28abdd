//! Where a person's settings send tools for packages: shown without what proves who somebody is, or tools would ask
//! everybody's registry for a name that is the person's own.

use std::path::{Path, PathBuf};

use botpipe_sandbox::{Layer, Text};

use super::certificates::Named;
use super::git_settings::found_by;
use super::keys::{is_whole, tells};
use super::paths::in_shell;
use super::{Unshown, home as homes, within};
use crate::plain;
use crate::policy::lexical;

/// Settings by their places in a home, with the tools that read them.
const FILES: [(&str, &str); 10] = [
    (".npmrc", "npm"),
    (".config/pnpm/rc", "pnpm"),
    (".yarnrc.yml", "yarn"),
    (".bunfig.toml", "bun"),
    (".config/pip/pip.conf", "pip"),
    (".pip/pip.conf", "pip"),
    (".config/uv/uv.toml", "uv"),
    (".config/pypoetry/config.toml", "poetry"),
    (".condarc", "conda"),
    (".config/go/env", "go"),
];

/// A file that is longer is no file of settings.
const LONGEST: u64 = 64 << 10;

/// Layers that show them. Nothing that programs write, or may have bent, is among them.
pub(super) fn layers(
    home: &Path,
    written: &[PathBuf],
    unshown: &mut Vec<Unshown>,
    certificates: &mut Vec<Named>,
) -> Vec<Layer> {
    let secrets: Vec<PathBuf> = homes::all_secrets(home).collect();
    let mut layers = Vec::new();
    for (name, tool) in FILES {
        let at = home.join(name);
        let Some(found) = found_by(&at, written) else { continue };
        // Of those, none but the file itself is for tools.
        if found != at && within(&found, &secrets) {
            continue;
        }
        let text = plain::peek(&found, LONGEST).ok().and_then(|it| String::from_utf8(it).ok());
        let Some(text) = text.filter(|text| !text.contains('\0')) else { continue };
        let Shown { text, address_kept_back } = without_keys(&text);
        if address_kept_back {
            unshown.push(no_address(&at, tool));
        }
        certificates.extend(text.lines().filter_map(|line| {
            let path = certificates_in(line, home)?;
            Some(Named { by: at.display().to_string(), path })
        }));
        if text.lines().any(|line| !line.is_empty()) {
            layers.push(Layer::Text(Text { at, text }));
        }
    }
    layers
}

/// The path of certificates that a line names, as `cafile=/x` and `cert = ~/x` do.
fn certificates_in(line: &str, home: &Path) -> Option<PathBuf> {
    const NAMES: [&str; 6] = ["cafile", "cert", "ca", "ssl_verify", "httpsCaFilePath", "ca-file"];
    let (name, value) = line.split_once('=').or_else(|| line.split_once(':'))?;
    let value = value.trim().trim_matches(['"', '\'']);
    let path = match value.strip_prefix("~/") {
        Some(inside) => home.join(inside),
        None => PathBuf::from(value),
    };
    (NAMES.contains(&name.trim()) && path.is_absolute()).then(|| lexical(&path))
}

/// That a tool asks others than it does outside.
fn no_address(file: &Path, tool: &str) -> Unshown {
    let (shown, typed) = (file.display(), in_shell([file]));
    let what = format!(
        "`{shown}` names an address together with a key, which is not shown: {tool} asks its usual registry instead; \
         the key in a line of its own leaves the address, `BOTPIPE_ALLOW_READ={typed}` in Botpipe's own environment \
         shows both"
    );
    Unshown { path: file.to_owned(), what, of_network: true }
}

/// What is seen of settings.
#[derive(Debug, Default, PartialEq, Eq)]
struct Shown {
    /// With the same numbers of lines, which programs tell.
    text: String,
    address_kept_back: bool,
}

/// Settings without comments and without the lines that tell of keys; nothing of them where those cannot be taken away
/// alone.
fn without_keys(text: &str) -> Shown {
    let address = |line: &str| line.contains("://") || line.contains("=//");
    let nothing = || Shown { text: String::new(), address_kept_back: text.lines().any(address) };
    if ["\"\"\"", "'''", "PRIVATE KEY"].iter().any(|it| text.contains(it)) {
        return nothing();
    }
    let mut shown = Shown::default();
    // How far the line that was taken away last is indented: what is indented further goes on from it.
    let mut taken: Option<usize> = None;
    for line in text.lines() {
        let inner = line.trim();
        let indent = line.len() - line.trim_start().len();
        // What npm says of the key of one registry begins with slashes, as comments do elsewhere.
        let comment = inner.starts_with(['#', ';']) || inner.starts_with("//");
        if inner.is_empty() || comment {
            shown.text.push('\n');
            continue;
        }
        let goes_on = taken.is_some_and(|before| indent > before);
        if goes_on || tells_of_keys(inner) {
            if !goes_on && !is_whole(inner) {
                return nothing();
            }
            taken = taken.filter(|_| goes_on).or(Some(indent));
            shown.address_kept_back |= address(inner);
        } else {
            taken = None;
            shown.text.push_str(line);
        }
        shown.text.push('\n');
    }
    shown
}

/// Whether a line tells of a key, or may be one.
pub(crate) fn tells_of_keys(line: &str) -> bool {
    const NAMES: [&str; 10] = [
        "auth",
        "username",
        "user_name",
        "email",
        "otp",
        "login",
        "_key",
        "keyfile",
        "clientkey",
        "identity",
    ];
    let lower = line.to_lowercase();
    let name =
        lower.split_once('=').or_else(|| lower.split_once(": ")).map_or("", |(name, _)| name);
    let name = name.trim().trim_matches('"');
    let is_section = lower.starts_with('[') && lower.ends_with(']') && !lower.contains('=');
    let of_a_key = name == "key" || NAMES.iter().any(|it| name.contains(it));
    let words = line.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
    let ids = line.split(|it: char| !it.is_ascii_hexdigit() && it != '-');
    let is_id = |word: &str| word.len() >= 32 && word.contains(|it: char| it.is_ascii_digit());
    (!is_section && (tells(line) || of_a_key))
        || (is_section && lower.contains("://") && lower.contains('@'))
        || words.into_iter().any(is_random)
        || ids.into_iter().any(is_id)
}

/// Whether a word of an address or a value is rather a key than a name: long, with several digits and letters.
fn is_random(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let letters = word.chars().filter(char::is_ascii_alphabetic).count();
    word.len() >= 16 && digits >= 3 && letters >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let shown = without_keys(text);
        assert!(!shown.address_kept_back, "{text}");
        let lines: Vec<&str> = shown.text.lines().filter(|line| !line.is_empty()).collect();
        lines.join("\n")
    }

    #[test]
    fn registries_are_seen_and_keys_are_not() {
        let npm = "registry=https://npm.corp.test/\n@corp:registry = https://npm.corp.test/own/\n\
                   //npm.corp.test/:_authToken=HUSH\n_auth=HUSH\n_password=\"HUSH\"\nusername=HUSH\n\
                   email=HUSH@x.test\n# _authToken=HUSH\n; HUSH\nalways-auth=true\nother=npm_a1b2c3d4e5f6HUSH\n\
                   ignore-scripts=true\ncafile=/etc/ssl/corp-root-ca-2024.pem\n";
        let kept = "registry=https://npm.corp.test/\n@corp:registry = https://npm.corp.test/own/\n\
                    ignore-scripts=true\ncafile=/etc/ssl/corp-root-ca-2024.pem";
        assert_eq!(shown(npm), kept);
        let pip = "[global]\nindex-url = https://pip.corp.test/simple\nextra-index-url =\n  https://a.test/simple\n";
        assert_eq!(shown(pip), pip.trim_end());
        let go = "GOPROXY=https://go.corp.test,direct\nGOPRIVATE=corp.test/*\nGOAUTH=netrc\n";
        assert_eq!(shown(go), "GOPROXY=https://go.corp.test,direct\nGOPRIVATE=corp.test/*");
        let poetry = "[repositories.corp]\nurl = \"https://p.corp.test/\"\n[http-basic.corp]\nusername = \"HUSH\"\n\
                      password = \"HUSH\"\n";
        assert_eq!(
            shown(poetry),
            "[repositories.corp]\nurl = \"https://p.corp.test/\"\n[http-basic.corp]"
        );
        let proxies = "proxy=me:HUSH@proxy.test:3128\n[global]\nproxy = me:HUSH@proxy.test:3128\n\
                       proxy_servers:\n  http: me:HUSH@proxy.test:3128\nallow-git=git+ssh://git@corp.test/x\n";
        let kept = "[global]\nproxy_servers:\nallow-git=git+ssh://git@corp.test/x";
        assert_eq!(shown(proxies), kept);
        let yarn = "npmScopes:\n  corp:\n    npmRegistryServer: \"https://npm.corp.test\"\n    npmAuthToken: HUSH\n";
        assert!(!shown(yarn).contains("HUSH") && shown(yarn).contains("npmRegistryServer"));
    }

    /// What goes on in other lines goes with the first one, and what cannot be taken apart is not seen at all.
    #[test]
    fn an_address_with_a_key_is_kept_back_and_that_is_said() {
        for text in [
            "registry=https://me:HUSH@npm.corp.test/\n",
            "[global]\nindex-url = https://HUSH@pip.corp.test/simple\n",
            "extra-index-url =\n  https://a.test/\n  https://me:HUSH@b.test/\n",
            "GOPROXY=https://me:HUSH@go.corp.test,direct\n",
            "registry=//me:HUSH@npm.corp.test/\n",
            "index-url = https://dl.corp.test/HUSH1a2b3c4d5e6f7/own/simple/\n",
            "index-url = https://dl.corp.test/0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f/HUSH\n",
            "url = \"https://a.test\"\ntoken = \"\"\"\nHUSH\n\"\"\"\n",
            "url = \"https://a.test\"\npassword =\n  HUSH\n",
        ] {
            let Shown { text: seen, address_kept_back } = without_keys(text);
            assert!(address_kept_back && !seen.contains("HUSH"), "{text}{seen}");
        }
        assert!(
            !without_keys("trusted = a\npassword = HUSH\n  HUSH\nb = c\n").text.contains("HUSH")
        );
    }

    #[test]
    fn certificates_that_settings_name_are_found() {
        let home = Path::new("/home/me");
        for line in
            ["cafile=/home/me/ca.pem", "cert = ~/ca.pem", "ssl_verify: /home/me/x/../ca.pem"]
        {
            assert_eq!(certificates_in(line, home), Some(home.join("ca.pem")), "{line}");
        }
        for line in ["strict-ssl=true", "ssl_verify: true", "cache=/home/me/c", "cafile=ca.pem"] {
            assert_eq!(certificates_in(line, home), None, "{line}");
        }
    }

    #[test]
    fn settings_that_a_program_may_have_bent_are_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().canonicalize().unwrap();
        for name in ["work", "dots", ".ssh"] {
            std::fs::create_dir(home.join(name)).unwrap();
            std::fs::write(home.join(name).join("npmrc"), "registry=https://x.test/\n").unwrap();
        }
        let look = |to: &str| {
            drop(std::fs::remove_file(home.join(".npmrc")));
            std::os::unix::fs::symlink(to, home.join(".npmrc")).unwrap();
            layers(&home, &[home.join("work")], &mut Vec::new(), &mut Vec::new()).len()
        };
        assert_eq!([look("dots/npmrc"), look("work/npmrc"), look(".ssh/npmrc")], [1, 0, 0]);
    }
}
