//! The text of an option as YAML.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_yaml::Value;

use super::LONGEST_OPTION;
use super::value::{self, Violation};

/// A YAML document of sane size. The library refuses duplicate keys and aliases that multiply.
pub fn yaml(text: &str) -> Result<Value, Violation> {
    check_size(text)?;
    serde_yaml::from_str(text).map_err(|error| syntax_violation(&error))
}

/// The same for text that may hold several.
pub fn documents(text: &str) -> Result<Vec<Value>, Violation> {
    check_size(text)?;
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).map_err(|error| syntax_violation(&error)))
        .collect()
}

fn check_size(text: &str) -> Result<(), Violation> {
    if text.len() <= LONGEST_OPTION {
        return Ok(());
    }
    let (length, most) = (text.len() / 1024, LONGEST_OPTION / 1024);
    Err(Violation::new(
        format!("is {length} KiB long, at most {most} KiB are read"),
        "",
    ))
}

fn syntax_violation(error: &serde_yaml::Error) -> Violation {
    // The library's own text repeats what it read, which may be a secret.
    let text = error.to_string();
    let kind = ["duplicate entry", "repetition limit", "recursion limit"]
        .into_iter()
        .find(|kind| text.contains(kind))
        .map_or_else(String::new, |kind| format!(" ({kind})"));
    let place = error.location().map_or_else(String::new, |at| {
        format!(" at line {}, column {}", at.line(), at.column())
    });
    Violation::new(format!("is not sound YAML{kind}{place}"), "")
}

/// A YAML map of text to scalars as text.
pub fn scalars(value: &Value, example: &str) -> Result<BTreeMap<String, String>, Violation> {
    let Value::Mapping(map) = value else {
        return Err(Violation::new(
            format!("must be a YAML map, not {}", value::type_name(value)),
            example,
        ));
    };
    map.iter()
        .map(|(key, value)| {
            let Value::String(key) = key else {
                return Err(Violation::new("has a name that is not text", example));
            };
            let text = value::scalar(value).ok_or_else(|| {
                Violation::new(
                    format!(
                        "{} must be one value, not {}",
                        value::name_in(key),
                        value::type_name(value)
                    ),
                    example,
                )
            })?;
            Ok((key.clone(), text))
        })
        .collect()
}
