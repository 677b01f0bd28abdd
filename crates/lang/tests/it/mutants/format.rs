//! What the published schema of the format says of each part of a file.

use std::path::Path as FilePath;

use jsonschema::Validator;
use serde_json::{Value as Json, json};

use super::tree::{Path, Tree};

/// `docs/schema/workflow.json`.
pub(crate) struct Format {
    schema: Json,
    validator: Validator,
}

/// A part of a file, and what the format says of it.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) path: Path,
    pub(crate) rule: Rule,
}

/// What the format says of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A map with these keys that it must have, and no others than all of these.
    Fixed { required: Vec<String>, all: Vec<String> },
    /// A map of names of the author's.
    Names,
    /// A list or a scalar of the format.
    Plain,
    /// The author's own data, or a JSON Schema.
    Data,
}

impl Format {
    pub(crate) fn read() -> Self {
        let file =
            FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema/workflow.json");
        let mut schema: Json =
            serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        // A branch is a step that has `success_routes` and may go without an id.
        let mut branch = schema["definitions"]["step"].clone();
        branch["required"] = json!([]);
        for (key, of_branch) in schema["definitions"]["branch"]["properties"].as_object().unwrap() {
            branch["properties"][key] = of_branch.clone();
        }
        schema["definitions"]["branch"] = branch;
        let validator = jsonschema::validator_for(&schema).unwrap();
        Self { schema, validator }
    }

    /// Whether the form of a file is right.
    pub(crate) fn allows(&self, tree: &Tree) -> bool {
        self.validator.is_valid(&tree.json())
    }

    /// Every part of a file.
    pub(crate) fn parts(&self, tree: &Tree) -> Vec<Part> {
        let mut parts = Vec::new();
        self.walk(tree, &self.schema, &mut Vec::new(), &mut parts);
        parts
    }

    fn walk(&self, tree: &Tree, schema: &Json, path: &mut Path, parts: &mut Vec<Part>) {
        let schema = self.resolve(schema, tree);
        let rest = &schema["additionalProperties"];
        let rule = match tree {
            Tree::Map(_) if schema["properties"].is_object() && *rest == json!(false) => {
                let required = schema["required"].as_array().into_iter().flatten();
                Rule::Fixed {
                    required: required.map(|it| it.as_str().unwrap().to_owned()).collect(),
                    all: schema["properties"].as_object().unwrap().keys().cloned().collect(),
                }
            }
            Tree::Map(_) if rest.is_object() => Rule::Names,
            Tree::Map(_) => Rule::Data,
            _ if schema.is_null() => Rule::Data,
            _ => Rule::Plain,
        };
        let children: Vec<(String, &Tree)> = match tree {
            Tree::Scalar(_) => Vec::new(),
            Tree::List(items) => {
                (0..).zip(items).map(|(n, it): (usize, _)| (n.to_string(), it)).collect()
            }
            Tree::Map(entries) => entries.iter().map(|(key, it)| (key.clone(), it)).collect(),
        };
        for (key, child) in children {
            let of_child = match (&rule, tree) {
                (Rule::Data, _) => &Json::Null,
                (_, Tree::List(_)) => &schema["items"],
                (Rule::Names, _) => rest,
                _ => &schema["properties"][&key],
            };
            path.push(key);
            self.walk(child, of_child, path, parts);
            path.pop();
        }
        parts.push(Part { path: path.clone(), rule });
    }

    /// Without references, and of several forms the one that this part has.
    fn resolve<'s>(&'s self, schema: &'s Json, tree: &Tree) -> &'s Json {
        if let Some(reference) = schema["$ref"].as_str() {
            let definition = self.schema.pointer(reference.trim_start_matches('#')).unwrap();
            return self.resolve(definition, tree);
        }
        let Some(forms) = schema["oneOf"].as_array() else { return schema };
        let kind = match tree {
            Tree::Scalar(Json::String(_)) => "string",
            Tree::Scalar(_) => "scalar",
            Tree::List(_) => "array",
            Tree::Map(_) => "object",
        };
        let mut forms = forms.iter().map(|form| self.resolve(form, tree));
        let fits = |form: &&Json| {
            form["type"] == kind
                || (kind == "string" && (form["enum"].is_array() || form["const"].is_string()))
        };
        forms.find(fits).unwrap_or(&Json::Null)
    }
}
