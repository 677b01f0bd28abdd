//! The certificates that a person's variables name, by which tools believe a proxy or a registry: shown where nothing
//! else is seen.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use botpipe_sandbox::{Layer, Text};

use super::paths::{in_shell, is_theirs};
use super::{Site, Unshown, home, within};
use crate::environment::CERTIFICATES;
use crate::plain;
use crate::policy::lexical;

/// A path of certificates, and the variable or file of settings that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(super) by: String,
    pub(super) path: PathBuf,
}

/// A longer file holds more than the certificates of the world.
const LONGEST: u64 = 2 << 20;
/// Files of one folder that are shown at most.
const MOST: usize = 300;

/// What these variables name. A relative path is one of the workspace.
pub(crate) fn named(value: impl Fn(&str) -> Option<OsString>) -> Vec<Named> {
    let values = CERTIFICATES.iter().filter_map(|name| Some((*name, value(name)?)));
    let mut all: Vec<Named> = Vec::new();
    for (by, value) in values {
        let paths = std::env::split_paths(&value).filter(|path| path.is_absolute());
        for path in paths.map(|path| lexical(&path)) {
            if !all.iter().any(|known| known.path == path) {
                all.push(Named { by: by.to_owned(), path });
            }
        }
    }
    all
}

/// Layers that show them where they lie in what is `empty` for programs, to be read; also those that settings name.
pub(super) fn layers(
    site: &Site,
    by_settings: &[Named],
    written: &[PathBuf],
    empty: &[PathBuf],
    unshown: &mut Vec<Unshown>,
) -> Vec<Layer> {
    let secrets = site.home.iter().flat_map(|home| home::all_secrets(home)).collect();
    let among = Among { written, empty, secrets };
    let mut layers = Vec::new();
    let mut known = BTreeSet::new();
    let all = site.certificates.iter().chain(by_settings);
    for Named { by, path } in all.filter(|named| known.insert(&named.path)) {
        let shown = if path.is_dir() { among.folder(path) } else { among.file(path) };
        match shown {
            Ok(shown) => layers.extend(shown),
            Err(why) => {
                let (shown, typed) = (path.display(), in_shell([path.as_path()]));
                let what = format!(
                    "`{by}` names `{shown}`, which is not shown: {why}; `BOTPIPE_ALLOW_READ={typed}` in Botpipe's \
                     own environment shows it"
                );
                unshown.push(Unshown { path: path.clone(), what, of_network: true });
            }
        }
    }
    layers
}

struct Among<'a> {
    written: &'a [PathBuf],
    empty: &'a [PathBuf],
    secrets: Vec<PathBuf>,
}

impl Among<'_> {
    /// Layers for one file; `Err`: why there are none, in words.
    fn file(&self, path: &Path) -> Result<Vec<Layer>, &'static str> {
        // Nothing is there outside either.
        let Ok(found) = path.canonicalize() else { return Ok(Vec::new()) };
        let unseen = |path: &Path| within(path, self.empty) && !within(path, self.written);
        if !unseen(path) && !unseen(&found) {
            return Ok(Vec::new());
        }
        if is_theirs(path, self.written) {
            return Err("programs may change a link on the way to it");
        }
        if within(path, &self.secrets) || within(&found, &self.secrets) {
            return Err("it lies in what proves who somebody is");
        }
        let text = plain::peek(&found, LONGEST).ok().and_then(|it| String::from_utf8(it).ok());
        let Some(text) = text.filter(|it| it.contains("-----BEGIN ") && !it.contains('\0')) else {
            return Err("it is no file of certificates as text (PEM)");
        };
        if text.contains("PRIVATE KEY") {
            return Err("it holds a private key");
        }
        if !text.contains("CERTIFICATE-----") {
            return Err("it holds no certificate");
        }
        let mut layers = Vec::new();
        layers.extend(unseen(&found).then(|| Layer::Shown(found.clone())));
        if found != path && unseen(path) {
            layers.push(Layer::Text(Text { at: path.to_owned(), text }));
        }
        Ok(layers)
    }

    /// Those of a folder, each by itself: what else lies there is not seen.
    fn folder(&self, path: &Path) -> Result<Vec<Layer>, &'static str> {
        // Those of the system are hundreds of links, to what is seen as well.
        if ["/etc", "/usr"].iter().any(|system| path.starts_with(system)) {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let paths: Vec<PathBuf> = entries.take(MOST + 1).map(|entry| entry.path()).collect();
        if paths.len() > MOST {
            let unseen = within(path, self.empty) && !within(path, self.written);
            return if unseen { Err("it holds too many files") } else { Ok(Vec::new()) };
        }
        let files = paths.iter().filter(|path| path.is_file());
        Ok(files.filter_map(|path| self.file(path).ok()).flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn certificates_are_shown_and_nothing_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().canonicalize().unwrap();
        let pem = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----\n";
        for name in ["certs", ".ssh", "work"] {
            fs::create_dir(home.join(name)).unwrap();
        }
        for (name, text) in [
            ("certs/ca.pem", pem),
            ("certs/own.pem", &format!("{pem}{key}")),
            ("certs/diary", "dear"),
            (".ssh/ca.pem", pem),
            ("work/ca.pem", pem),
        ] {
            fs::write(home.join(name), text).unwrap();
        }
        symlink("ca.pem", home.join("certs/0a1b2c3d.0")).unwrap();
        symlink("../certs/diary", home.join("work/link")).unwrap();
        let (written, empty) = ([home.join("work")], [home.clone()]);
        let secrets = home::all_secrets(&home).collect();
        let among = Among { written: &written, empty: &empty, secrets };
        let ca = Layer::Shown(home.join("certs/ca.pem"));
        assert_eq!(among.file(&home.join("certs/ca.pem")).unwrap(), std::slice::from_ref(&ca));
        let text = Text { at: home.join("certs/0a1b2c3d.0"), text: pem.to_owned() };
        let mut all = among.folder(&home.join("certs")).unwrap();
        all.dedup();
        assert!(all.iter().all(|layer| [&ca, &Layer::Text(text.clone())].contains(&layer)));
        assert!(all.len() >= 2, "{all:?}");
        for seen in ["work/ca.pem", "none"] {
            assert_eq!(among.file(&home.join(seen)), Ok(Vec::new()), "{seen}");
        }
        for refused in ["certs/own.pem", "certs/diary", ".ssh/ca.pem", "work/link"] {
            assert!(among.file(&home.join(refused)).is_err(), "{refused}");
        }
    }
}
