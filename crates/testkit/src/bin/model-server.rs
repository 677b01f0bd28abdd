//! Serves a scripted model on loopback until its input closes or a bound is reached.

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use botpipe_testkit::model::{Ended, Options, Script, Server};

const USAGE: &str = "usage: model-server --script FILE [--port N] [--port-file FILE] [--log FILE] \
[--max-requests N] [--max-seconds N]";

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // With nowhere left to say it, the exit code has to do.
            drop(writeln!(io::stderr(), "model-server: {message}"));
            ExitCode::from(2)
        }
    }
}

fn serve() -> Result<(), String> {
    let wanted = Wanted::parse(std::env::args().skip(1))?;
    let script = Script::load(&wanted.script).map_err(|error| in_full(&error))?;
    let server = Server::start(script, &wanted.options).map_err(|error| in_full(&error))?;
    if let Some(path) = &wanted.port_file {
        // Renamed into place, so that whoever waits for the file reads it whole.
        let temporary = path.with_extension("tmp");
        std::fs::write(&temporary, format!("{}\n", server.port()))
            .and_then(|()| std::fs::rename(&temporary, path))
            .map_err(|error| in_full(&error))?;
    }
    say(&format!("serving on http://127.0.0.1:{}/v1", server.port()));
    let end = server.end();
    thread::spawn(move || {
        let mut buffer = [0; 1024];
        while io::stdin().read(&mut buffer).is_ok_and(|count| count > 0) {}
        // Nobody waiting any more is as good.
        let _ = end.send(Ended::Asked);
    });
    let why = match server.wait(wanted.max_time) {
        Ended::Asked => "its input was closed",
        Ended::Requests => "it served as many requests as asked for",
        Ended::Time => "its time is over",
    };
    say(&format!("stopped: {why}"));
    Ok(())
}

/// The command line.
struct Wanted {
    script: PathBuf,
    port_file: Option<PathBuf>,
    max_time: Duration,
    options: Options,
}

impl Wanted {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut script = None;
        let mut port_file = None;
        let mut max_time = DEFAULT_TIME;
        let mut options = Options::default();
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("`{word}` has no value; {USAGE}"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("`{value}` is no number"));
            match word.as_str() {
                "--script" => script = Some(PathBuf::from(&value)),
                "--port" => {
                    options.port = value.parse().map_err(|_| format!("`{value}` is no port"))?;
                }
                "--port-file" => port_file = Some(PathBuf::from(&value)),
                "--log" => options.log = Some(PathBuf::from(&value)),
                "--max-requests" => options.max_requests = Some(number()?),
                "--max-seconds" => max_time = Duration::from_secs(number()?),
                _ => return Err(format!("`{word}` is unknown; {USAGE}")),
            }
        }
        let script = script.ok_or_else(|| format!("no script is given; {USAGE}"))?;
        Ok(Self { script, port_file, max_time, options })
    }
}

fn say(line: &str) {
    // A closed stderr must not stop the server.
    drop(writeln!(io::stderr(), "model-server: {line}"));
}

/// An error with its causes.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

/// How long the server lives unless told otherwise.
const DEFAULT_TIME: Duration = Duration::from_hours(1);
