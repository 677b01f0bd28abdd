//! Addresses that tell who somebody is: with a name, or with a name and a password, before their host.

/// Whether a text has an address with the name of somebody before its host, or with a password.
pub(super) fn has_login(text: &str) -> bool {
    let quotes = |it: char| it.is_whitespace() || it == '"' || it == '\'';
    let of_a_person = |(at, _): (usize, &str)| {
        let host = text[at + 3..].split(|it| it == '/' || quotes(it)).next().unwrap_or_default();
        let of_ssh = text[..at].ends_with("ssh");
        let name = host.rsplit_once('@').map(|(name, _)| name);
        // Everybody has that name, and those of ssh's are proved otherwise.
        name.is_some_and(|name| name != "git" && (!of_ssh || name.contains(':')))
    };
    text.match_indices("://").any(of_a_person)
        || text.split(quotes).any(|word| {
            word.match_indices('@').any(|(at, _)| is_login(&word[..at], &word[at + 1..]))
        })
}

/// Whether what is before a host is a name and a password, without what says how it is reached.
fn is_login(before: &str, host: &str) -> bool {
    let before = before.rsplit('/').next().unwrap_or_default();
    let Some((name, password)) = before.split_once(':') else { return false };
    let name = name.rsplit(['=', ',', '(', '[', '{', '<']).next().unwrap_or_default();
    let is_host = host.starts_with(|it: char| it.is_alphanumeric() || it == '[');
    // Other things that are written like that: a person's letters, git by ssh, packages, images.
    let is_other = name == "mailto"
        || name.starts_with("git@")
        || name == "npm"
        || name.ends_with("@npm")
        || password == "git"
        || password.ends_with(":git")
        || host.starts_with("sha256:")
        || host.starts_with("npm:")
        || (password.contains(':') && is_kind_of_artifact(host));
    is_host && !name.is_empty() && !password.is_empty() && !is_other
}

/// Gradle's `group:name:version@jar`.
fn is_kind_of_artifact(host: &str) -> bool {
    let kind = host.split(|it: char| !it.is_alphanumeric()).next().unwrap_or_default();
    ["jar", "aar", "zip", "pom", "klib", "module"].contains(&kind) && !host.contains("jar.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_password_before_a_host_tells_of_a_key() {
        for text in [
            "proxy=bob:hush@proxy:3128",
            "proxy = bob:hu=s:h@proxy",
            "https: 'bob:hush@proxy:3128'",
            "registry=//bob:hush@host/",
            "registry=//bob:hush@host/x@1",
            "proxy=bob@corp.test:hush@proxy",
            "https-proxy=corp\\bob:hush@[::1]:3128",
            "x=https://hush@host/",
            "x=ssh://bob:hush@host/",
            "x=https://git:hush@host/",
        ] {
            assert!(has_login(text), "{text}");
        }
        for text in [
            "git+ssh://git@github.com/x",
            "git+https://git@github.com/x@v1",
            "ssh://bob@host:22/x",
            "git@github.com:own/x",
            "classpath 'com.x:y:1.0@jar'",
            "baz: \"patch:baz@npm:1.0#./x\"",
            "@scope:registry=https://npm.test/",
            "@scope:registry = https://npm.test/@scope/x@1.0",
            "x=npm:@scope/other@1.0",
            "x@npm:other@1.0",
            "//npm.test/:always=true",
            "email = bob@x.test",
            "Bob: bob@x.test",
            "<mailto:bob@x.test>",
            "image: postgres:16@sha256:ab",
            "http://proxy:3128",
            "log HEAD:x@{u}",
        ] {
            assert!(!has_login(text), "{text}");
        }
    }
}
