//! One attempt, made once.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::{Map, Value, json};

use super::adapter::{Adapter, Caller, Network};
use super::attempt::{Attempt, Judge};
use super::ground::Ground;
use super::listeners::Listeners;
use super::seen::{Lookout, speaking_of, tree};
use super::{Error, doing};

/// The longest that an attempt may take.
const LONGEST: Duration = Duration::from_secs(25);

/// Stands before every attempt. Whether it began at all is seen by what it says first.
const BEFORE: &str = "echo began-@mark@ >&2\n\
    ready() { touch src/ready; n=0; while [ ! -e src/go ] && [ $n -lt 100 ]; do n=$((n+1)); sleep 0.05; done; }\n";

/// What came of it.
pub(super) struct Seen {
    /// By the host's judgement.
    pub(super) succeeded: bool,
    /// The commands inside were reached.
    pub(super) began: bool,
    pub(super) code: Option<i32>,
    /// The end of its errors, for people.
    pub(super) said: String,
    /// Why the host could not even prepare it.
    pub(super) unprepared: Option<String>,
}

/// Names that the proxy is told to take to our listeners.
const NAMES: &[(&str, &str)] = &[
    ("allowed.test", "allowed"),
    ("ok.wild.test", "allowed"),
    ("foreign.test", "foreign"),
    ("bad.wild.test", "foreign"),
    ("evilallowed.test", "foreign"),
    ("allowed.test.foreign.test", "foreign"),
];

/// The suite's policy, with the attempt's keys in place of it.
fn policy(attempt: &Attempt, network: Network, ground: &Ground) -> String {
    let mut policy = Map::new();
    policy.insert("sandbox_mode".into(), json!("workspace_write"));
    policy.insert("allow_write".into(), json!(["src", "tests"]));
    policy.insert("deny_read".into(), json!([".env", ".secrets/**", "**/.env"]));
    policy.insert("network".into(), json!(network.to_string()));
    if network == Network::Limited {
        policy.insert("network_domains".into(), json!(["allowed.test", "*.wild.test"]));
        policy.insert("deny_network_domains".into(), json!(["bad.wild.test"]));
    }
    policy.extend(attempt.policy.clone());
    if policy["sandbox_mode"] == "read_only" {
        policy.remove("allow_write");
    }
    ground.fill(&Value::Object(policy).to_string())
}

