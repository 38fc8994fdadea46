//! The text of an option as YAML.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_yaml::Value;

use super::LONGEST_OPTION;
use super::value::{self, Violation};

/// A YAML document of limited size. The library rejects duplicate keys and aliases that multiply.
pub fn yaml(text: &str) -> Result<Value, Violation> {
    check_size(text)?;
    let value = serde_yaml::from_str(without_marks(text)).map_err(|error| syntax_violation(&error))?;
    merged(value)
}

/// The documents of a text that may hold several.
pub fn documents(text: &str) -> Result<Vec<Value>, Violation> {
    check_size(text)?;
    serde_yaml::Deserializer::from_str(without_marks(text))
        .map(|document| Value::deserialize(document).map_err(|error| syntax_violation(&error)))
        .map(|document| merged(document?))
        .collect()
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
    let kind = ["duplicate entry", "repetition limit", "recursion limit"]
        .into_iter()
        .find(|kind| text.contains(kind))
        .unwrap_or_default();
    let location = error.location().map_or_else(String::new, |location| {
        format!(" at line {}, column {}", location.line(), location.column())
    });
    Violation::new(format!("is not valid YAML{location}"), "").with_detail(kind)
}

/// A YAML map of text to scalars as text.
pub fn scalars(value: &Value, example: &str) -> Result<BTreeMap<String, String>, Violation> {
    let Value::Mapping(map) = value else {
        return Err(value::not_a_map(value, example));
    };
    map.iter()
        .map(|(key, value)| {
            let Value::String(key) = key else {
                return Err(Violation::new("keys must be text", example));
            };
            let text = value::scalar(value).ok_or_else(|| {
                let rule = format!("must be a single value, not {}", value::type_name(value));
                Violation::new(rule, example).in_part(value::name_in(key))
            })?;
            Ok((key.clone(), text))
        })
        .collect()
}
