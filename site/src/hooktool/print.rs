//! What tools print: a value in one of Go's forms (juju/juju, internal/cmd/output.go).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::yaml;

/// A value to print. Maps keep the order they are given in: Go sorts maps but not structs.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Node {
    /// nil.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map or struct.
    Map(Vec<(String, Node)>),
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Smart,
    Yaml,
    Json,
}

impl Node {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A list of texts.
    pub fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    /// A map in the given order.
    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    pub(super) fn print(&self, format: Format) -> String {
        match format {
            Format::Json => {
                let mut out = String::new();
                self.json(&mut out);
                out.push('\n');
                out
            }
            Format::Yaml => match self {
                Self::Null => String::new(),
                value => yaml::document(value),
            },
            Format::Smart => self.smart(),
        }
    }

    fn smart(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Text(text) if text.is_empty() => String::new(),
            Self::Text(text) => format!("{text}\n"),
            Self::Bool(true) => "True\n".to_owned(),
            Self::Bool(false) => "False\n".to_owned(),
            Self::List(items) if items.iter().all(|item| matches!(item, Self::Text(_))) => {
                items.iter().fold(String::new(), |mut out, item| {
                    if let Self::Text(text) = item {
                        out.push_str(text);
                        out.push('\n');
                    }
                    out
                })
            }
            value => yaml::document(value),
        }
    }

    fn json(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Int(value) => out.push_str(&value.to_string()),
            Self::Float(value) => out.push_str(&float(*value)),
            Self::Text(text) => quote(text, out),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.json(out);
                }
                out.push(']');
            }
            Self::Map(entries) => {
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    quote(key, out);
                    out.push(':');
                    value.json(out);
                }
                out.push('}');
            }
        }
    }
}

impl From<&Value> for Node {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => number
                .as_i64()
                .map_or_else(|| Self::Float(number.as_f64().unwrap_or_default()), Self::Int),
            Value::String(text) => Self::text(text),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(map) => {
                // Sorted here and not by serde_json, whose order depends on a feature any crate may turn on.
                let sorted: BTreeMap<&String, &Value> = map.iter().collect();
                Self::map(sorted.into_iter().map(|(key, value)| (key, Self::from(value))))
            }
        }
    }
}

impl From<&BTreeMap<String, String>> for Node {
    fn from(map: &BTreeMap<String, String>) -> Self {
        Self::map(map.iter().map(|(key, value)| (key, Self::text(value))))
    }
}

/// A number as encoding/json writes a float64: plain digits within 1e-6 and 1e21, else with an exponent.
pub(super) fn float(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        return match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
            _ => text,
        };
    }
    format!("{value}")
}

/// A string as encoding/json writes it, with its escapes for HTML.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::{Format, Node, float};

    #[test]
    fn json_is_gos() {
        let value = Node::map([
            ("t", Node::text("<é&>\u{2028}\u{1}\t\"")),
            ("n", Node::Null),
            ("l", Node::texts(["a"])),
        ]);
        assert_eq!(
            value.print(Format::Json),
            "{\"t\":\"\\u003cé\\u0026\\u003e\\u2028\\u0001\\t\\\"\",\"n\":null,\"l\":[\"a\"]}\n"
        );
        for (value, text) in [(1.0, "1"), (0.25, "0.25"), (1e21, "1e+21"), (1e-7, "1e-7")] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn smart_prints_bare_values() {
        for (value, text) in [
            (Node::Null, ""),
            (Node::text(""), ""),
            (Node::text("a\n"), "a\n\n"),
            (Node::Bool(true), "True\n"),
            (Node::Int(7), "7\n"),
            (Node::texts(["b", "a"]), "b\na\n"),
            (Node::texts([""; 0]), ""),
            (Node::Map(Vec::new()), "{}\n"),
        ] {
            assert_eq!(value.print(Format::Smart), text, "{value:?}");
        }
    }
}
