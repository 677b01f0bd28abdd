//! Data made up from a JSON Schema: the smallest that shows every declared field.

use botpipe_kernel::plan::Worklist;
use serde_json::{Map, Value, json};

use crate::prompt::Validators;

/// How deep a schema that names itself is followed.
const DEEPEST: usize = 12;

/// A value that fits a schema; `root` is the schema that its `$ref`s are looked up in, `name` what the
/// value is called.
///
/// # Errors
/// Why none could be made up.
pub(super) fn value(schema: &Value, root: &Value, name: &str) -> Result<Value, String> {
    Maker { root }.value(schema, name, 0)
}

/// The items of a worklist that has no schema.
pub(super) fn items(list: &Worklist) -> Value {
    let mut item = Map::new();
    item.insert(list.id.clone(), json!("sample-1"));
    if let Some(title) = &list.title {
        item.insert(title.clone(), json!("sample item"));
    }
    if let Some(status) = &list.status {
        item.insert(status.clone(), json!("planned"));
    }
    json!({ list.collection.clone(): [item] })
}

struct Maker<'r> {
    root: &'r Value,
}

impl Maker<'_> {
    fn value(&self, schema: &Value, name: &str, depth: usize) -> Result<Value, String> {
        if depth > DEEPEST {
            return Err(format!("`{name}` is nested too deeply"));
        }
        for key in ["const", "default"] {
            if let Some(value) = schema.get(key) {
                return Ok(value.clone());
            }
        }
        for key in ["examples", "enum"] {
            if let Some(first) = schema[key].as_array().and_then(|all| all.first()) {
                return Ok(first.clone());
            }
        }
        if let Some(path) = schema["$ref"].as_str() {
            let found = path.strip_prefix('#').and_then(|path| self.root.pointer(path));
            let found = found.ok_or_else(|| format!("`{path}` is not in the schema"))?;
            return self.value(found, name, depth + 1);
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(first) = schema[key].as_array().and_then(|all| all.first()) {
                return self.value(first, name, depth + 1);
            }
        }
        if let Some(all) = schema["allOf"].as_array() {
            return self.value(&merged(schema, all), name, depth + 1);
        }
        let kind = match &schema["type"] {
            Value::String(kind) => kind.as_str(),
            Value::Array(kinds) => kinds.first().and_then(Value::as_str).unwrap_or("string"),
            _ if schema.get("properties").is_some() => "object",
            _ if schema.get("items").is_some() => "array",
            _ => "string",
        };
        Ok(match kind {
            "object" => self.object(schema, depth)?,
            "array" => self.array(schema, name, depth)?,
            "integer" | "number" => number(schema),
            "boolean" => Value::Bool(true),
            "null" => Value::Null,
            _ => Value::String(text(schema, name)?),
        })
    }

    fn object(&self, schema: &Value, depth: usize) -> Result<Value, String> {
        let mut object = Map::new();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let required = schema["required"]
                .as_array()
                .is_some_and(|all| all.iter().any(|it| it == name.as_str()));
            match self.value(field, name, depth + 1) {
                Ok(value) => {
                    object.insert(name.clone(), value);
                }
                Err(why) if required => return Err(why),
                // What need not be there is left out where it cannot be made up.
                Err(_) => {}
            }
        }
        Ok(Value::Object(object))
    }

    fn array(&self, schema: &Value, name: &str, depth: usize) -> Result<Value, String> {
        let least = schema["minItems"].as_u64().unwrap_or(0).max(1);
        let most = schema["maxItems"].as_u64().unwrap_or(u64::MAX);
        let mut items = Vec::new();
        for n in 1..=least.min(most) {
            let mut item = self.value(&schema["items"], name, depth + 1)?;
            if n > 1 {
                number_texts(&mut item, n);
            }
            items.push(item);
        }
        Ok(Value::Array(items))
    }
}

/// The schemas of an `allOf` as one, field by field.
fn merged(schema: &Value, all: &[Value]) -> Value {
    let mut merged = schema.clone();
    if let Some(object) = merged.as_object_mut() {
        object.remove("allOf");
        for part in all {
            for (key, value) in part.as_object().into_iter().flatten() {
                match (object.get_mut(key), value) {
                    (Some(Value::Object(known)), Value::Object(more)) => known.extend(more.clone()),
                    (Some(Value::Array(known)), Value::Array(more)) => known.extend(more.clone()),
                    _ => {
                        object.insert(key.clone(), value.clone());
                    }
                }
            }
        }
    }
    merged
}

