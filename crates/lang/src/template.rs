//! A text as a template: what it is parsed with, and whether it is one expression and nothing else.

use std::sync::LazyLock;

use minijinja::Environment;

/// What every template of the language is parsed with; making one takes longer than parsing a text.
pub(crate) static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(Environment::new);

/// The expression of a text that is `{{ expression }}` and nothing else: its value keeps its type.
pub fn sole_expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let plain = !inner.contains("{{") && !inner.contains("}}") && !inner.contains("{%");
    plain.then(|| inner.trim_matches(['-', '+']).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_expression_keeps_its_type() {
        assert_eq!(sole_expression(" {{ input.files }} "), Some("input.files"));
        assert_eq!(sole_expression("{{- params.n + 1 -}}"), Some("params.n + 1"));
        for text in ["", "a", "{{ a }} b", "{{ a }}{{ b }}", "{% if a %}", "{{ a }}{% x %}{{ b }}"]
        {
            assert_eq!(sole_expression(text), None, "{text}");
        }
    }
}
