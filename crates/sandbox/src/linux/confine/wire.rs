//! A confinement on its way to stage 1: fields ended by a zero byte, counts before what is counted.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::{Account, Bounds, Confinement, Layer, Network, Scratch, Text};

/// The fields of a confinement: `-` for none.
pub(in super::super) fn fields(confinement: Option<&Confinement>) -> Vec<Vec<u8>> {
    let Some(Confinement { files, network, no_listening, bounds, account }) = confinement else {
        return vec![b"-".to_vec()];
    };
    let mut fields = vec![b"confined".to_vec()];
    let mut say = |word: &[u8]| fields.push(word.to_vec());
    match network {
        Network::Host => say(b"host"),
        Network::Own { doors } => {
            say(b"own");
            say(doors.len().to_string().as_bytes());
            for door in doors {
                say(door.to_string().as_bytes());
            }
        }
    }
    say(if *no_listening { b"silent" } else { b"listens" });
    for bound in [bounds.cpu, bounds.memory, bounds.processes, bounds.file_size, bounds.in_memory] {
        say(bound.map_or("-".to_owned(), |most| most.to_string()).as_bytes());
    }
    match account {
        None => say(b"-"),
        Some(Account { user, group }) => {
            say(user.to_string().as_bytes());
            say(group.to_string().as_bytes());
        }
    }
    match files {
        None => say(b"-"),
        Some(layers) => {
            say(layers.len().to_string().as_bytes());
            for layer in layers {
                lay(layer, &mut say);
            }
        }
    }
    fields
}

fn lay(layer: &Layer, say: &mut impl FnMut(&[u8])) {
    let (word, path) = match layer {
        Layer::Private(path) => ("private", path),
        Layer::Empty(path) => ("empty", path),
        Layer::Shown(path) => ("shown", path),
        Layer::Writable(path) => ("writable", path),
        Layer::Masked(path) => ("masked", path),
        Layer::Text(text) => ("text", &text.at),
        Layer::Scratch(scratch) if scratch.writable => ("scratch", &scratch.at),
        Layer::Scratch(scratch) => ("view", &scratch.at),
    };
    say(word.as_bytes());
    say(path.as_os_str().as_bytes());
    if let Layer::Text(text) = layer {
        say(text.text.as_bytes());
    }
    if let Layer::Scratch(scratch) = layer {
        for paths in [&scratch.hidden, &scratch.folders] {
            say(paths.len().to_string().as_bytes());
            for path in paths {
                say(path.as_os_str().as_bytes());
            }
        }
    }
}

/// Reads what [`fields`] wrote; `None` when it is none of ours.
pub(in super::super) fn read<'a>(next: &mut impl FnMut() -> Option<&'a [u8]>) -> Option<Read> {
    match next()? {
        b"-" => Some(Read(None)),
        b"confined" => Some(Read(Some(confinement(next)?))),
        _ => None,
    }
}

/// What was read: a confinement, or that there is none.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Read(pub(in super::super) Option<Confinement>);

fn confinement<'a>(next: &mut impl FnMut() -> Option<&'a [u8]>) -> Option<Confinement> {
    let network = match next()? {
        b"host" => Network::Host,
        b"own" => {
            let count: usize = number(next()?)?;
            let doors = (0..count).map(|_| number(next()?)).collect::<Option<_>>()?;
            Network::Own { doors }
        }
        _ => return None,
    };
    let no_listening = match next()? {
        b"silent" => true,
        b"listens" => false,
        _ => return None,
    };
    let mut bound = || match next()? {
        b"-" => Some(None),
        most => number(most).map(Some),
    };
    let bounds = Bounds {
        cpu: bound()?,
        memory: bound()?,
        processes: bound()?,
        file_size: bound()?,
        in_memory: bound()?,
    };
    let account = match next()? {
        b"-" => None,
        user => Some(Account { user: number(user)?, group: number(next()?)? }),
    };
    let files = match next()? {
        b"-" => None,
        count => {
            let count: usize = number(count)?;
            Some((0..count).map(|_| layer(next)).collect::<Option<_>>()?)
        }
    };
    Some(Confinement { files, network, no_listening, bounds, account })
}

fn layer<'a>(next: &mut impl FnMut() -> Option<&'a [u8]>) -> Option<Layer> {
    let word = next()?;
    let at = path(next()?);
    Some(match word {
        b"private" => Layer::Private(at),
        b"empty" => Layer::Empty(at),
        b"shown" => Layer::Shown(at),
        b"writable" => Layer::Writable(at),
        b"masked" => Layer::Masked(at),
        b"text" => Layer::Text(Text { at, text: str::from_utf8(next()?).ok()?.to_owned() }),
        b"scratch" | b"view" => {
            let mut paths = || -> Option<Vec<PathBuf>> {
                let count: usize = number(next()?)?;
                (0..count).map(|_| next().map(path)).collect()
            };
            let (hidden, folders) = (paths()?, paths()?);
            Layer::Scratch(Scratch { at, hidden, folders, writable: word == b"scratch" })
        }
        _ => return None,
    })
}

fn path(bytes: &[u8]) -> PathBuf {
    Path::new(OsStr::from_bytes(bytes)).to_owned()
}

fn number<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    str::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Read, fields, read};
    use crate::{Account, Bounds, Confinement, Layer, Network, Scratch, Text};

    #[test]
    fn every_confinement_reads_back() {
        let scratch = |writable| {
            Layer::Scratch(Scratch {
                at: "/w".into(),
                hidden: vec![".env".into(), "a/b".into()],
                folders: vec!["target".into()],
                writable,
            })
        };
        let layers = vec![
            Layer::Private("/tmp".into()),
            Layer::Empty("/w/.own".into()),
            Layer::Shown("/w/x y".into()),
            Layer::Writable("/w".into()),
            scratch(true),
            scratch(false),
            Layer::Masked("/w/.env".into()),
            Layer::Text(Text { at: "/etc/x".into(), text: "a:b\nc\n".to_owned() }),
        ];
        let bounds = Bounds {
            cpu: Some(3),
            memory: None,
            processes: Some(9),
            file_size: None,
            in_memory: Some(7),
        };
        let own = Network::Own { doors: vec![3128, 4000] };
        for confinement in [
            None,
            Some(Confinement::default()),
            Some(Confinement {
                files: Some(Vec::new()),
                network: own.clone(),
                ..Default::default()
            }),
            Some(Confinement {
                files: Some(layers),
                network: own,
                no_listening: true,
                bounds,
                account: Some(Account { user: 4321, group: 0 }),
            }),
        ] {
            let written = fields(confinement.as_ref());
            let mut each = written.iter().map(Vec::as_slice);
            assert_eq!(read(&mut || each.next()), Some(Read(confinement)));
            assert_eq!(each.next(), None);
        }
    }
}