/// Makes a further entry of a list another one.
fn number_texts(value: &mut Value, n: u64) {
    match value {
        Value::String(text) if text.starts_with("sample-") => text.extend(["-", &n.to_string()]),
        Value::Object(map) => map.values_mut().for_each(|it| number_texts(it, n)),
        _ => {}
    }
}

fn number(schema: &Value) -> Value {
    let above = schema["exclusiveMinimum"].as_i64().map(|least| least + 1);
    let least = schema["minimum"].as_i64().or(above);
    let most = schema["maximum"].as_i64();
    match (least, most) {
        (Some(least), _) => json!(least),
        (None, Some(most)) if most < 1 => json!(most),
        _ => json!(1),
    }
}

/// A text that fits: named after its field, else the first of some usual ones.
fn text(schema: &Value, name: &str) -> Result<String, String> {
    let mut own = format!("sample-{name}");
    let least = schema["minLength"].as_u64().and_then(|it| usize::try_from(it).ok()).unwrap_or(0);
    while own.chars().count() < least {
        own.push('x');
    }
    if let Some(most) = schema["maxLength"].as_u64().and_then(|it| usize::try_from(it).ok()) {
        own = own.chars().take(most).collect();
    }
    let usual = [
        "sample",
        "item-1",
        "a",
        "A",
        "1",
        "1.0.0",
        "2026-01-01",
        "2026-01-01T00:00:00Z",
        "12:00:00",
        "https://example.com",
        "someone@example.com",
        "sample/sample.txt",
        "0000000000",
        "00000000-0000-0000-0000-000000000000",
    ];
    // `true`, or no schema at all, allows anything.
    let schema_text = if schema.is_object() { schema.to_string() } else { "{}".to_owned() };
    let validators = Validators::default();
    let all = std::iter::once(own).chain(usual.map(str::to_owned));
    let found =
        all.into_iter().find(|text| validators.validate(&schema_text, &json!(text)).is_ok());
    found.ok_or_else(|| {
        let pattern = schema["pattern"].as_str().unwrap_or("its schema");
        format!("no usual text fits `{pattern}` of `{name}`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_up_fits_the_schema() {
        let schemas = [
            json!({ "type": "object", "required": ["a"], "properties": {
                "a": { "type": "array", "minItems": 2, "items": { "$ref": "#/$defs/item" } },
                "b": { "type": ["integer", "null"], "minimum": 3 },
                "c": { "enum": ["x", "y"] }, "d": { "const": 7 }, "e": { "type": "boolean" } },
              "$defs": { "item": { "type": "object", "required": ["id"], "properties": {
                "id": { "type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9._-]*$" },
                "when": { "type": "string", "pattern": "^\\d{4}-\\d\\d-\\d\\d$" } } } } }),
            json!({ "allOf": [{ "type": "object", "properties": { "a": { "type": "string", "minLength": 20 } } },
                              { "required": ["a"] }] }),
            json!({ "anyOf": [{ "type": "string", "maxLength": 3 }, { "type": "null" }] }),
            json!({ "items": { "type": "number", "exclusiveMinimum": 0, "maximum": 9 } }),
            json!({ "type": "object", "properties": { "odd": { "type": "string", "pattern": "^zq+$" } } }),
            json!({}),
        ];
        for schema in schemas {
            let made = value(&schema, &schema, "it").unwrap();
            let fits = Validators::default().validate(&schema.to_string(), &made);
            assert_eq!(fits, Ok(()), "{made}");
        }
        let made = value(&json!({ "type": "array", "minItems": 2 }), &Value::Null, "it").unwrap();
        assert_eq!(made, json!(["sample-it", "sample-it-2"]));
    }

    #[test]
    fn what_cannot_be_made_up_says_why() {
        let odd = json!({ "type": "string", "pattern": "^zq+$" });
        assert_eq!(value(&odd, &odd, "it").unwrap_err(), "no usual text fits `^zq+$` of `it`");
        let own =
            json!({ "type": "object", "required": ["a"], "properties": { "a": { "$ref": "#" } } });
        assert_eq!(value(&own, &own, "it").unwrap_err(), "`a` is nested too deeply");
        let lost = json!({ "$ref": "#/$defs/none" });
        assert_eq!(value(&lost, &lost, "it").unwrap_err(), "`#/$defs/none` is not in the schema");
    }
}
