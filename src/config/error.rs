//! What is wrong with an option, said so that the reader can mend it.

use std::fmt;

use super::value::Violation;
use crate::shell::juju_config;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// An option of the application.
    Option(&'static str),
    /// A word in the entry of that model.
    Entry(String),
    /// A word in the map that is the value of an option, or of a word in the entry of that model.
    Nested {
        /// The option or the word.
        option: &'static str,
        /// The model whose entry it is in.
        model: Option<String>,
    },
}

/// One fault. Its text never holds the value of an `env` variable, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The model whose entry is faulty; `None` for an option.
    pub model: Option<String>,
    text: String,
    fix: String,
}

/// Longest part of a value that a message repeats, in characters.
const LONGEST_VALUE: usize = 40;

impl ConfigError {
    /// A rule that the value of `key` breaks.
    pub(super) fn new(application: &str, location: &Location, key: &str, violation: Violation) -> Self {
        let value = violation
            .value
            .map(|value| format!("={}", shorten(&value)))
            .unwrap_or_default();
        let key = shorten(key);
        let rule = printable(&violation.rule);
        let example = printable(&violation.example);
        let file = juju_config(application, "models", "@models.yaml");
        let in_entry = |key: &str, example: &str| {
            if example.is_empty() {
                format!("mend it and {file}")
            } else {
                format!("write {key}: {example} and {file}")
            }
        };
        match location {
            Location::Option(option) => Self {
                model: None,
                text: format!("option {option}{value}: {rule}"),
                fix: if example.is_empty() {
                    format!("mend it with {}", juju_config(application, option, "…"))
                } else {
                    juju_config(application, option, &example)
                },
            },
            Location::Nested { option, model: None } => Self {
                model: None,
                text: format!("option {option}: {key}{value}: {rule}"),
                fix: if example.is_empty() {
                    format!("mend it with {}", juju_config(application, option, "{…}"))
                } else {
                    format!(
                        "write {key}: {example} in it and {}",
                        juju_config(application, option, "{…}")
                    )
                },
            },
            Location::Nested {
                option,
                model: Some(model),
            } => Self {
                text: format!("models: {}: {option}: {key}{value}: {rule}", shorten(model)),
                fix: in_entry(&key, &example),
                model: Some(model.clone()),
            },
            Location::Entry(model) => Self {
                text: format!("models: {}: {key}{value}: {rule}", shorten(model)),
                fix: in_entry(&key, &example),
                model: Some(model.clone()),
            },
        }
    }
}

impl ConfigError {
    /// The same fault, mended otherwise than by another value.
    pub(super) fn fixed_by(self, fix: String) -> Self {
        Self { fix, ..self }
    }

    /// The same fault, mended by something else before its mend.
    pub(super) fn fixed_after(self, first: &str) -> Self {
        let fix = format!("{first}, {}", self.fix);
        self.fixed_by(fix)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.text, self.fix)
    }
}

/// A value as a message shows it: one line, printable, not long.
fn shorten(value: &str) -> String {
    let shown: String = printable(value).chars().take(LONGEST_VALUE).collect();
    if value.chars().nth(LONGEST_VALUE).is_some() {
        format!("{shown}…")
    } else if shown.is_empty() || shown.contains(char::is_whitespace) {
        format!("{shown:?}")
    } else {
        shown
    }
}

/// Rules and examples may repeat the name of a key, and that may be anything.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
