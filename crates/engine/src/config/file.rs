//! A `botpipe.yaml` as one layer: strict, and in a repository without what only a person may say.

use botpipe_kernel::plan::{Budget, OnLimit, Policy, PolicyLayer, Spending};
use botpipe_lang::reading::{
    Entry, Fields, MOST_STEPS, Node, Problem, Report, Value, boolean, budget, choice, count, list,
    parse, policy, policy_of, text, text_of, wrong_type,
};
use botpipe_lang::{Code, Diagnostic, SourceFile};

use super::harness::{HARNESS_KEYS, Section};
use super::layer::{Agent, Layer, Origin, Setting};
use super::load::Whose;

/// Reads a file; what is wrong comes with it, all at once.
pub(super) fn read(source: &SourceFile, whose: Whose) -> (Layer, Vec<Diagnostic>) {
    let mut report = Report::on(source);
    let Some(root) = parse(&mut report) else { return (Layer::default(), report.finish()) };
    let mut reader = Reader { name: &source.name, whose, report };
    let layer = reader.layer(&root).unwrap_or_default();
    (layer, reader.report.finish())
}

/// Reads a file that holds one policy: an author's, or a ceiling.
pub(super) fn read_policy(
    source: &SourceFile,
    ceiling: bool,
) -> (Option<PolicyLayer>, Vec<Diagnostic>) {
    let mut report = Report::on(source);
    let Some(root) = parse(&mut report) else {
        // A file that says nothing says as much as `{}`; one that is no YAML has something wrong with it.
        let layer = PolicyLayer { from: source.name.clone(), ceiling, policy: Policy::default() };
        return (Some(layer), report.finish());
    };
    let policy = policy_of(&root, root.span, &mut report);
    if ceiling {
        only_narrows(&root, &mut report);
    }
    let layer = policy.map(|policy| PolicyLayer { from: source.name.clone(), ceiling, policy });
    (layer, report.finish())
}

/// Reports what a ceiling cannot say.
fn only_narrows(policy: &Node, report: &mut Report<'_>) {
    let environment = policy.get("environment");
    if let Some(set) = environment.and_then(|entry| entry.value.get("set")) {
        let message = "an operator's policy only narrows, and sets no variables";
        report.push(
            Problem::new(Code::NotNarrowing, set.key_span, message).help(
                "set them where the run is started, and let them pass with `--pass-env NAME`",
            ),
        );
    }
}

/// A file being read.
pub(super) struct Reader<'s> {
    name: &'s str,
    whose: Whose,
    pub(super) report: Report<'s>,
}

