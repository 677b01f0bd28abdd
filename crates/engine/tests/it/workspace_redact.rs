//! What passes to started processes, and what never reaches a file.

use std::borrow::Cow;

use botpipe_engine::environment;
use botpipe_engine::workspace::redact::Redactor;

fn redactor(env: &[(&str, &str)]) -> Redactor {
    Redactor::new(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

#[test]
fn values_of_secret_variables_go_by_their_name() {
    let redactor = redactor(&[
        ("GITHUB_TOKEN", "abcdefgh1234"),
        ("MY_api_key", "abcdefgh1234-and-more"),
        ("DB_PASSWORD", "short"),
        ("EDITOR", "vim-is-my-editor"),
    ]);
    assert_eq!(
        redactor.redact("a abcdefgh1234 b abcdefgh1234-and-more c short vim-is-my-editor"),
        "a [redacted:GITHUB_TOKEN] b [redacted:MY_api_key] c short vim-is-my-editor"
    );
    assert!(matches!(redactor.redact("nothing here"), Cow::Borrowed(_)));
}

#[test]
fn a_secret_of_several_lines_is_known_line_by_line_and_in_json() {
    let redactor = redactor(&[("DEPLOY_KEY", "first line of it\nsecond \"line\"\nend")]);
    assert_eq!(redactor.redact("x first line of it"), "x [redacted:DEPLOY_KEY]");
    assert_eq!(redactor.redact("second \"line\" x"), "[redacted:DEPLOY_KEY] x");
    let json = r#"{"text":"first line of it\nsecond \"line\"\nend"}"#;
    assert_eq!(redactor.redact(json), r#"{"text":"[redacted:DEPLOY_KEY]"}"#);
}

#[test]
fn a_secret_is_known_in_json_within_json_and_in_ascii() {
    let redactor = redactor(&[("API_KEY", "say \"Grüße\" to 𝄞 once")]);
    let whole = "say \"Grüße\" to 𝄞 once";
    let once = serde_json::json!({ "cmd": format!("echo {whole}") }).to_string();
    let twice = serde_json::json!({ "arguments": once }).to_string();
    let thrice = serde_json::json!({ "line": twice }).to_string();
    let ascii = r#"{"cmd": "say \"Gr\u00fc\u00dfe\" to \ud834\udd1e once"}"#;
    for text in [whole, &once, &twice, &thrice, ascii] {
        let redacted = redactor.redact(text);
        assert!(redacted.contains("[redacted:API_KEY]"), "{redacted}");
        assert!(!redacted.contains("to "), "{redacted}");
    }
    let json = serde_json::json!({ "a": [whole], "n": 1 });
    assert_eq!(redactor.redact_json(json).to_string(), r#"{"a":["[redacted:API_KEY]"],"n":1}"#);
    assert_eq!(redactor.secret_in(&once).unwrap(), "the value of `API_KEY`");
    assert_eq!(redactor.secret_in("AKIAIOSFODNN7EXAMPLE").unwrap(), "what looks like a token");
    assert_eq!(redactor.secret_in("nothing"), None);
}

#[test]
fn well_known_tokens_are_known_by_their_shape() {
    let redactor = redactor(&[]);
    for token in [
        "sk-proj-abcdefghijklmnop1234",
        "ghp_abcdefghijklmnopqrst1234",
        "gho_abcdefghijklmnopqrst1234",
        "github_pat_11ABCDEFG0123456789_abc",
        "glpat-abcdefghij_123456789",
        "glrt-t1_abcdefghij12345678",
        "npm_abcdefghijklmnopqrstuvwxyz0123456789",
        "pypi-AgEIcHlwaS5vcmcCJDAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAw",
        "AKIAIOSFODNN7EXAMPLE",
        "xoxb-123456789012-abcdef",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ] {
        assert_eq!(redactor.redact(&format!("a {token}")), "a [redacted]", "{token}");
        assert_eq!(redactor.redact(&format!("k=\"{token}\";")), "k=\"[redacted]\";", "{token}");
        for escape in [r"\n", r"\\n", r"\t", r"\u001b"] {
            let json = redactor.redact(&format!("{{\"a\":\"x{escape}{token}\"}}")).into_owned();
            assert_eq!(json, format!("{{\"a\":\"x{escape}[redacted]\"}}"), "{token}");
        }
    }
    for prose in [
        "task-abcdefghijklmnopqrst",
        "npm_config_registry glpat-…",
        "risk-averse sk-short",
        "-----BEGIN CERTIFICATE-----",
    ] {
        assert_eq!(redactor.redact(prose), prose);
    }
}

#[test]
fn only_listed_variables_pass_and_extra_ones_win() {
    let source = [
        ("PATH", "/bin"),
        ("LC_ALL", "C"),
        ("SECRET_TOKEN", "x"),
        ("CODEX_HOME", "/c"),
        ("LD_PRELOAD", "evil.so"),
        ("TERM", "dumb"),
    ];
    let built = environment::build(
        source.map(|(name, value)| (name.into(), value.into())),
        &["CODEX_HOME".to_owned()],
        &[("TERM".to_owned(), "xterm".to_owned()), ("BOTPIPE_RUN".to_owned(), "r".to_owned())],
    );
    let built: Vec<_> =
        built.iter().map(|(n, v)| (n.to_str().unwrap(), v.to_str().unwrap())).collect();
    assert_eq!(
        built,
        [
            ("BOTPIPE_RUN", "r"),
            ("CODEX_HOME", "/c"),
            ("LC_ALL", "C"),
            ("PATH", "/bin"),
            ("TERM", "xterm")
        ]
    );
}
