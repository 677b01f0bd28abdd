//! The keys of a harness in a `botpipe.yaml`: below `provider`, `provider.codex`, `provider.claude`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use botpipe_kernel::run::{Interface, McpServer};
use botpipe_lang::Code;
use botpipe_lang::reading::{Entry, Fields, Problem, Value, choice, wrong_type};

use super::file::Reader;
use super::layer::{HarnessLayer, Setting};

/// Which section is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// Right below `provider`.
    Any,
    Codex,
    Claude,
}

impl Section {
    /// How a person calls it.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Any => "`provider`",
            Self::Codex => "`provider.codex`",
            Self::Claude => "`provider.claude`",
        }
    }

    /// The seed's name for it; Claude Code's own word in its own section.
    fn effort_key(self) -> &'static str {
        match self {
            Self::Any | Self::Codex => "model_effort",
            Self::Claude => "effort",
        }
    }
}

/// The keys of a harness right below `provider`.
pub(super) const HARNESS_KEYS: [&str; 8] = [
    "model",
    "model_effort",
    "base_url",
    "program",
    "args",
    "instructions",
    "hooks",
    "mcp_servers",
];

impl Reader<'_> {
    /// The keys that every section has.
    pub(super) fn harness(&mut self, fields: &mut Fields<'_>, section: Section) -> HarnessLayer {
        let mut layer = HarnessLayer::default();
        if let Some(entry) = fields.get("model") {
            layer.model = self.word(entry);
        }
        if let Some(entry) = fields.get(section.effort_key()) {
            layer.effort = self.word(entry);
        }
        if let Some(entry) = fields.get("base_url") {
            let address = self.address(entry);
            let may = self.personal(entry, "prompts and keys would go there");
            layer.base_url = address.filter(|_| may);
        }
        if let Some(entry) = fields.get("program") {
            let program = self.program(entry);
            let may = self.personal(entry, "it is a program that runs as you");
            layer.program = program.filter(|_| may);
        }
        if let Some(entry) = fields.get("args") {
            let words = self.words(entry);
            let may = self.personal(entry, "arguments can lift every protection");
            layer.args = words.filter(|_| may).map(|words| self.said(entry, words));
        }
        if let Some(entry) = fields.get("instructions") {
            layer.instructions = self.boolean(entry);
        }
        if let Some(entry) = fields.get("hooks") {
            let hooks = self.boolean(entry);
            let wanted = hooks.as_ref().is_some_and(|it| it.value);
            let may = !wanted || self.personal(entry, "its own hooks would run as you");
            layer.hooks = hooks.filter(|_| may);
        }
        if section == Section::Codex
            && let Some(entry) = fields.get("interface")
        {
            let words = [Interface::AppServer, Interface::Exec].map(|it| (it.as_str(), it));
            let interface = choice(entry, &words, &mut self.report);
            layer.interface = interface.map(|it| self.said(entry, it));
        }
        if let Some(entry) = fields.get("mcp_servers") {
            let servers = self.servers(entry);
            let may = self.personal(entry, "they are programs that run as you");
            layer.mcp_servers = if may { servers } else { BTreeMap::new() };
        }
        layer
    }

    /// A text that no program can take for an option.
    fn word(&mut self, entry: &Entry) -> Option<Setting<String>> {
        let written = self.text(entry)?;
        if written.value.starts_with('-') || written.value.contains(char::is_control) {
            let message = format!("`{}` is no {}", written.value.escape_debug(), entry.key);
            self.report.push(
                Problem::new(Code::BadName, entry.value.span, message)
                    .help("it begins with a letter or a digit and stands on one line"),
            );
            return None;
        }
        Some(written)
    }

    /// A path; one that is relative would mean another program in every folder.
    fn program(&mut self, entry: &Entry) -> Option<Setting<PathBuf>> {
        let written = self.text(entry)?;
        let path = PathBuf::from(&written.value);
        if path.components().count() > 1 && path.is_relative() {
            let message = format!("`{}` is relative: to which folder?", written.value);
            self.report.push(
                Problem::new(Code::BadPath, entry.value.span, message)
                    .help("write the whole path, or a bare name that is looked up in PATH"),
            );
            return None;
        }
        Some(Setting { value: path, origin: written.origin })
    }

    fn servers(&mut self, entry: &Entry) -> BTreeMap<String, Setting<McpServer>> {
        let Value::Map(entries) = &entry.value.value else {
            let expected = "a map: each server's name and how it is reached";
            wrong_type(&entry.value, entry.key_span, expected, &mut self.report);
            return BTreeMap::new();
        };
        let mut servers = BTreeMap::new();
        for entry in entries {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if !entry.key.chars().all(plain) {
                let message = format!("`{}` is no name of a server", entry.key.escape_debug());
                self.report.push(
                    Problem::new(Code::BadName, entry.key_span, message)
                        .help("letters, digits, `_` and `-`"),
                );
            }
            if let Some(server) = self.server(entry) {
                servers.insert(entry.key.clone(), self.said(entry, server));
            }
        }
        servers
    }

    fn server(&mut self, entry: &Entry) -> Option<McpServer> {
        let mut fields = Fields::of(&entry.value, "a server", entry.key_span, &mut self.report)?;
        let command = fields.get("command");
        let url = fields.get("url");
        let args = fields.get("args");
        let env = fields.get("env");
        fields.close(&[], &mut self.report);
        match (command, url) {
            (Some(command), None) => {
                let words = |reader: &mut Self, entry: Option<&Entry>| match entry {
                    Some(entry) => reader.words(entry),
                    None => Some(Vec::new()),
                };
                let (args, env) = (words(self, args), words(self, env));
                let command = self.text(command)?.value;
                Some(McpServer::Program { command, args: args?, env: env? })
            }
            (None, Some(url)) => {
                if let Some(other) = args.or(env) {
                    let message = format!("`{}` belongs to a server with a `command`", other.key);
                    self.report.push(Problem::new(Code::WrongKind, other.key_span, message));
                }
                Some(McpServer::Remote { url: self.address(url)?.value })
            }
            (Some(_), Some(url)) => {
                let message = "a server has either a `command` or a `url`";
                self.report.push(Problem::new(Code::WrongKind, url.key_span, message));
                None
            }
            (None, None) => {
                let message =
                    "a server needs a `command` that starts it, or the `url` of a running one";
                self.report.push(Problem::new(Code::MissingKey, entry.key_span, message));
                None
            }
        }
    }
}
