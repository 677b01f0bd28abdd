//! An agent program in one line.

use botpipe_kernel::run::{Harness, Interface, Provider};

use super::output::{one_line, shell_word};

/// What a run asks, and where it is.
pub(crate) fn agent(provider: &Provider) -> String {
    match provider {
        Provider::Command { program, args } => {
            let words = [program].into_iter().chain(args).map(|word| shell_word(word));
            one_line(&words.collect::<Vec<_>>().join(" "), 200)
        }
        Provider::Codex(it) => harness("codex", it),
        Provider::Claude(it) => harness("claude", it),
        Provider::Acp(it) => {
            let words = [&it.program].into_iter().chain(&it.args).map(|word| shell_word(word));
            one_line(&format!("acp: {}", words.collect::<Vec<_>>().join(" ")), 200)
        }
        Provider::Replay { cassette, loose } => {
            let how = if *loose { "played loosely: prompts were not compared" } else { "replay" };
            format!("recording {} ({how})", cassette.short())
        }
    }
}

fn harness(name: &str, harness: &Harness) -> String {
    let model = harness.model.as_ref().map(|it| format!(", model {it}")).unwrap_or_default();
    let interface = harness.interface.filter(|it| *it == Interface::Exec);
    let interface = interface.map(|_| {
        let why = harness.interface_because.as_ref();
        format!(" by `exec`{}", why.map(|why| format!(" ({why})")).unwrap_or_default())
    });
    let interface = interface.unwrap_or_default();
    let version = &harness.version;
    one_line(&format!("{name} {version}{interface}{model}: {}", harness.program), 300)
}
