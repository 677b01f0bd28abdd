//! The loopback server: a thread a connection, every request logged, bounded in what it serves.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::http::{self, Request};
use super::turn::{Answer, Model, Reply};
use super::{messages, responses};
use crate::script::Script;

/// How to serve.
#[derive(Debug, Default)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Gets one JSON object a line for every request, credentials only as a fingerprint.
    pub log: Option<PathBuf>,
    /// After so many requests the server's time is over.
    pub max_requests: Option<u64>,
}

/// Why the server's time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The caller, or the end of its input, says so.
    Asked,
    /// `max_requests` were served.
    Requests,
    /// The time given to [`Server::wait`] is over.
    Time,
}

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct Server {
    port: u16,
    stopping: Arc<AtomicBool>,
    end: Sender<Ended>,
    ended: Receiver<Ended>,
}

impl Server {
    /// Listens, and serves from threads of its own.
    ///
    /// # Errors
    /// The port is taken, or the log cannot be opened.
    pub fn start(script: Script, options: &Options) -> io::Result<Self> {
        let log = match &options.log {
            Some(path) => Some(OpenOptions::new().create(true).append(true).open(path)?),
            None => None,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        let port = listener.local_addr()?.port();
        let (end, ended) = mpsc::channel();
        let stopping = Arc::new(AtomicBool::new(false));
        let desk = Arc::new(Desk {
            model: Model::new(script),
            stopping: Arc::clone(&stopping),
            log: Mutex::new(log),
            started: Instant::now(),
            served: AtomicU64::new(0),
            max_requests: options.max_requests,
            end: end.clone(),
        });
        let stop = Arc::clone(&stopping);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let (Ok(stream), desk) = (stream, Arc::clone(&desk)) else { continue };
                // A peer that goes away in between is its own affair: it shows in its result.
                thread::spawn(move || drop(desk.serve(stream)));
            }
        });
        Ok(Self { port, stopping, end, ended })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where others can say that it shall end.
    pub fn end(&self) -> Sender<Ended> {
        self.end.clone()
    }

    /// Waits until its time is over, at the longest so long.
    pub fn wait(&self, limit: Duration) -> Ended {
        match self.ended.recv_timeout(limit) {
            Ok(ended) => ended,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ended::Time,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // The listener looks at the flag when somebody connects.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

/// What the connections share.
struct Desk {
    model: Model,
    stopping: Arc<AtomicBool>,
    log: Mutex<Option<File>>,
    started: Instant,
    served: AtomicU64,
    max_requests: Option<u64>,
    end: Sender<Ended>,
}

impl Desk {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PEER_TIMEOUT))?;
        stream.set_write_timeout(Some(PEER_TIMEOUT))?;
        let Some(request) = Request::read(&mut stream)? else { return Ok(()) };
        let serial = self.served.fetch_add(1, Ordering::SeqCst) + 1;
        let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let sent = match route(&request) {
            Route::Model(api) => {
                let said = match api {
                    Api::Responses => responses::read(&body),
                    Api::Messages => messages::read(&body),
                };
                let answer = self.model.answer(&said);
                self.speak(&mut stream, api, serial, (&request, &body), &said.prompt, &answer)
            }
            Route::Fixed(what) => {
                self.note(serial, &request, &body, None, &Answer::refusal(200, "fixed"))?;
                let headers = BTreeMap::new();
                http::respond(&mut stream, 200, &headers, what.to_string().as_bytes())
            }
            Route::None(status, message) => {
                let answer = Answer::refusal(status, message);
                self.note(serial, &request, &body, None, &answer)?;
                self.send(&mut stream, Api::Responses, &answer.reply, serial, &body)
            }
        };
        if self.max_requests.is_some_and(|max| serial >= max) {
            // Nobody waiting any more is as good.
            let _ = self.end.send(Ended::Requests);
        }
        sent
    }

    /// Notes an answer of the model and gives it.
    fn speak(
        &self,
        stream: &mut TcpStream,
        api: Api,
        serial: u64,
        (request, body): (&Request, &Value),
        prompt: &str,
        answer: &Answer,
    ) -> io::Result<()> {
        // A silence is in the log once all that comes before it has gone out.
        let silent = matches!(answer.reply, Reply::Silent(_));
        if silent {
            self.send(stream, api, &answer.reply, serial, body)?;
        }
        self.note(serial, request, body, Some(prompt), answer)?;
        if silent {
            self.outlast(stream);
            return stream.shutdown(Shutdown::Both);
        }
        self.send(stream, api, &answer.reply, serial, body)
    }

    /// Appends a request and its answer to the log.
    fn note(
        &self,
        n: u64,
        request: &Request,
        body: &Value,
        prompt: Option<&str>,
        answer: &Answer,
    ) -> io::Result<()> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(log) = log.as_mut() else { return Ok(()) };
        let shown = |(name, value): &(String, String)| {
            let secret = SECRETS.iter().any(|part| name.contains(part));
            let value = if secret { fingerprint(value) } else { value.clone() };
            (name.clone(), Value::String(value))
        };
        let headers: Map<String, Value> = request.headers.iter().map(shown).collect();
        let reply = match &answer.reply {
            Reply::Call { id, arguments, .. } => json!({ "call": arguments, "id": id }),
            Reply::Say(text) => json!({ "say": text }),
            Reply::Cut => json!("cut"),
            Reply::Hang => json!("hang"),
            Reply::Mute => json!("mute"),
            Reply::Stream(text) => json!({ "stream": text }),
            Reply::Silent(_) => json!("silent"),
            Reply::Refuse { refusal, .. } => match refusal.reset {
                Some(reset) => json!({ "status": refusal.status, "reset": reset }),
                None => json!({ "status": refusal.status }),
            },
        };
        let row = json!({
            "n": n, "time": millis_of_now(), "ms": u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "method": request.method, "path": request.path, "headers": headers, "body": body,
            "prompt": prompt, "rule": answer.rule, "reply": reply,
        });
        log.write_all(format!("{row}\n").as_bytes())
    }

    fn send(
        &self,
        stream: &mut TcpStream,
        api: Api,
        reply: &Reply,
        serial: u64,
        body: &Value,
    ) -> io::Result<()> {
        if let Reply::Refuse { refusal, message } = reply {
            let default = || match api {
                Api::Responses => json!({ "error": { "type": "scripted", "message": message } }),
                Api::Messages => messages::error(refusal.status, message),
            };
            let body = refusal.body.clone().unwrap_or_else(default).to_string();
            return http::respond(stream, refusal.status, &refusal.headers, body.as_bytes());
        }
        match reply {
            Reply::Mute => {
                self.outlast(stream);
                return stream.shutdown(Shutdown::Both);
            }
            Reply::Stream(text) => {
                http::respond_stream(stream, text.as_bytes())?;
                return stream.shutdown(Shutdown::Both);
            }
            _ => {}
        }
        let model = &body["model"];
        let at_once = matches!(reply, Reply::Call { .. } | Reply::Say(_));
        if matches!(reply, Reply::Silent(None)) {
            return Ok(());
        }
        match api {
            Api::Responses => {
                http::respond_stream(stream, &responses::stream(reply, serial, model))?;
            }
            Api::Messages if body["stream"] == true => {
                http::respond_stream(stream, &messages::stream(reply, serial, model))?;
            }
            Api::Messages if at_once => {
                let body = messages::message(reply, serial, model).to_string();
                http::respond(stream, 200, &BTreeMap::new(), body.as_bytes())?;
            }
            Api::Messages => {}
        }
        if matches!(reply, Reply::Hang) {
            self.outlast(stream);
        }
        if matches!(reply, Reply::Silent(_)) { Ok(()) } else { stream.shutdown(Shutdown::Both) }
    }

    /// Says nothing until the peer has gone, or the server goes.
    fn outlast(&self, stream: &mut TcpStream) {
        let mut buffer = [0; 1024];
        while !self.stopping.load(Ordering::SeqCst) {
            match stream.read(&mut buffer) {
                Ok(0) => return,
                Err(error) if !PATIENT.contains(&error.kind()) => return,
                Ok(_) | Err(_) => {}
            }
        }
    }
}

