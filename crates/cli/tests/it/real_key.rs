//! Where the key of the real Codex and Claude Code is: the model gets it, and what runs in the sandbox does not
//! have it, by whoever looks from outside.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use botpipe_testkit::model::fingerprint;
use serde_json::{Value, json};

use crate::place::said;
use crate::real_locked::around;
use crate::{real_claude, real_codex};

/// The key that the benches have, in two pieces: what the agent is told to look for is no finding.
const KEY: [&str; 2] = ["means", "nothing"];

/// What stands in its place.
const DUMMY: &str = "the-key-stays-outside-of-the-sandbox";

/// How a harness is chosen, and how its model is to get the key.
#[derive(Clone, Copy)]
struct Way {
    agent: &'static str,
    interface: &'static str,
    variable: &'static str,
    header: &'static str,
}

const CODEX: Way = Way {
    agent: "codex",
    interface: "app_server",
    variable: "CODEX_API_KEY",
    header: "authorization",
};

const CLAUDE: Way =
    Way { agent: "claude", interface: "", variable: "ANTHROPIC_API_KEY", header: "x-api-key" };

impl Way {
    fn sent(&self) -> String {
        let key = KEY.join("-");
        if self.header == "authorization" { format!("Bearer {key}") } else { key }
    }
}

/// A bench of either, with a rule that says what the agent does.
enum Bench {
    Codex(real_codex::Bench),
    Claude(real_claude::Bench),
}

impl Bench {
    fn new(way: Way, run: &[&str]) -> Option<Self> {
        let say = "{\"outcome\": {\"tag\": \"done\", \"payload\": {}, \"route_fields\": {}}}";
        let rule = json!({ "name": "looks", "when": [], "run": run, "say": say });
        match way.agent {
            "codex" => real_codex::Bench::new(&[rule]).map(Self::Codex),
            _ => real_claude::Bench::new(&[rule]).map(Self::Claude),
        }
    }

    fn folder(&self) -> &Path {
        match self {
            Self::Codex(bench) => bench.folder.path(),
            Self::Claude(bench) => bench.folder.path(),
        }
    }

    fn log(&self) -> String {
        let path = match self {
            Self::Codex(bench) => &bench.log,
            Self::Claude(bench) => &bench.log,
        };
        fs::read_to_string(path).unwrap()
    }

    /// A run of one step under this policy; the key is in that variable alone.
    fn run(&self, way: Way, policy: &str, more: &[&str]) -> Command {
        let sop = format!("sop: 1\nname: looks\n{policy}steps: [{{ id: looks, prompt: Look. }}]\n");
        fs::write(self.folder().join("repository/looks.sop.yaml"), sop).unwrap();
        let args = ["run", "./looks.sop.yaml", "--task", "t", "--provider", way.agent];
        let mut run = self.botpipe(&[&args[..], more].concat());
        for other in ["CODEX_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"] {
            run.env_remove(other);
        }
        // Nobody grants anything beside the policy.
        run.env_remove("BOTPIPE_ALLOW_WRITE").env(way.variable, KEY.join("-"));
        let run = match self {
            Self::Codex(bench) => bench.with_codex(run, way.interface),
            Self::Claude(bench) => bench.with_claude(run),
        };
        let url = run.get_args().last().unwrap().to_str().unwrap();
        let port = url.strip_prefix("http://127.0.0.1:").unwrap().split('/').next().unwrap();
        fs::write(self.folder().join("repository/port"), port).unwrap();
        run
    }

    fn botpipe(&self, args: &[&str]) -> Command {
        match self {
            Self::Codex(bench) => bench.botpipe(args),
            Self::Claude(bench) => bench.botpipe(args),
        }
    }

    /// What the run says of its key.
    fn key(&self) -> Value {
        let show = self.botpipe(&["runs", "show", "./looks.sop.yaml", "t"]).output();
        said(&show.unwrap()).ends(0).json()["sandbox"][0]["key"].take()
    }

    /// Each word came of a command, as the model was told.
    #[track_caller]
    fn came_to(&self, words: &[&str]) {
        let asked = self.log();
        let ours: Vec<_> = words.iter().map(|word| around(&asked, word)).collect();
        assert!(words.iter().all(|word| asked.contains(word)), "{words:?}: {ours:?}");
    }

    /// Every question to the model had the key, in the one header, and no other credential.
    #[track_caller]
    fn model_got_the_key(&self, way: Way) {
        let log = self.log();
        let asked = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let asked: Vec<Value> = asked.filter(|it| it["method"] == "POST").collect();
        assert!(asked.len() > 1, "{}", asked.len());
        for request in asked {
            let headers = request["headers"].as_object().unwrap();
            let keys = headers.iter().filter(|(name, _)| {
                ["authorization", "x-api-key", "cookie"].contains(&name.as_str())
            });
            let keys: Vec<_> = keys.map(|(name, it)| (name.as_str(), it.as_str())).collect();
            let expected = fingerprint(&way.sent());
            assert_eq!(keys, [(way.header, Some(expected.as_str()))], "{}", request["path"]);
        }
    }
}

/// What the agent is told to look at: each says `:1` where the key is not.
fn looks() -> Vec<String> {
    let word = format!("k={}; k=$k-{}", KEY[0], KEY[1]);
    let look = |what: &str, name: &str| format!("{word}; {what}; echo {name}:$?; true");
    let all = "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -q -e \"$k\"";
    let home = "${CODEX_HOME:-$CLAUDE_CONFIG_DIR}";
    vec![
        look("env | grep -q -e \"$k\"", "own"),
        look(all, "others"),
        look(&format!("grep -rlsF -e \"$k\" ~ \"{home}\" /tmp /run /etc . | grep -q ."), "files"),
    ]
}

