//! What is wrong with an option: what is the case, the command to run, the cause.

use std::fmt;

use juju_hooks::status::SHOWN_BYTES;

use super::value::{Violation, name_in};
use crate::shell::{juju_config, setting};

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    Option(&'static str),
    /// The entry of a model as a whole.
    Entry(String),
    /// A key in the entry of a model.
    EntryKey(String),
    /// A key in the map that is the value of an option, or of a key in the entry of that model.
    Nested {
        option: &'static str,
        model: Option<String>,
    },
}

/// One invalid value. Its text never holds the value of an `env` variable, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The model whose entry is invalid; `None` for an option.
    pub model: Option<String>,
    what: String,
    run: Option<String>,
    cause: Vec<String>,
}

/// Longest part of a value that a message repeats, in characters.
const LONGEST_VALUE: usize = 40;

impl ConfigError {
    /// The value of `key` violates a rule.
    pub(super) fn new(application: &str, location: &Location, key: &str, violation: Violation) -> Self {
        let Violation {
            value,
            rule,
            detail,
            example,
        } = violation;
        let (key, rule, example) = (shorten(key), printable(&rule), printable(&example));
        let value = value.map(|value| format!("value: {}", shorten(&value)));
        let detail = Some(printable(&detail)).filter(|detail| !detail.is_empty());
        let mut cause: Vec<String> = value.into_iter().chain(detail).collect();
        // A file belongs to the reader: what to set in it is in the rule.
        let edit = (!example.is_empty() && !example.starts_with('@')).then(|| format!("set {key}: {example}"));
        let models_file = || juju_config(application, "models", "@models.yaml");
        let (model, what, run) = match location {
            Location::Option(option) => {
                let what = format!("option {option}: {rule}");
                let run = juju_config(application, option, &example);
                let fits = what.len() + separator(&what).len() + run.len() <= SHOWN_BYTES;
                if !example.is_empty() && (fits || example.starts_with('@')) {
                    (None, what, run)
                } else {
                    cause.extend((!example.is_empty()).then(|| format!("such as {}", setting(option, &example))));
                    (None, what, juju_config(application, option, "…"))
                }
            }
            Location::Nested { option, model: None } => {
                cause.extend(edit);
                (
                    None,
                    format!("option {option}: {key}: {rule}"),
                    juju_config(application, option, "…"),
                )
            }
            Location::Nested {
                option,
                model: Some(model),
            } => {
                cause.extend(edit);
                let what = format!("models: {}: {option}.{key}: {rule}", shown_model(model));
                (Some(model), what, models_file())
            }
            Location::EntryKey(model) => {
                cause.extend(edit);
                let what = format!("models: {}: {key}: {rule}", shown_model(model));
                (Some(model), what, models_file())
            }
            Location::Entry(model) => (
                Some(model),
                format!("models: {}: {rule}", shown_model(model)),
                models_file(),
            ),
        };
        Self {
            model: model.cloned(),
            what,
            run: Some(run),
            cause,
        }
    }

    /// What is the case, the violated rule included.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The command to run, ready to be pasted.
    pub fn run(&self) -> Option<&str> {
        self.run.as_deref()
    }

    /// The value, the rest of the rule, an example.
    pub fn cause(&self) -> Option<String> {
        (!self.cause.is_empty()).then(|| self.cause.join("; "))
    }

    /// The same error, fixed by another command than `juju config`.
    pub(super) fn fixed_by(self, run: String) -> Self {
        Self { run: Some(run), ..self }
    }

    /// The same error with one more part of its cause.
    pub(super) fn because(mut self, cause: String) -> Self {
        self.cause.push(cause);
        self
    }
}

/// What stands between what is the case and the command. A suggestion ends with a question mark.
fn separator(what: &str) -> &'static str {
    if what.ends_with('?') { " Run: " } else { ". Run: " }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(run) = &self.run {
            write!(f, "{}{run}", separator(&self.what))?;
        }
        match self.cause() {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

/// The name of a model, as far as it can be one.
fn shown_model(name: &str) -> String {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    shorten(if name.chars().all(is_name) { name } else { name_in(name) })
}

/// A value as a message shows it: one line, printable, not long.
pub(super) fn shorten(value: &str) -> String {
    let start: String = value.chars().take(LONGEST_VALUE).collect();
    let shown = printable(&start);
    if value.chars().nth(LONGEST_VALUE).is_some() {
        format!("{shown}…")
    } else if shown.is_empty() || shown.contains(char::is_whitespace) {
        format!("{shown:?}")
    } else {
        shown
    }
}

/// Rules and examples may repeat the name of a key, which may be any text.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
