//! `key=value` arguments and `--file`, shared by the tools that set things.

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::{Arguments, Context, Failure};

/// `key=value` arguments; a value may hold further equal signs.
pub(super) fn pairs(arguments: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    arguments
        .iter()
        .map(|argument| match argument.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(Failure::Usage(format!("expected \"key=value\", got {argument:?}"))),
        })
        .collect()
}

/// The map of `--file`, empty without the flag. `-` is standard input.
pub(super) fn file(context: &Context, arguments: &Arguments<'_>) -> Result<BTreeMap<String, String>, Failure> {
    let Some(name) = arguments.parsed.text("file") else {
        return Ok(BTreeMap::new());
    };
    map(&read(context, arguments, name)?)
}

/// A file's bytes, relative to the working directory; `-` is standard input.
pub(super) fn read(context: &Context, arguments: &Arguments<'_>, name: &str) -> Result<Vec<u8>, Failure> {
    if name == "-" {
        return arguments.stdin.map(<[u8]>::to_vec).ok_or(Failure::WantsStdin);
    }
    std::fs::read(context.cwd.join(name)).map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            _ => error.to_string(),
        };
        Failure::Run(format!("open {name}: {why}"))
    })
}

/// The first document of YAML text as Go's `map[string]string`: numbers and truth values are taken as their text.
fn map(bytes: &[u8]) -> Result<BTreeMap<String, String>, Failure> {
    use serde::Deserialize as _;
    let text = String::from_utf8_lossy(bytes);
    let Some(document) = serde_yaml::Deserializer::from_str(&text).next() else {
        return Ok(BTreeMap::new());
    };
    let value = Value::deserialize(document).map_err(|error| Failure::Run(format!("yaml: {error}")))?;
    let entries = match value {
        Value::Null => return Ok(BTreeMap::new()),
        Value::Mapping(entries) => entries,
        other => return Err(mismatch(&other, "map[string]string")),
    };
    entries
        .iter()
        .map(|(key, value)| match (scalar(key), scalar(value)) {
            (Some(key), Some(value)) => Ok((key, value)),
            (None, _) => Err(mismatch(key, "string")),
            (_, None) => Err(mismatch(value, "string")),
        })
        .collect()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// go-yaml's complaint. The line is always given as 1: a tool's input is one document on few lines.
fn mismatch(value: &Value, into: &str) -> Failure {
    let what = match value {
        Value::Sequence(_) => "!!seq".to_owned(),
        Value::Mapping(_) | Value::Tagged(_) => "!!map".to_owned(),
        scalar_value => {
            let tag = match scalar_value {
                Value::Bool(_) => "!!bool",
                Value::Number(number) if number.is_f64() => "!!float",
                Value::Number(_) => "!!int",
                _ => "!!str",
            };
            let text = scalar(scalar_value).unwrap_or_default();
            // go-yaml cuts what it quotes at ten bytes.
            let shown = if text.len() > 10 {
                format!("{}...", text.chars().take(7).collect::<String>())
            } else {
                text
            };
            format!("{tag} `{shown}`")
        }
    };
    Failure::Run(format!(
        "yaml: unmarshal errors:\n  line 1: cannot unmarshal {what} into {into}"
    ))
}