/// Makes the attempt once, on a ground of its own.
pub(super) fn once(
    attempt: &Attempt,
    adapter: &Adapter,
    caller: Caller,
    network: Network,
    base: &Path,
) -> Result<Seen, Error> {
    let mut ground = Ground::make(base, caller)?;
    let limited = network == Network::Limited;
    let wanted = |name: &str| {
        attempt.mentions(&format!("@{name}@"))
            || (name == "allowed" || name == "foreign") && (limited || attempt.is_limited())
            || name == "abstract-dgram" && attempt.mentions("@abstract@")
    };
    let ears =
        doing("start the listeners", Listeners::start(&ground.path(), &ground.mark, wanted))?;
    ground.words.extend(ears.places.clone());
    ground.words.insert("address".to_owned(), "127.0.0.1".to_owned());
    ground.words.insert("disk".to_owned(), disk());
    let mut resolve = Vec::new();
    if limited || attempt.is_limited() {
        resolve.extend(
            NAMES.iter().map(|(host, ear)| format!("{host}=127.0.0.1:{}", ears.places[*ear])),
        );
    }
    let mut helpers = Helpers(Vec::new());
    if attempt.mentions("@victim@") {
        helpers.0.push(ground.victim()?);
    }
    if matches!(adapter, Adapter::Bare) && attempt.is_limited() {
        helpers.0.push(ground.open_proxy(&resolve)?);
    }
    let prepared = doing("prepare the attempt", ground.host(&attempt.host))?;
    if !prepared.status.success() {
        let unprepared = Some(format!("the host cannot prepare it: {}", tail(&prepared.said)));
        return Ok(Seen {
            succeeded: false,
            began: false,
            code: None,
            said: String::new(),
            unprepared,
        });
    }
    let seen = started(attempt, adapter, caller, network, &ground, &resolve);
    drop(ground.host(&attempt.after));
    for pid in speaking_of(&ground.mark)
        .into_iter()
        .chain(speaking_of(&ground.path().display().to_string()))
    {
        let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    seen
}

/// From the start of the command to the judgement.
fn started(
    attempt: &Attempt,
    adapter: &Adapter,
    caller: Caller,
    network: Network,
    ground: &Ground,
    resolve: &[String],
) -> Result<Seen, Error> {
    let at = ground.path();
    let policy_file = at.join("policy.yaml");
    doing("write the policy", fs::write(&policy_file, policy(attempt, network, ground)))?;
    let inside = ground.fill(&format!("{BEFORE}{}", attempt.inside));
    let words = adapter.words(attempt, caller, &policy_file, &ground.work(), resolve, &inside);
    let wrap = format!("{}\nexec \"$@\"", ground.fill(&attempt.wrap));
    let mut all = ["sh", "-c", &wrap, "launch"].map(str::to_owned).to_vec();
    all.extend(words);
    let mut command = ground.command(&all);
    let (out, err) = (at.join("out"), at.join("err"));
    command.stdout(doing("keep the output", File::create(&out))?);
    command.stderr(doing("keep the errors", File::create(&err))?);
    command.process_group(0);
    if let Some(port) = ground.words.get("proxy") {
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            command.env(name, format!("http://127.0.0.1:{port}"));
        }
        command.env("NO_PROXY", "localhost,127.0.0.1,::1");
        command.env("ALL_PROXY", format!("socks5h://127.0.0.1:{port}"));
    }
    let changed = match &attempt.judge {
        Judge::Changed(path) => Some(ground.work().join(ground.fill(path))),
        _ => None,
    };
    let before = changed.as_deref().map(tree);
    let lookout = match &attempt.judge {
        Judge::Opened(name) => Some(Lookout::new(&ground.fill(name), &at)),
        _ => None,
    };
    let mut child = doing("start the attempt", command.spawn())?;
    let status = attend(&mut child, attempt, ground)?;
    let [out, err] = [out, err].map(|path| fs::read(path).unwrap_or_default());
    let opened = lookout.is_some_and(Lookout::seen);
    let has =
        |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    let host = |text: &str| doing("judge", ground.host(text)).map(|done| done.status.success());
    let succeeded = match &attempt.judge {
        Judge::Printed => has(&out, &ground.secret) || has(&err, &ground.secret),
        Judge::Survives => {
            thread::sleep(Duration::from_millis(500));
            !speaking_of(&ground.mark).is_empty()
        }
        Judge::Changed(_) => before != changed.as_deref().map(tree),
        Judge::Host(text) => host(text)?,
        Judge::Heard(heard) => {
            thread::sleep(Duration::from_millis(60));
            let (by, text) = heard.parts();
            let got = fs::read(at.join("heard").join(by)).unwrap_or_default();
            text.map_or(!got.is_empty(), |text| has(&got, &ground.fill(text)))
        }
        Judge::Opened(_) => opened,
        Judge::LongerThan(length) => out.len() > *length,
        Judge::Works => {
            thread::sleep(Duration::from_millis(20));
            status.success() && host(&attempt.then)?
        }
    };
    let err = String::from_utf8_lossy(&err).into_owned();
    let began = format!("began-{}", ground.mark);
    Ok(Seen {
        succeeded,
        began: err.contains(&began),
        code: status.code().or_else(|| status.signal().map(|it| 128 + it)),
        said: tail(&err.replace(&began, "").replace(&at.display().to_string(), "…")),
        unprepared: None,
    })
}

/// Waits for the end; does the host's part when it is time; ends what takes too long.
fn attend(child: &mut Child, attempt: &Attempt, ground: &Ground) -> Result<ExitStatus, Error> {
    let begun = Instant::now();
    let ready = ground.work().join("src/ready");
    let mut owed = !attempt.during.is_empty();
    loop {
        if let Some(status) = doing("wait for the attempt", child.try_wait())? {
            return Ok(status);
        }
        if owed && ready.exists() {
            owed = false;
            doing("do the host's part", ground.host(&attempt.during))?;
            doing("say that it is done", fs::write(ground.work().join("src/go"), ""))?;
        }
        if begun.elapsed() > LONGEST {
            let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
            let _gone = killpg(group, Signal::SIGKILL);
            return doing("wait for the attempt", child.wait());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The last words of a text, on one line.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = lines[lines.len().saturating_sub(2)..].join(" / ").replace('|', "¦");
    let from = line.char_indices().rev().nth(219).map_or(0, |(at, _)| at);
    line[from..].to_owned()
}

/// The device of the root.
fn disk() -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let at_root = |line: &str| {
        let mut words = line.split(' ');
        let device = words.next()?.to_owned();
        (words.next()? == "/").then_some(device)
    };
    mounts.lines().find_map(at_root).unwrap_or_else(|| "no disk".to_owned())
}

/// Processes of the host that end with the trial.
struct Helpers(Vec<Child>);

impl Drop for Helpers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
