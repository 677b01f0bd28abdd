//! Rule: every template parses, and names only what will be there.

use std::collections::BTreeSet;

use super::variables::{Fault, Place, judge};
use crate::diagnostic::{Code, Problem, Report};
use crate::document::{
    ChildrenDecl, CodeDecl, ContinuityDecl, Document, GroupDecl, OutputFrom, OverDecl, SourceDecl,
    StepDecl, TextDecl, WaitDecl, WorkDecl,
};
use crate::source::Span;
use crate::template::ENVIRONMENT;

pub(super) fn check(document: &Document, report: &mut Report<'_>) {
    let mut rule = Rule { document, report };
    for artifact in &document.artifacts {
        let Some((_, path)) = &artifact.file else { continue };
        let text = TextDecl { text: path.value.clone(), span: path.span, file: None };
        let owner = artifact.owner.as_ref().and_then(|owner| document.step_index(owner));
        rule.template(&text, Place::Path(owner.map(|owner| &document.steps[owner])));
    }
    for list in &document.worklists {
        if let SourceDecl::Script(command) = &list.from {
            rule.template(command, Place::List);
        }
        if let Some(select) = &list.select {
            for text in select.texts() {
                rule.template(text, Place::List);
            }
        }
    }
    if let Some(OutputFrom::Values(values)) = document.output.as_ref().map(|output| &output.from) {
        for (_, value) in values {
            rule.expression(value, Place::End);
        }
    }
    for step in &document.steps {
        rule.step(step);
        if let WorkDecl::Group(group) = &step.work {
            rule.group(step, group);
        }
    }
}

struct Rule<'c, 's> {
    document: &'c Document,
    report: &'c mut Report<'s>,
}

impl Rule<'_, '_> {
    fn step(&mut self, step: &StepDecl) {
        let place = Place::Step(step);
        for turn in step.work.turns() {
            self.template(&turn.prompt, place);
            if let ContinuityDecl::Key(key) = &turn.session.value.continuity {
                self.template(key, place);
            }
        }
        let early = step.work.code().into_iter().chain(step.hooks.early());
        for text in early.flat_map(CodeDecl::templates) {
            self.template(text, place);
        }
        for text in step.hooks.late().flat_map(CodeDecl::templates) {
            self.template(text, Place::Exit(step));
        }
        match &step.work {
            WorkDecl::Ask { question: text, .. }
            | WorkDecl::Wait { what: WaitDecl::Moment { at: text } } => self.template(text, place),
            _ => {}
        }
        for check in step.work.checks() {
            self.template(&check.command, place);
            if let Some(when) = &check.when {
                self.expression(when, place);
            }
        }
        for route in &step.routes {
            let place = Place::Exit(step);
            if let Some(handoff) = &route.handoff {
                self.template(handoff, place);
            }
            if let Some(when) = &route.when {
                self.expression(when, place);
            }
            for set in &route.set {
                self.expression(&set.value, place);
            }
            for text in route.on_taken.as_deref().into_iter().flat_map(CodeDecl::templates) {
                self.template(text, place);
            }
        }
    }

    fn group(&mut self, step: &StepDecl, group: &GroupDecl) {
        for branch in group.branches() {
            self.step(&branch.step);
            if let WorkDecl::Group(group) = &branch.step.work {
                self.group(&branch.step, group);
            }
        }
        let place = Place::Start(step);
        match &group.children {
            ChildrenDecl::Workflow(child) => {
                for text in child.templates.iter().chain(&child.message) {
                    self.template(text, place);
                }
            }
            ChildrenDecl::Items { over: OverDecl::Expression(text), .. } => {
                self.expression(text, place);
            }
            ChildrenDecl::Items { .. } | ChildrenDecl::Branches(_) => {}
        }
    }

    fn template(&mut self, text: &TextDecl, place: Place<'_>) {
        // All that a template says to the engine begins with a brace.
        if !text.text.contains('{') {
            return;
        }
        let variables = match ENVIRONMENT.template_from_str(&text.text) {
            Ok(template) => template.undeclared_variables(true),
            Err(error) => return self.does_not_parse(text, &error),
        };
        if let Some(word) = names_a_template(&text.text) {
            let message = format!("`{word}` has nothing to read{}", place_in(text, &word));
            let span = self.locate(text, &word);
            self.report.push(
                Problem::new(Code::Include, span, message)
                    .help("a prompt is one text; write the other text in place"),
            );
        }
        self.variables(text, &variables.into_iter().collect(), place);
    }

    fn expression(&mut self, text: &TextDecl, place: Place<'_>) {
        let variables = match ENVIRONMENT.compile_expression(&text.text) {
            Ok(expression) => expression.undeclared_variables(true),
            Err(error) => return self.does_not_parse(text, &error),
        };
        self.variables(text, &variables.into_iter().collect(), place);
    }

