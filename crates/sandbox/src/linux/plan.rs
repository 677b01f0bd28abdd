//! The plan of a launch on its way to stage 1: through a socket, never through arguments or
//! environment, where others could read it.

use std::ffi::{CString, OsStr};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::confine::{Kind, wire};
use super::sys;
use crate::{Account, Confinement, Containment, Error, Launch};

/// A launch as init and the agent need it.
pub(super) struct Plan {
    pub(super) cwd: CString,
    pub(super) program: CString,
    /// With the program's name first.
    pub(super) argv: Vec<CString>,
    /// Each `NAME=value`.
    pub(super) env: Vec<CString>,
    pub(super) confinement: Option<Confinement>,
}

/// Writes a launch as stage 1 reads it.
///
/// # Shape
/// Fields, each ended by a zero byte: containment, mark (empty: none), kind, account, working directory, program,
/// count of arguments, the arguments, the confinement, then one `NAME=value` for each variable.
pub(super) fn encode(launch: &Launch) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut field = |part, parts: &[&OsStr]| {
        if parts.iter().any(|p| p.as_bytes().contains(&0)) {
            return Err(Error::Unusable { part, what: "a zero byte" });
        }
        for part in parts {
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes.push(0);
        Ok(())
    };
    let containment = match launch.containment {
        Containment::Auto => "auto",
        Containment::Namespace => "namespace",
        Containment::Subreaper => "subreaper",
    };
    field("containment", &[OsStr::new(containment)])?;
    field("mark", &[launch.mark.as_deref().map_or(OsStr::new(""), Path::as_os_str)])?;
    let kind = [Kind::of(launch.confinement.as_ref()).byte()];
    field("kind", &[OsStr::from_bytes(&kind)])?;
    let account = launch.confinement.as_ref().and_then(|it| it.account);
    let account = account.map_or_else(String::new, |it| format!("{}:{}", it.user, it.group));
    field("account", &[OsStr::new(&account)])?;
    // The fork server has a directory of its own: a relative one means Botpipe's, of this moment.
    let own = launch.cwd.is_relative() && !launch.cwd.as_os_str().is_empty();
    let cwd = match own.then(std::env::current_dir).transpose() {
        Ok(own) => own.map_or_else(|| launch.cwd.clone(), |own| own.join(&launch.cwd)),
        Err(source) => return Err(Error::WorkingDirectory { path: launch.cwd.clone(), source }),
    };
    field("working directory", &[cwd.as_os_str()])?;
    field("program", &[launch.program.as_os_str()])?;
    field("arguments", &[OsStr::new(&launch.args.len().to_string())])?;
    for argument in &launch.args {
        field("arguments", &[argument.as_os_str()])?;
    }
    for part in wire::fields(launch.confinement.as_ref()) {
        field("confinement", &[OsStr::from_bytes(&part)])?;
    }
    for (name, value) in &launch.env {
        if name.is_empty() || name.as_bytes().contains(&b'=') {
            let what = "a variable whose name is empty or holds `=`";
            return Err(Error::Unusable { part: "environment", what });
        }
        field("environment", &[name.as_os_str(), OsStr::new("="), value.as_os_str()])?;
    }
    Ok(bytes)
}

/// The agent's standard descriptors, and where init hands out the listeners of its network.
pub(super) const DESCRIPTORS: usize = 4;

