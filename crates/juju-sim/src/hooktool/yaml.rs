//! YAML as go-yaml writes it. `serde_yaml`'s output says the same but quotes otherwise, and a charm that reads a tool's
//! text by hand would meet other text than Juju's.

use super::value::{Node, float};

/// A whole document, newline at its end.
pub(super) fn document(value: &Node) -> String {
    let mut out = String::new();
    match value {
        Node::Map(entries) if !entries.is_empty() => map(entries, 0, &mut out),
        Node::List(items) if !items.is_empty() => list(items, 0, &mut out),
        scalar => {
            self::scalar(scalar, 0, &mut out);
            out.push('\n');
        }
    }
    out
}

fn map(entries: &[(String, Node)], depth: usize, out: &mut String) {
    for (index, (key, value)) in entries.iter().enumerate() {
        // The first key of a map in a list stands behind the hyphen.
        if index > 0 || !out.ends_with("- ") {
            out.push_str(&" ".repeat(depth));
        }
        text(key, depth, out);
        out.push(':');
        match value {
            Node::Map(inner) if !inner.is_empty() => {
                out.push('\n');
                map(inner, depth + 2, out);
            }
            Node::List(items) if !items.is_empty() => {
                out.push('\n');
                list(items, depth, out);
            }
            value => {
                out.push(' ');
                scalar(value, depth + 2, out);
                out.push('\n');
            }
        }
    }
}

fn list(items: &[Node], depth: usize, out: &mut String) {
    for item in items {
        out.push_str(&" ".repeat(depth));
        out.push_str("- ");
        match item {
            Node::Map(inner) if !inner.is_empty() => map(inner, depth + 2, out),
            Node::List(inner) if !inner.is_empty() => {
                // go-yaml puts a list in a list on the same line; a line of its own means the same.
                out.truncate(out.len() - 1);
                out.push('\n');
                list(inner, depth + 2, out);
            }
            value => {
                scalar(value, depth + 2, out);
                out.push('\n');
            }
        }
    }
}

fn scalar(value: &Node, depth: usize, out: &mut String) {
    match value {
        Node::Null => out.push_str("null"),
        Node::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Node::Int(value) => out.push_str(&value.to_string()),
        Node::Float(value) => out.push_str(&float(*value)),
        Node::Text(value) => text(value, depth, out),
        Node::List(_) => out.push_str("[]"),
        Node::Map(_) => out.push_str("{}"),
    }
}

fn text(text: &str, depth: usize, out: &mut String) {
    if text.contains('\n') && block_can_hold(text) {
        block(text, depth, out);
    } else if text.is_empty() || means_otherwise(text) || text.chars().any(char::is_control) {
        double(text, out);
    } else if plain_can_hold(text) {
        out.push_str(text);
    } else {
        out.push('\'');
        out.push_str(&text.replace('\'', "''"));
        out.push('\'');
    }
}

/// Whether a plain scalar would be read as something else than text.
fn means_otherwise(text: &str) -> bool {
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "~" | "null"
            | "true"
            | "false"
            | "yes"
            | "no"
            | "on"
            | "off"
            | "y"
            | "n"
            | "<<"
            | "="
            | ".nan"
            | ".inf"
            | "-.inf"
            | "+.inf"
    );
    let digits = text.replace('_', "");
    let based = ["0x", "0o", "0b"]
        .iter()
        .any(|prefix| digits.trim_start_matches(['-', '+']).starts_with(prefix));
    // `infinity` and `nan` parse as numbers in Rust and are plain words in YAML.
    let number = digits.parse::<f64>().is_ok() && !digits.contains(['f', 'F', 'a', 'A']);
    let date = text.len() >= 8
        && text.split('-').count() == 3
        && text.starts_with(|letter: char| letter.is_ascii_digit())
        && text
            .chars()
            .take(8)
            .all(|letter| letter.is_ascii_digit() || letter == '-');
    word || based || number || date || base_sixty(text)
}

/// `12:30` is a number in YAML 1.1, so go-yaml quotes it.
fn base_sixty(text: &str) -> bool {
    text.contains(':')
        && text.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-' || letter == '+')
        && text
            .trim_start_matches(['-', '+'])
            .split(':')
            .all(|part| !part.is_empty() && part.chars().all(|letter| letter.is_ascii_digit() || letter == '.'))
}

fn plain_can_hold(text: &str) -> bool {
    let mut letters = text.chars();
    let first = letters.next().unwrap_or(' ');
    let second = letters.next().unwrap_or(' ');
    let starts = match first {
        '-' | '?' | ':' => !second.is_whitespace(),
        first => !first.is_whitespace() && !",[]{}#&*!|>'\"%@`".contains(first),
    };
    starts && !text.ends_with([' ', ':']) && !text.contains(": ") && !text.contains(" #") && !text.starts_with("---")
}

/// A block needs no escapes, no leading blank (it would need an indent hint) and some text.
fn block_can_hold(text: &str) -> bool {
    !text.starts_with([' ', '\n'])
        && !text.lines().any(|line| line.ends_with(' '))
        && !text.chars().any(|letter| letter.is_control() && letter != '\n')
}

fn block(text: &str, depth: usize, out: &mut String) {
    let trimmed = text.trim_end_matches('\n');
    out.push_str(match text.len() - trimmed.len() {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&" ".repeat(depth.max(2)));
            out.push_str(line);
        }
    }
}

fn double(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            letter if letter.is_control() => {
                use std::fmt::Write as _;
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04X}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::super::value::Node;
    use super::document;

    #[test]
    fn what_is_written_reads_back_as_the_same_text() {
        for text in [
            "",
            "a",
            "12",
            "0x1f",
            "true",
            "No",
            "~",
            "a: b",
            "a:",
            "- a",
            "-1 replicas",
            "[x]",
            "it's",
            "#x",
            "a #b",
            " lead",
            "trail ",
            "two\nlines",
            "two\nlines\n",
            "ends\n\n",
            " \nodd",
            "tab\there",
            "12:30",
            "2026-01-02",
            "{\"a\": [1, \"<\"]}",
            "日本",
            "1e3",
            "..",
            "nan",
            "infinity",
            "*a",
            "&a",
            "%x",
            "@x",
            "a\r\nb",
            "null",
        ] {
            let written = document(&Node::map([(
                "k",
                Node::List(vec![Node::map([("v", Node::text(text))])]),
            )]));
            let read: serde_json::Value = serde_yaml::from_str(&written)
                .unwrap_or_else(|error| panic!("{text:?} was written as {written:?}: {error}"));
            assert_eq!(read["k"][0]["v"], text, "{written:?}");
        }
    }

    #[test]
    fn numbers_in_text_get_gos_double_quotes() {
        assert_eq!(
            document(&Node::map([("value", Node::text("12345"))])),
            "value: \"12345\"\n"
        );
        assert_eq!(document(&Node::text("a\nb\n")), "|\n  a\n  b\n");
    }
}