/// Waits for a file that the host makes, and says that it does.
const WAITS: &str = "touch waiting; while [ ! -e go ]; do sleep 0.1; done";

/// The environments of processes in a PID namespace that is not this one's, below a run.
fn inside(run: &Child) -> Vec<String> {
    let own = fs::read_link("/proc/self/ns/pid").unwrap();
    let all: Vec<(u32, u32)> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    let mut below = BTreeSet::from([run.id()]);
    let mut before = 0;
    while below.len() > before {
        before = below.len();
        let children = all.iter().filter(|(_, parent)| below.contains(parent));
        let children: Vec<u32> = children.map(|(pid, _)| *pid).collect();
        below.extend(children);
    }
    let apart = |pid: &u32| fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|it| it != own);
    let pids = below.into_iter().filter(apart);
    let read = pids.filter_map(|pid| fs::read(format!("/proc/{pid}/environ")).ok());
    read.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

/// The files of a folder that hold a text.
fn holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(holding(&path, text));
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap_or_default();
            if bytes.windows(text.len()).any(|part| part == text.as_bytes()) {
                found.push(path);
            }
        }
    }
    found
}

/// The key reaches the model, and nothing that runs in the sandbox, or stays after it, has it.
fn the_key_stays_outside(way: Way, policy: &str) {
    let mut lines = looks();
    // The model itself is reached by its one port.
    lines.push("(exec 3<>/dev/tcp/127.0.0.1/$(cat port)); echo direct:$?; true".to_owned());
    lines.push(WAITS.to_owned());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let Some(bench) = Bench::new(way, &lines) else { return };
    let mut run = bench.run(way, policy, &[]).spawn().unwrap();
    let repository = bench.folder().join("repository");
    let until = Instant::now() + Duration::from_mins(2);
    while !repository.join("waiting").exists() {
        if run.try_wait().unwrap().is_some() || Instant::now() > until {
            drop(run.kill());
            panic!("it did not come to wait: {:?}", said(&run.wait_with_output().unwrap()));
        }
        thread::sleep(Duration::from_millis(50));
    }
    let environments = inside(&run);
    let key = KEY.join("-");
    fs::write(repository.join("go"), "").unwrap();
    said(&run.wait_with_output().unwrap()).ends(0);
    let harness = format!("{}={DUMMY}", way.variable);
    assert!(environments.iter().any(|it| it.contains(&harness)), "{environments:#?}");
    assert!(environments.iter().all(|it| !it.contains(&key)), "{environments:#?}");

    bench.came_to(&["own:1", "others:1", "files:1", "direct:1"]);
    bench.model_got_the_key(way);
    let left = holding(bench.folder(), &key);
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(bench.key(), json!({ "login": way.variable, "place": "outside" }));
}

#[test]
fn the_key_of_codex_stays_outside() {
    the_key_stays_outside(CODEX, "");
}

#[test]
fn the_key_of_codex_exec_stays_outside() {
    let way = Way { interface: "exec", variable: "OPENAI_API_KEY", ..CODEX };
    let policy = "policy: { network: limited, network_domains: [example.com] }\n";
    the_key_stays_outside(way, policy);
}

#[test]
fn the_key_of_claude_stays_outside() {
    the_key_stays_outside(CLAUDE, "");
}

#[test]
fn the_token_of_claude_stays_outside() {
    for variable in ["ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"] {
        the_key_stays_outside(Way { variable, header: "authorization", ..CLAUDE }, "");
    }
}

/// Where the documentation says that commands can come by a key, they can.
#[test]
fn commands_have_of_the_key_what_the_documentation_says() {
    let lines = looks();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    for (way, own) in [(CODEX, "own:1"), (CLAUDE, "own:0")] {
        let pass = ["--pass-env", way.variable];
        for (policy, more, why) in [
            (
                "policy: { network: full }\n",
                &[][..],
                "`network: full` has no network of the sandbox's own",
            ),
            ("", &pass[..], "`--pass-env` or an MCP server asks for it"),
        ] {
            let Some(bench) = Bench::new(way, &lines) else { continue };
            said(&bench.run(way, policy, more).output().unwrap()).ends(0);
            bench.came_to(&[own, "others:0", "files:1"]);
            bench.model_got_the_key(way);
            let expected = json!({ "login": way.variable, "place": "inside", "because": why });
            assert_eq!(bench.key(), expected);
        }
    }
}

/// A login that is a file is one that the agent's commands read; with a key they do not see it.
#[test]
fn a_stored_login_is_read_only_where_it_is_used() {
    let cat = "cat \"${CODEX_HOME:-$CLAUDE_CONFIG_DIR}\"/.credentials.json; echo login:$?; true";
    for (key, word) in [(Some("means-nothing"), "login:1"), (None, "login:0")] {
        let Some(bench) = Bench::new(CLAUDE, &[cat]) else { return };
        let own = bench.folder().join("home/.claude");
        fs::create_dir(&own).unwrap();
        let login = json!({ "claudeAiOauth": {
            "accessToken": "means-little", "refreshToken": "means-less",
            "expiresAt": 4_102_444_800_000_u64, "scopes": ["user:inference"], "subscriptionType": "max",
        } });
        fs::write(own.join(".credentials.json"), login.to_string()).unwrap();
        let mut run = bench.run(CLAUDE, "", &[]);
        if key.is_none() {
            run.env_remove(CLAUDE.variable);
        }
        said(&run.output().unwrap()).ends(0);
        bench.came_to(&[word]);
        let says = match key {
            Some(_) => ["ANTHROPIC_API_KEY", "outside"],
            None => [".credentials.json", "inside"],
        };
        let shown = bench.key();
        assert_eq!([&shown["login"], &shown["place"]], says, "{shown}");
    }
}
