//! No setting of a harness is forgotten when a conversation is gone on with, or begun from within another.

use botpipe_kernel::run::{Harness, Interface, McpServer};
use botpipe_providers::{Asked, Codec, CommandLine, acp, claude, codex};

use crate::asked::Ask;

/// Everything set.
fn all() -> Harness {
    let near = McpServer::Program {
        command: "near-server".to_owned(),
        args: vec!["--stdio".to_owned()],
        env: vec!["NEAR_TOKEN".to_owned()],
    };
    let far = McpServer::Remote { url: "http://127.0.0.1:9/mcp".to_owned() };
    Harness {
        home: Some("/work/home".to_owned()),
        model: Some("the-model".to_owned()),
        effort: Some("the-effort".to_owned()),
        base_url: Some("http://127.0.0.1:9/v1".to_owned()),
        args: vec!["--their-own".to_owned()],
        instructions: true,
        hooks: true,
        mcp_servers: [("near".to_owned(), near), ("far".to_owned(), far)].into(),
        ..Harness::default()
    }
}

/// The same without one of them, each by name. A setting that is new does not compile until it is here.
fn without_one() -> Vec<(&'static str, Harness)> {
    let Harness {
        // What is started, and how it was found to be.
        program: _,
        version: _,
        digest: _,
        interface: _,
        interface_because: _,
        home,
        model,
        effort,
        base_url,
        args,
        instructions,
        hooks,
        mcp_servers,
    } = Harness::default();
    vec![
        ("home", Harness { home, ..all() }),
        ("model", Harness { model, ..all() }),
        ("effort", Harness { effort, ..all() }),
        ("base_url", Harness { base_url, ..all() }),
        ("args", Harness { args, ..all() }),
        ("instructions", Harness { instructions, ..all() }),
        ("hooks", Harness { hooks, ..all() }),
        ("mcp_servers", Harness { mcp_servers, ..all() }),
    ]
}

type Start = fn(&Asked<'_>) -> (CommandLine, Box<dyn Codec>);

/// All that a harness is given of a turn: its words, its environment, and what it is sent.
fn given(start: Start, harness: Harness, session: (Option<&str>, Option<&str>)) -> String {
    let mut ask = Ask::new("go");
    ask.harness = harness;
    (ask.session, ask.from) = (session.0.map(str::to_owned), session.1.map(str::to_owned));
    ask.with(|asked| {
        let (line, mut codec) = start(asked);
        let mut said = format!("{line:?}\n{}", codec.open());
        for reply in [
            r#"{"id":1,"result":{"protocolVersion":1,"agentCapabilities":{"loadSession":true}}}"#,
            r#"{"id":2,"result":{"sessionId":"s-1","thread":{"id":"t-1"}}}"#,
        ] {
            said += &codec.hear(reply).send;
        }
        said
    })
}

#[test]
fn every_setting_reaches_the_harness_each_time() {
    let exec = |asked: &Asked<'_>| {
        let harness = Harness { interface: Some(Interface::Exec), ..asked.harness.clone() };
        let asked = Asked { harness: &harness, ..*asked };
        let codec: Box<dyn Codec> = Box::new(codex::Exec::new(&asked));
        (codex::command_line(&asked), codec)
    };
    // Hooks of a project that Codex shall trust are in its home's own settings. An agent of any make
    // cannot be given most: a run that sets them is refused.
    let only_acp = ["home", "model", "effort", "base_url", "instructions", "hooks"];
    let harnesses: [(&str, Start, &[&str]); 4] = [
        (
            "codex",
            |asked| (codex::command_line(asked), Box::new(codex::Protocol::new(asked))),
            &["hooks"],
        ),
        ("codex exec", exec, &["hooks"]),
        (
            "claude",
            |asked| (claude::command_line(asked), Box::new(claude::Protocol::new(asked))),
            &[],
        ),
        ("acp", |asked| (acp::command_line(asked), Box::new(acp::Protocol::new(asked))), &only_acp),
    ];
    for (name, start, not_here) in harnesses {
        for session in [(None, None), (Some("t-1"), None), (Some("t-1"), Some("u-1"))] {
            let whole = given(start, all(), session);
            for (setting, harness) in without_one() {
                let differs = given(start, harness, session) != whole;
                let wanted = !not_here.contains(&setting);
                assert_eq!(differs, wanted, "{name}: `{setting}` with {session:?} in\n{whole}");
            }
            assert!(whole.contains("/work/repository") || name == "claude", "{name}: {whole}");
        }
    }
}
