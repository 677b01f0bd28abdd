//! Which agents can be held to asking leave, and why others cannot.

use botpipe_kernel::run::{Harness, Interface, Provider};

/// Why an agent cannot be held to asking leave before it does something; `None`: it can.
pub(crate) fn cannot_ask(by: Option<&Provider>) -> Option<&'static str> {
    match by {
        Some(Provider::Codex(harness)) if harness.interface == Some(Interface::Exec) => Some(
            "`codex exec` asks nobody: the app server does, which is `--codex-interface app_server`",
        ),
        Some(Provider::Codex(harness) | Provider::Claude(harness)) if harness.hooks => {
            Some("with `hooks` the project's own settings say what is asked about")
        }
        Some(Provider::Claude(harness)) if says_itself(harness) => {
            Some("its further arguments say what is asked about")
        }
        Some(Provider::Codex(_) | Provider::Claude(_)) => None,
        Some(Provider::Acp(_)) => {
            Some("an ACP agent asks as its own mode says, to which nobody holds it")
        }
        Some(Provider::Command { .. }) => {
            Some("a program that is given a prompt and answers it asks nobody")
        }
        Some(Provider::Replay { .. }) | None => Some("there is no agent that could ask"),
    }
}

/// Whether a person's own arguments for Claude Code change what it asks about.
fn says_itself(harness: &Harness) -> bool {
    harness.args.iter().any(|arg| SAY.iter().any(|word| arg.to_lowercase().starts_with(word)))
}

/// How those arguments begin.
const SAY: [&str; 4] = ["--allow", "--dangerously", "--permission", "--setting"];

#[cfg(test)]
mod tests {
    use super::*;

    fn claude(args: &[&str]) -> Provider {
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        Provider::Claude(Box::new(Harness { args, ..Harness::default() }))
    }

    #[test]
    fn only_a_harness_whose_questions_come_to_us_can_be_held_to_asking() {
        assert_eq!(cannot_ask(Some(&claude(&["--effort", "low"]))), None);
        for own in ["--permission-mode", "--allowedTools=Bash", "--dangerously-skip-permissions"] {
            assert!(cannot_ask(Some(&claude(&[own]))).is_some(), "{own}");
        }
        let codex =
            |interface| Provider::Codex(Box::new(Harness { interface, ..Harness::default() }));
        assert_eq!(cannot_ask(Some(&codex(Some(Interface::AppServer)))), None);
        assert!(cannot_ask(Some(&codex(Some(Interface::Exec)))).is_some());
        let hooks = Harness { hooks: true, ..Harness::default() };
        assert!(cannot_ask(Some(&Provider::Codex(Box::new(hooks)))).is_some());
        assert!(cannot_ask(Some(&Provider::Acp(Box::default()))).is_some());
    }
}