    fn variables(&mut self, text: &TextDecl, variables: &BTreeSet<String>, place: Place<'_>) {
        for variable in variables {
            // A function that templates may call.
            if ENVIRONMENT.globals().any(|(name, _)| name == *variable) {
                continue;
            }
            let Some(fault) = judge(self.document, place, variable) else { continue };
            let span = self.locate(text, variable);
            let at = place_in(text, variable);
            let problem = match fault {
                Fault::Root { roots } => {
                    let root = variable.split('.').next().unwrap_or(variable);
                    let message = format!("there is no template variable `{root}`{at}");
                    let span =
                        Span { start: span.start, end: span.end.min(span.start + root.len()) };
                    let span = if is_exact(self.report, span, root) { span } else { text.span };
                    let problem = Problem::new(Code::UnknownRoot, span, message);
                    near(problem, root, &roots, span, text.span)
                }
                Fault::Field { of, field, known } => {
                    let message = format!("`{of}` has no `{field}`{at}");
                    let start = span.start + of.len() + 1;
                    let exact = Span { start, end: start + field.len() };
                    let span = if is_exact(self.report, exact, &field) { exact } else { span };
                    let problem = Problem::new(Code::UnknownField, span, message);
                    near(problem, &field, &known, span, text.span)
                }
                Fault::NoItem => {
                    let message = format!("`{variable}` is there only for a current item{at}");
                    Problem::new(Code::NoItem, span, message).help("give the step a `scope`")
                }
            };
            self.report.push(problem);
        }
    }

    fn does_not_parse(&mut self, text: &TextDecl, error: &minijinja::Error) {
        let detail = error.detail().unwrap_or("syntax error");
        let line = error.line().unwrap_or(1);
        let at = match &text.file {
            Some(file) => format!(" ({file}, line {line})"),
            None if text.text.trim_end().contains('\n') => format!(" (line {line} of the text)"),
            None => String::new(),
        };
        let words = text.text.lines().nth(line - 1).unwrap_or("").trim().to_owned();
        let span = self.locate(text, &words);
        let message = format!("the template does not parse: {detail}{at}");
        self.report.push(Problem::new(Code::BadTemplate, span, message).help(
            "`{{ … }}` shows a value, `{% … %}` is a statement; `{% raw %}` keeps braces as they are",
        ));
    }

    /// Where some words of a text stand in the workflow's file: the value, for a text in its own file.
    fn locate(&self, text: &TextDecl, words: &str) -> Span {
        let source = self.report.text();
        let raw = source.get(text.span.start..text.span.end).unwrap_or("");
        if text.file.is_some() || words.is_empty() {
            return text.span;
        }
        find_word(raw, words).map_or(text.span, |at| {
            let start = text.span.start + at;
            Span { start, end: start + words.len() }
        })
    }
}

/// Offers a near name; a replacement makes sense only where the place is the word itself.
fn near(problem: Problem, word: &str, known: &[String], span: Span, whole: Span) -> Problem {
    let known = known.iter().map(String::as_str);
    if span == whole {
        match crate::diagnostic::nearest(word, known.clone()) {
            Some(name) => problem.label(format!("did you mean `{name}`?")),
            None => problem.help_known(known),
        }
    } else {
        problem.suggest(word, known)
    }
}

fn is_exact(report: &Report<'_>, span: Span, word: &str) -> bool {
    report.text().get(span.start..span.end) == Some(word)
}

/// The line of a text in a file of its own, in words.
fn place_in(text: &TextDecl, words: &str) -> String {
    let Some(file) = &text.file else { return String::new() };
    match find_word(&text.text, words) {
        Some(at) => {
            let line = text.text[..at].matches('\n').count() + 1;
            format!(" ({file}, line {line})")
        }
        None => format!(" ({file})"),
    }
}

/// The first place of words that is not part of a longer name, inside braces where there are any.
fn find_word(text: &str, words: &str) -> Option<usize> {
    if words.is_empty() {
        return None;
    }
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let whole = |at: usize| {
        let before = text[..at].chars().next_back();
        let after = text[at + words.len()..].chars().next();
        !before.is_some_and(|c| part(c) || c == '.') && !after.is_some_and(part)
    };
    let in_braces = |at: usize| {
        let before = &text[..at];
        before.rfind(['{']) > before.rfind(['}'])
    };
    let places: Vec<usize> =
        text.match_indices(words).map(|(at, _)| at).filter(|at| whole(*at)).collect();
    places.iter().copied().find(|at| in_braces(*at)).or_else(|| places.first().copied())
}

/// The statement that reads another template, if there is one.
fn names_a_template(text: &str) -> Option<String> {
    text.match_indices("{%").find_map(|(at, _)| {
        let rest = text[at + 2..].trim_start_matches(['-', '+']).trim_start();
        let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
        matches!(word.as_str(), "include" | "import" | "from" | "extends").then_some(word)
    })
}
