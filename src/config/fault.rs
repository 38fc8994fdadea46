//! What is wrong with an option, said so that the reader can mend it.

use std::fmt;

use super::value::Rule;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An option of the application.
    Option(&'static str),
    /// A word in the entry of that model.
    Entry(String),
}

/// One fault. Its text never holds the value of an `env` variable, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The model whose entry is faulty; `None` for an option.
    pub model: Option<String>,
    text: String,
    mend: String,
}

/// Longest part of a value that a message repeats, in characters.
const LONGEST_VALUE: usize = 40;

impl Fault {
    /// A rule that the value of `key` breaks.
    pub(super) fn new(application: &str, place: &Place, key: &str, broken: Rule) -> Self {
        let value = broken
            .value
            .map(|value| format!("={}", shorten(&value)))
            .unwrap_or_default();
        let key = shorten(key);
        let rule = one_line(&broken.rule);
        match place {
            Place::Option(option) => Self {
                model: None,
                text: format!("option {option}{value}: {rule}"),
                mend: if broken.example.is_empty() {
                    format!("mend it with juju config {application} {option}=…")
                } else {
                    format!("juju config {application} {option}={}", quote(&broken.example))
                },
            },
            Place::Entry(model) => Self {
                text: format!("models: {}: {key}{value}: {rule}", shorten(model)),
                mend: if broken.example.is_empty() {
                    format!("mend it and juju config {application} models=@models.yaml")
                } else {
                    format!(
                        "write {key}: {} and juju config {application} models=@models.yaml",
                        broken.example
                    )
                },
                model: Some(model.clone()),
            },
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.text, self.mend)
    }
}

/// A value as a message shows it: one line, printable, not long.
fn shorten(value: &str) -> String {
    let shown: String = value.chars().take(LONGEST_VALUE).map(printable).collect();
    if value.chars().nth(LONGEST_VALUE).is_some() {
        format!("{shown}…")
    } else if shown.is_empty() || shown.contains(char::is_whitespace) {
        format!("{shown:?}")
    } else {
        shown
    }
}

/// A rule may repeat the name of a key.
fn one_line(rule: &str) -> String {
    rule.chars().map(printable).collect()
}

fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// An argument as a shell takes it: the examples have no single quotes.
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,%+".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{text}'")
    }
}
