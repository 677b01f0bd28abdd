//! Templates and expressions of a workflow, rendered by `MiniJinja` with nothing undefined let through.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use botpipe_kernel::ids::Digest;
use minijinja::value::{Value as Jinja, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, escape_formatter};

use super::Roots;
use super::text::did_you_mean;

/// A template that does not parse or does not render.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}: {message}", at(*.line))]
pub struct RenderError {
    /// What the template is, as a person would say it: "the prompt of step `plan`".
    pub what: String,
    /// What is wrong, and what to write instead where that is known.
    pub message: String,
    /// Counts from 1, in the template's text.
    pub line: Option<usize>,
}

/// Renders a template once.
pub fn render(what: &str, text: &str, roots: &Roots) -> Result<String, RenderError> {
    let context = roots.context();
    environment()
        .render_named_str("template", text, Jinja::from(context.clone()))
        .map_err(|error| explain(what, &error, &context))
}

/// Whether an expression (without braces) is true: not empty, not zero, not false, not none.
///
/// # Errors
/// When it does not parse, fails, or names something undefined.
pub fn evaluate(what: &str, expression: &str, roots: &Roots) -> Result<bool, RenderError> {
    evaluated(&environment(), what, expression, roots)
}

/// Templates parsed once and rendered often, known by the digest of their text.
#[derive(Debug)]
pub struct Templates {
    parsed: Mutex<Environment<'static>>,
}

impl Default for Templates {
    fn default() -> Self {
        Self { parsed: Mutex::new(environment()) }
    }
}

impl Templates {
    /// Renders the template of that digest; `text` is read only when it was not seen before.
    pub fn render(
        &self,
        what: &str,
        digest: &Digest,
        text: &str,
        roots: &Roots,
    ) -> Result<String, RenderError> {
        self.render_known(what, digest.as_str(), text, roots)
    }

    /// Renders a text of the plan that has no digest, such as an artifact's path.
    pub fn render_text(
        &self,
        what: &str,
        text: &str,
        roots: &Roots,
    ) -> Result<String, RenderError> {
        self.render_known(what, text, text, roots)
    }

    fn render_known(
        &self,
        what: &str,
        name: &str,
        text: &str,
        roots: &Roots,
    ) -> Result<String, RenderError> {
        let context = roots.context();
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if parsed.get_template(name).is_err() {
            parsed
                .add_template_owned(name.to_owned(), text.to_owned())
                .map_err(|error| explain(what, &error, &context))?;
        }
        parsed
            .get_template(name)
            .and_then(|template| template.render(Jinja::from(context.clone())))
            .map_err(|error| explain(what, &error, &context))
    }

    /// The value of an expression (without braces) as JSON.
    ///
    /// # Errors
    /// As [`evaluate`]; and for a value that is no JSON.
    pub fn value(
        &self,
        what: &str,
        expression: &str,
        roots: &Roots,
    ) -> Result<serde_json::Value, RenderError> {
        let parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        let value = value_of(&parsed, what, expression, roots)?;
        serde_json::to_value(&value).map_err(|error| RenderError {
            what: what.to_owned(),
            message: format!("it is no JSON: {error}"),
            line: None,
        })
    }

    /// The same as [`evaluate`], without setting up an environment each time.
    pub fn evaluate(
        &self,
        what: &str,
        expression: &str,
        roots: &Roots,
    ) -> Result<bool, RenderError> {
        let parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        evaluated(&parsed, what, expression, roots)
    }
}

fn evaluated(
    environment: &Environment<'static>,
    what: &str,
    expression: &str,
    roots: &Roots,
) -> Result<bool, RenderError> {
    Ok(value_of(environment, what, expression, roots)?.is_true())
}

fn value_of(
    environment: &Environment<'static>,
    what: &str,
    expression: &str,
    roots: &Roots,
) -> Result<Jinja, RenderError> {
    let context = roots.context();
    let value = environment
        .compile_expression_owned(expression.to_owned())
        .and_then(|compiled| compiled.eval(Jinja::from(context.clone())))
        .map_err(|error| explain(what, &error, &context))?;
    if value.is_undefined() {
        let message = undefined(expression.trim(), &context);
        return Err(RenderError { what: what.to_owned(), message, line: None });
    }
    Ok(value)
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_debug(true);
    environment.set_formatter(|out, state, value| match value.kind() {
        ValueKind::Map
        | ValueKind::Seq
        | ValueKind::Iterable
        | ValueKind::Bool
        | ValueKind::None => {
            let json = serde_json::to_string(value)
                .map_err(|e| minijinja::Error::new(ErrorKind::BadSerialization, e.to_string()))?;
            out.write_str(&json).map_err(minijinja::Error::from)
        }
        _ => escape_formatter(out, state, value),
    });
    environment
}

type Context = BTreeMap<String, Jinja>;

fn explain(what: &str, error: &minijinja::Error, context: &Context) -> RenderError {
    let message = if error.kind() == ErrorKind::UndefinedError {
        match error.template_source().zip(error.range()).and_then(|(text, at)| whole_path(text, at))
        {
            Some(expression) => undefined(expression.trim(), context),
            None => "something undefined is used".to_owned(),
        }
    } else {
        match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        }
    };
    RenderError { what: what.to_owned(), message, line: error.line() }
}

/// The expression at a place of a template; one that is only the end of a path, with its start.
fn whole_path(text: &str, at: Range<usize>) -> Option<&str> {
    let found = text.get(at.clone())?;
    if !found.starts_with('.') {
        return Some(found);
    }
    let before = &text[..at.start];
    let start = before.trim_end_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.'));
    text.get(start.len()..at.end)
}

/// Says what is undefined, and the name that was perhaps meant.
fn undefined(expression: &str, context: &Context) -> String {
    let path: Vec<&str> = expression.split('.').map(str::trim).collect();
    let is_path = path.iter().all(|part| {
        !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
    });
    if !is_path {
        return format!("something in `{expression}` is undefined");
    }
    let Some(root) = context.get(path[0]) else {
        let meant = did_you_mean(path[0], context.keys().map(String::as_str));
        return format!("`{expression}` is undefined{meant}");
    };
    let mut place = root.clone();
    for (depth, part) in path.iter().enumerate().skip(1) {
        match place.get_attr(part) {
            Ok(next) if !next.is_undefined() => place = next,
            _ => {
                let keys: Vec<String> =
                    place.try_iter().into_iter().flatten().map(|key| key.to_string()).collect();
                let meant = did_you_mean(part, keys.iter().map(String::as_str));
                return format!("`{}` is undefined{meant}", path[..=depth].join("."));
            }
        }
    }
    format!("`{expression}` is undefined")
}

fn at(line: Option<usize>) -> String {
    line.map(|line| format!(", line {line}")).unwrap_or_default()
}
