//! A text as a template: whether it is one expression and nothing else.

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