/// Sends an encoded launch with its descriptors, to stage 1 and on to init.
pub(super) fn send(
    mut to: &UnixStream,
    bytes: &[u8],
    descriptors: [BorrowedFd<'_>; DESCRIPTORS],
) -> io::Result<()> {
    let size = (bytes.len() as u64).to_ne_bytes();
    sys::send_with_descriptors(to.as_fd(), &size, descriptors)?;
    to.write_all(bytes)
}

/// Receives what [`send`] sent.
pub(super) fn receive(from: &mut UnixStream) -> io::Result<(Vec<u8>, [OwnedFd; DESCRIPTORS])> {
    let (size, descriptors) = sys::receive_with_descriptors(from.as_fd())?;
    let size = usize::try_from(u64::from_ne_bytes(size)).map_err(io::Error::other)?;
    let mut bytes = vec![0; size];
    from.read_exact(&mut bytes)?;
    Ok((bytes, descriptors))
}

/// How the descendants shall be held together, by the first field of an encoded launch.
pub(super) fn containment_of(bytes: &[u8]) -> Option<Containment> {
    match bytes.split(|b| *b == 0).next()? {
        b"auto" => Some(Containment::Auto),
        b"namespace" => Some(Containment::Namespace),
        b"subreaper" => Some(Containment::Subreaper),
        _ => None,
    }
}

/// The file to make when nobody was left to hear the end, by the second field.
pub(super) fn mark_of(bytes: &[u8]) -> Option<&Path> {
    let mark = bytes.split(|b| *b == 0).nth(1).filter(|mark| !mark.is_empty())?;
    Some(Path::new(OsStr::from_bytes(mark)))
}

/// What of the launch could be made ahead, by the third field.
pub(super) fn kind_of(bytes: &[u8]) -> Option<Kind> {
    Kind::from_byte(*bytes.split(|b| *b == 0).nth(2)?.first()?)
}

/// Who the program is, by the fourth field; `None`: whoever starts it.
pub(super) fn account_of(bytes: &[u8]) -> Option<Account> {
    let field = str::from_utf8(bytes.split(|b| *b == 0).nth(3)?).ok()?;
    let (user, group) = field.split_once(':')?;
    Some(Account { user: user.parse().ok()?, group: group.parse().ok()? })
}

/// Reads what [`encode`] wrote.
pub(super) fn decode(bytes: &[u8]) -> Option<Plan> {
    containment_of(bytes)?;
    let mut fields = bytes.strip_suffix(&[0])?.split(|b| *b == 0).skip(4);
    let mut text = || fields.next();
    let mut next = || text().and_then(|f| CString::new(f).ok());
    let (cwd, program) = (next()?, next()?);
    let count: usize = next()?.to_str().ok()?.parse().ok()?;
    let mut argv = vec![program.clone()];
    for _ in 0..count {
        argv.push(next()?);
    }
    let confinement = wire::read(&mut text)?.0;
    let env = fields.map(|f| CString::new(f).ok()).collect::<Option<_>>()?;
    Some(Plan { cwd, program, argv, env, confinement })
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::path::Path;

    use super::{Kind, account_of, containment_of, decode, encode, kind_of, mark_of};
    use crate::{Account, Confinement, Containment, Error, Launch};

    fn launch() -> Launch {
        Launch {
            program: "agent".into(),
            args: vec!["".into(), "two words".into(), "".into()],
            cwd: "/tmp".into(),
            env: vec![("A".into(), "x=y".into()), ("EMPTY".into(), "".into())],
            containment: Containment::Subreaper,
            stage1: None,
            mark: Some("/tmp/mark".into()),
            confinement: None,
        }
    }

    #[test]
    fn empty_arguments_and_values_arrive() {
        let bytes = encode(&launch()).unwrap();
        assert_eq!(containment_of(&bytes), Some(Containment::Subreaper));
        assert_eq!(mark_of(&bytes), Some(Path::new("/tmp/mark")));
        assert_eq!(kind_of(&bytes), Some(Kind::of(None)));
        assert_eq!(account_of(&bytes), None);
        let account = Some(Account { user: 4321, group: 0 });
        let confinement = Some(Confinement { account, ..Confinement::default() });
        assert_eq!(account_of(&encode(&Launch { confinement, ..launch() }).unwrap()), account);
        assert_eq!(mark_of(&encode(&Launch { mark: None, ..launch() }).unwrap()), None);
        let plan = decode(&bytes).unwrap();
        assert_eq!(plan.argv, [c"agent", c"", c"two words", c""].map(CString::from));
        assert_eq!(plan.env, [c"A=x=y", c"EMPTY="].map(CString::from));
    }

    #[test]
    fn what_no_program_can_be_given_is_refused_before_anything_starts() {
        let mut zero = launch();
        zero.args.push("a\0b".into());
        assert!(matches!(encode(&zero), Err(Error::Unusable { part: "arguments", .. })));
        let mut name = launch();
        name.env.push(("A=B".into(), "".into()));
        assert!(matches!(encode(&name), Err(Error::Unusable { part: "environment", .. })));
    }
}
