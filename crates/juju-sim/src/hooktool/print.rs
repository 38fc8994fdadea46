//! What tools print: a value in one of Go's forms (juju/juju, internal/cmd/output.go).

use std::fmt::Write as _;

use super::value::{Node, float};
use super::yaml;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Smart,
    Yaml,
    Json,
}

impl Node {
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