impl Reader<'_> {
    fn layer(&mut self, root: &Node) -> Option<Layer> {
        let mut layer = Layer::default();
        let mut fields = Fields::of(root, "`botpipe.yaml`", root.span, &mut self.report)?;
        if let Some(entry) = fields.get("provider") {
            self.provider(entry, &mut layer);
        }
        if let Some(entry) = fields.get("runtime") {
            self.runtime(entry, &mut layer);
        }
        if let Some(entry) = fields.get("policy") {
            let read = policy(entry, &mut self.report);
            layer.policy = read.map(|policy| self.said(entry, self.policy_layer(policy)));
            if self.whose == Whose::User {
                only_narrows(&entry.value, &mut self.report);
            }
        }
        fields.close(&[], &mut self.report);
        Some(layer)
    }

    /// A policy with whose it is.
    fn policy_layer(&self, policy: Policy) -> PolicyLayer {
        PolicyLayer { from: self.name.to_owned(), ceiling: self.whose == Whose::User, policy }
    }

    fn provider(&mut self, entry: &Entry, layer: &mut Layer) {
        let Some(mut fields) =
            Fields::of(&entry.value, "`provider`", entry.key_span, &mut self.report)
        else {
            return;
        };
        if let Some(entry) = fields.get("name") {
            let agent = choice(entry, &Agent::ALL, &mut self.report);
            layer.agent = agent.map(|value| self.said(entry, value));
        }
        layer.any = self.harness(&mut fields, Section::Any);
        if layer.agent.as_ref().is_some_and(|it| it.value == Agent::Command) {
            self.refuse_unread(&fields);
        }
        if let Some(entry) = fields.get("command") {
            layer.command = self.command(entry);
        }
        for (key, section) in [("codex", Section::Codex), ("claude", Section::Claude)] {
            let Some(entry) = fields.get(key) else { continue };
            let what = section.what();
            let Some(mut fields) = Fields::of(&entry.value, what, entry.key_span, &mut self.report)
            else {
                continue;
            };
            let read = self.harness(&mut fields, section);
            fields.close(&[], &mut self.report);
            match section {
                Section::Claude => layer.claude = read,
                Section::Any | Section::Codex => layer.codex = read,
            }
        }
        fields.close(&[], &mut self.report);
    }

    /// A program of one's own reads none of a harness's settings.
    fn refuse_unread(&mut self, fields: &Fields<'_>) {
        for key in HARNESS_KEYS {
            if let Some(entry) = fields.peek(key) {
                let message = format!("`{key}` means nothing to `name: command`");
                self.report.push(
                    Problem::new(Code::WrongKind, entry.key_span, message)
                        .help("put it below `codex` or `claude`"),
                );
            }
        }
    }

    fn command(&mut self, entry: &Entry) -> Option<Setting<Vec<String>>> {
        let words = self.words(entry)?;
        if words.first().is_none_or(String::is_empty) {
            let message = "a command begins with its program";
            self.report.push(Problem::new(Code::NothingThere, entry.value.span, message));
            return None;
        }
        self.personal(entry, "it is a program that runs as you").then(|| self.said(entry, words))
    }

    fn runtime(&mut self, entry: &Entry, layer: &mut Layer) {
        let Some(mut fields) =
            Fields::of(&entry.value, "`runtime`", entry.key_span, &mut self.report)
        else {
            return;
        };
        if let Some(entry) = fields.get("max_steps") {
            let most = count(entry, MOST_STEPS, &mut self.report);
            layer.max_steps = most.map(|value| self.said(entry, value));
        }
        if let Some(entry) = fields.get("budget") {
            let bounds = budget(entry, &mut self.report);
            for (kind, bound) in bounds_of(&bounds) {
                let place = entry.value.get(kind.as_str()).unwrap_or(entry);
                layer.budget.push((kind, self.said(place, bound)));
            }
        }
        if let Some(entry) = fields.get("full_auto") {
            layer.full_auto = self.boolean(entry);
        }
        if let Some(entry) = fields.get("on_limit") {
            let words =
                [("wait", OnLimit::Wait), ("pause", OnLimit::Pause), ("fail", OnLimit::Fail)];
            let on_limit = choice(entry, &words, &mut self.report);
            if self.whose == Whose::Repository {
                self.report.push(
                    Problem::new(
                        Code::NotInRepository,
                        entry.key_span,
                        "`on_limit` is no setting of a repository: it would go over what the steps \
                         of its workflows say",
                    )
                    .help("say `on_limit` at the steps, or in your own `botpipe.yaml`"),
                );
            } else {
                layer.on_limit = on_limit.map(|value| self.said(entry, value));
            }
        }
        fields.close(&[], &mut self.report);
    }

    /// A value with its place.
    pub(super) fn said<T>(&self, entry: &Entry, value: T) -> Setting<T> {
        let line = self.report.line_of(entry.key_span);
        Setting { value, origin: Origin::File { path: self.name.to_owned(), line } }
    }

    /// Whether a setting that only a person may make stands in a person's file; else reports it.
    pub(super) fn personal(&mut self, entry: &Entry, why: &str) -> bool {
        if self.whose == Whose::User {
            return true;
        }
        self.report.push(
            Problem::new(
                Code::NotInRepository,
                entry.key_span,
                format!("`{}` is not taken from a repository's file: {why}", entry.key),
            )
            .help(
                "a clone must not bring it along; put it into your own \
                 `~/.config/botpipe/botpipe.yaml`, or give it as an option",
            ),
        );
        false
    }

    /// Some words: a list of texts.
    pub(super) fn words(&mut self, entry: &Entry) -> Option<Vec<String>> {
        if !matches!(entry.value.value, Value::List(_)) {
            wrong_type(&entry.value, entry.key_span, "a list of texts", &mut self.report);
            return None;
        }
        let mut words = Vec::new();
        let mut good = true;
        for item in list(entry, "texts", &mut self.report) {
            if let Some(word) = item.as_text() {
                words.push(word.to_owned());
            } else {
                wrong_type(item, item.span, "text", &mut self.report);
                good = false;
            }
        }
        good.then_some(words)
    }

    /// A text, with its place.
    pub(super) fn text(&mut self, entry: &Entry) -> Option<Setting<String>> {
        let written = text(entry, &mut self.report)?.value.to_owned();
        Some(self.said(entry, written))
    }

    /// True or false, with its place.
    pub(super) fn boolean(&mut self, entry: &Entry) -> Option<Setting<bool>> {
        let written = boolean(entry, &mut self.report)?;
        Some(self.said(entry, written))
    }

    /// An address without a login in it.
    pub(super) fn address(&mut self, entry: &Entry) -> Option<Setting<String>> {
        let written = text_of(&entry.value, entry.key_span, &mut self.report)?;
        let span = written.span;
        match address_fault(written.value) {
            None => Some(self.said(entry, written.value.to_owned())),
            Some((message, help)) => {
                self.report.push(Problem::new(Code::BadAddress, span, message).help(help));
                None
            }
        }
    }
}

/// What is wrong with an address, and what to do.
pub(crate) fn address_fault(url: &str) -> Option<(&'static str, &'static str)> {
    let Some(rest) = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")) else {
        return Some(("this is no address", "it begins with `http://` or `https://`"));
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('@') {
        return Some((
            "this address holds a login",
            "leave it out: a key is passed in the variable that the harness reads",
        ));
    }
    if rest.contains(['?', '#']) {
        return Some((
            "this address has more than a path",
            "leave out what comes from `?` or `#` on: the harness adds the rest of the path",
        ));
    }
    let blank = host.is_empty() || url.contains(char::is_whitespace);
    blank.then_some(("this is no address", "after `https://` comes a host, and there is no space"))
}

/// The bounds that a budget has, each in the unit of its kind.
pub(super) fn bounds_of(budget: &Budget) -> impl Iterator<Item = (Spending, u64)> {
    let all = [
        (Spending::Cost, budget.cost),
        (Spending::Tokens, budget.tokens),
        (Spending::Turns, budget.turns.map(u64::from)),
        (Spending::Wall, budget.wall_ms),
    ];
    all.into_iter().filter_map(|(kind, bound)| Some((kind, bound?)))
}