/// The language a request is in.
#[derive(Clone, Copy)]
enum Api {
    Responses,
    Messages,
}

enum Route {
    Model(Api),
    /// Always the same.
    Fixed(Value),
    None(u16, &'static str),
}

fn route(request: &Request) -> Route {
    let path = request.path.split('?').next().unwrap_or_default();
    let websocket =
        request.header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    match request.method.as_str() {
        _ if websocket => Route::None(426, "no WebSocket here; use the event stream"),
        "POST" if path.ends_with("/v1/responses") => Route::Model(Api::Responses),
        "POST" if path.ends_with("/v1/messages") => Route::Model(Api::Messages),
        "POST" if path.ends_with("/v1/messages/count_tokens") => {
            Route::Fixed(json!({ "input_tokens": 100 }))
        }
        "GET" if path.ends_with("/v1/models") => {
            Route::Fixed(json!({ "object": "list", "data": [], "models": [] }))
        }
        _ => Route::None(404, "no such path"),
    }
}

/// Milliseconds since the epoch.
fn millis_of_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// What the log has of a credential.
pub fn fingerprint(secret: &str) -> String {
    let digest = Sha256::digest(secret.as_bytes());
    let start = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    format!("fingerprint:{start:08x}")
}

/// A read that only took too long.
const PATIENT: [io::ErrorKind; 3] =
    [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut, io::ErrorKind::Interrupted];

/// Parts of the names of headers that carry credentials.
const SECRETS: [&str; 3] = ["authorization", "api-key", "cookie"];

/// How long a peer may take to send its request or to take the answer.
const PEER_TIMEOUT: Duration = Duration::from_secs(30);
