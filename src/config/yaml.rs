//! The text of an option as YAML.

mod document;
mod kubectl;

use std::collections::BTreeMap;

use serde_yaml::{Mapping, Value};

use super::LONGEST_OPTION;
use super::value::{self, Violation};
use document::Dialect;

/// A YAML document of limited size. The library rejects aliases that multiply.
pub fn yaml(text: &str) -> Result<Value, Violation> {
    single_document(text, Dialect::Options)
}

/// The same as the value of an option.
pub fn option(name: &str, text: &str) -> Result<Value, Violation> {
    single_document(text, Dialect::Options.under(name))
}

/// The documents of Kubernetes' own objects. Empty ones are left out.
pub fn documents(text: &str) -> Result<Vec<Value>, Violation> {
    read(text, Dialect::Kubectl)
}

fn single_document(text: &str, dialect: Dialect) -> Result<Value, Violation> {
    let mut documents = read(text, dialect)?;
    match documents.len() {
        0 | 1 => Ok(documents.pop().unwrap_or_default()),
        several => Err(Violation::new(format!("has {several} YAML documents, must be one"), "")),
    }
}

fn read(text: &str, dialect: Dialect) -> Result<Vec<Value>, Violation> {
    check_size(text)?;
    let documents = document::documents(without_marks(text), dialect)?;
    let full = documents.into_iter().filter(|document| !document.is_null());
    full.map(merged).collect()
}

/// Without what editors leave and kubectl takes: a byte order mark, and tabs on the last lines, which YAML does not allow.
fn without_marks(text: &str) -> &str {
    let text = text.trim_start_matches('\u{feff}');
    let trimmed = text.trim_end();
    let rest = text.get(trimmed.len()..).unwrap_or_default();
    if rest.contains('\t') { trimmed } else { text }
}

/// With the maps under merge keys (`<<`) merged.
fn merged(mut value: Value) -> Result<Value, Violation> {
    let not_a_map = |_| Violation::new("<< must be a map or a list of maps", "");
    value.apply_merge().map_err(not_a_map)?;
    Ok(value)
}

fn check_size(text: &str) -> Result<(), Violation> {
    if text.len() > LONGEST_OPTION {
        let (length, most) = (text.len() / 1024, LONGEST_OPTION / 1024);
        return Err(Violation::new(
            format!("is {length} KiB long, must be at most {most} KiB"),
            "",
        ));
    }
    if has_endless_nesting(text) {
        return Err(Violation::new("is not valid YAML", "").with_detail("recursion limit"));
    }
    Ok(())
}

/// Whether brackets are nested deeper than any valid text has them, and so deep that the library takes seconds to reject it. Those
/// in quotes are counted too.
fn has_endless_nesting(text: &str) -> bool {
    const DEEPEST: usize = 1000;
    let mut depth = 0_usize;
    text.bytes().any(|b| {
        match b {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEEPEST
    })
}

fn syntax_violation(error: &serde_yaml::Error) -> Violation {
    // The library's own text repeats what it read, which may be a secret.
    let text = error.to_string();
    if text.contains(document::A_KEY) {
        return Violation::new(format!("keys must be text{}", line_and_column(error)), "");
    }
    let kind = ["repetition limit", "recursion limit"]
        .into_iter()
        .find(|kind| text.contains(kind))
        .unwrap_or_default();
    Violation::new(format!("is not valid YAML{}", line_and_column(error)), "").with_detail(kind)
}

fn line_and_column(error: &serde_yaml::Error) -> String {
    error.location().map_or_else(String::new, |location| {
        format!(" at line {}, column {}", location.line(), location.column())
    })
}

/// The value of a key without the forms in which its numbers and flags were typed. It is read as the same value again.
pub fn without_tags(key: &str, value: Value) -> Value {
    match value {
        Value::Tagged(tagged) => tagged.value,
        Value::Sequence(list) => list.into_iter().map(|item| without_tags("", item)).collect(),
        Value::Mapping(map) => map
            .into_iter()
            .map(|(name, value)| {
                let value = match (key, name.as_str()) {
                    ("parameters", _) => value::with_type(value),
                    (_, name) => without_tags(name.unwrap_or_default(), value),
                };
                (name, value)
            })
            .collect::<Mapping>()
            .into(),
        other => other,
    }
}

/// A YAML map of text to scalars, in whichever form they were typed.
pub fn scalars(value: &Value, example: &str) -> Result<BTreeMap<String, String>, Violation> {
    entries(value, example, |_| true)
}

/// A YAML map of text to text. What YAML reads in another form than it was typed must be in quotes: `3.10` is another version than the
/// 3.1 that other readers make of it.
pub fn texts(value: &Value, example: &str) -> Result<BTreeMap<String, String>, Violation> {
    entries(value, example, |value| !matches!(value, Value::Tagged(_)))
}

fn entries(value: &Value, example: &str, is_text: fn(&Value) -> bool) -> Result<BTreeMap<String, String>, Violation> {
    let Value::Mapping(map) = value else {
        return Err(value::not_a_map(value, example));
    };
    map.iter()
        .map(|(key, value)| {
            let Value::String(key) = key else {
                return Err(Violation::new("keys must be text", example));
            };
            let text = value::scalar(value::untagged(value)).ok_or_else(|| {
                let rule = format!("must be a single value, not {}", value::type_name(value));
                let detail = if value.is_null() {
                    "for text put it in quotes"
                } else {
                    ""
                };
                Violation::new(rule, example)
                    .with_detail(detail)
                    .in_part(value::name_in(key))
            })?;
            if !is_text(value) {
                return Err(Violation::new("must be text, put it in quotes", example)
                    .with_detail(format!("YAML reads {} in another form", value::type_name(value)))
                    .in_part(value::name_in(key)));
            }
            Ok((key.clone(), text))
        })
        .collect()
}
