//! `botpipe rpc`: runs moved, and functions called, by a program on the other side of two pipes.

mod host;
mod methods;
mod runs;
mod shapes;
mod wire;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use botpipe_engine::Engine;
use botpipe_engine::process::StopSwitch;
use botpipe_kernel::ids::FunctionName;
use serde::Deserialize;
use serde_json::{Value, json};

use host::Functions;
use runs::Runs;
use wire::{Fault, Incoming, Outgoing, read};

/// Version of the protocol.
pub(crate) const PROTOCOL: u32 = 1;

/// Longest line that is taken, in bytes.
const LONGEST_LINE: u64 = 64 << 20;

/// What the other side says first.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    protocol: u32,
    #[serde(default)]
    client: Value,
    #[serde(default)]
    workspace: Option<PathBuf>,
    #[serde(default)]
    functions: BTreeSet<FunctionName>,
}

/// What a session works with.
#[derive(Clone)]
pub(crate) struct Session {
    out: Outgoing,
    engine: Engine,
    workspace: PathBuf,
    functions: Arc<Functions>,
    runs: Runs,
}

/// Serves until the other side closes its pipe, asks for the end, or `stop` is thrown. Runs that move
/// then are stopped in order, to be resumed.
///
/// # Errors
/// A pipe that cannot be read.
pub(crate) fn serve(
    input: impl Read + Send + 'static,
    out: Box<dyn std::io::Write + Send>,
    workspace: &Path,
    stop: &StopSwitch,
) -> std::io::Result<()> {
    let out = Outgoing::new(out)?;
    let runs = Runs::default();
    let (lines, heard) = std::sync::mpsc::channel();
    thread::Builder::new().name("rpc".to_owned()).spawn(move || {
        let mut input = BufReader::new(input);
        loop {
            let mut line = Vec::new();
            let read = (&mut input).take(LONGEST_LINE).read_until(b'\n', &mut line);
            let over = matches!(read, Ok(0) | Err(_));
            if over || lines.send(line).is_err() {
                return;
            }
        }
    })?;
    let mut session = None;
    while let Some(line) = next(&heard, stop) {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match read(&line) {
            Incoming::Broken { id, fault } => out.error(&id, &fault),
            Incoming::Reply { id, result } => {
                if let Some(Session { functions, .. }) = &session {
                    functions.returned(id, result);
                }
            }
            Incoming::Notification { method, params } => {
                if let Some(Session { functions, .. }) = &session {
                    functions.noticed(&method, &params);
                }
            }
            Incoming::Request { id, method, params } if method == "initialize" => {
                match begin(session.is_some(), &out, &runs, workspace, params) {
                    Ok(begun) => {
                        out.result(&id, &hello(&begun));
                        session = Some(begun);
                    }
                    Err(fault) => out.error(&id, &fault),
                }
            }
            Incoming::Request { id, method, .. } if method == "shutdown" => {
                runs.end(SIGTERM);
                out.result(&id, &Value::Null);
                out.settle(PATIENCE);
                return Ok(());
            }
            Incoming::Request { id, method, params } => match &session {
                Some(session) => methods::answer(session, id, &method, params),
                None => out.error(&id, &Fault::request("say `initialize` first")),
            },
        }
    }
    runs.end(stop.requested().unwrap_or(SIGTERM));
    out.settle(PATIENCE);
    Ok(())
}

/// The next line; `None`: the other side is gone, or it is time to end.
fn next(heard: &std::sync::mpsc::Receiver<Vec<u8>>, stop: &StopSwitch) -> Option<Vec<u8>> {
    use std::sync::mpsc::RecvTimeoutError;
    loop {
        if stop.requested().is_some() {
            return None;
        }
        match heard.recv_timeout(Duration::from_millis(100)) {
            Ok(line) => return Some(line),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

fn begin(
    again: bool,
    out: &Outgoing,
    runs: &Runs,
    workspace: &Path,
    params: Value,
) -> Result<Session, Fault> {
    if again {
        return Err(Fault::request("`initialize` was said before"));
    }
    let Hello { protocol, client, workspace: named, functions } = wire::params(params)?;
    if protocol != PROTOCOL {
        return Err(Fault::params(format!(
            "protocol {protocol} is not spoken here: this version speaks {PROTOCOL}"
        )));
    }
    if !client.is_null() && !client.is_object() {
        return Err(Fault::params("`client` is an object, such as {\"name\": \"my-host\"}"));
    }
    let workspace = named.unwrap_or_else(|| workspace.to_owned());
    let functions = Arc::new(Functions::new(out.clone(), functions));
    let engine = Engine::open_hosted(&workspace, functions.clone()).map_err(Fault::of)?;
    let workspace = engine.workspace().to_owned();
    Ok(Session { out: out.clone(), engine, workspace, functions, runs: runs.clone() })
}

fn hello(session: &Session) -> Value {
    json!({
        "protocol": PROTOCOL,
        "server": { "name": "botpipe", "version": env!("CARGO_PKG_VERSION") },
        "workspace": session.workspace,
        "methods": methods::NAMES,
    })
}

const SIGTERM: i32 = 15;

/// How long the end of a session waits for one who reads slowly.
const PATIENCE: Duration = Duration::from_secs(2);
