//! `botpipe completions`: what a shell needs to complete our words.

use clap_complete::Shell;

use crate::term::exit;
use crate::term::output::say;

/// Print completions for a shell
///
/// Examples:
///   botpipe completions bash > ~/.local/share/bash-completion/completions/botpipe
///   botpipe completions zsh > "${fpath[1]}/_botpipe"
///   botpipe completions fish > ~/.config/fish/completions/botpipe.fish
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

impl Args {
    pub(super) fn run(&self, command: &mut clap::Command) -> u8 {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, "botpipe", &mut script);
        say(&String::from_utf8_lossy(&script));
        exit::OK
    }
}
