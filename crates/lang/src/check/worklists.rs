//! Rule: a worklist that comes from data comes from a list that is declared.

use serde_json::{Map, Value as Json};

use super::state::types;
use crate::diagnostic::{Code, Problem, Report};
use crate::document::{Document, SchemaDecl, SourceDecl};
use crate::source::Spanned;

pub(super) fn check(document: &Document, report: &mut Report<'_>) {
    for worklist in &document.worklists {
        let (root, key, schema) = match &worklist.from {
            SourceDecl::Param(key) => ("params", key, document.params.as_ref()),
            SourceDecl::State(key) => {
                let schema = document.state.schema();
                if schema.is_none() && document.state.is_known() {
                    let message = "the workflow declares no `state`";
                    report.push(Problem::new(Code::WorklistSource, key.span, message));
                }
                ("state", key, schema)
            }
            SourceDecl::Artifact(_) | SourceDecl::Script(_) | SourceDecl::Unknown => continue,
        };
        if let Some(schema) = schema {
            of_data(root, key, schema, report);
        }
    }
}

fn of_data(root: &str, key: &Spanned<String>, schema: &SchemaDecl, report: &mut Report<'_>) {
    let properties = schema.json.get("properties").and_then(Json::as_object);
    let Some(property) = properties.and_then(|all| all.get(&key.value)) else {
        if schema.json.get("additionalProperties") == Some(&Json::Bool(false)) {
            let names = properties.into_iter().flat_map(Map::keys);
            let names: Vec<_> = names.map(|name| format!("{root}.{name}")).collect();
            let written = format!("{root}.{}", key.value);
            let message = format!("`{root}` has no `{}`", key.value);
            report.push(
                Problem::new(Code::WorklistSource, key.span, message)
                    .suggest(&written, names.iter().map(String::as_str)),
            );
        }
        return;
    };
    let types = types(property);
    if !types.is_empty() && !types.contains(&"array") {
        let message =
            format!("`{root}.{}` is {}, and a worklist is an array", key.value, types.join(" or "));
        report.push(Problem::new(Code::WorklistSource, key.span, message));
    }
}
