//! How an operator changes an option of a model.

use super::{Message, StatusInput};
use crate::api::seldon;
use crate::config::Model;
use crate::config::options::{self, Kind};
use crate::shell::juju_config;

/// A command that changes an option. In a file or a map of the reader's, `edit` says what to change first.
pub struct Fix {
    pub run: String,
    pub edit: Option<String>,
}

/// Sets an option of a model.
pub fn set(input: &StatusInput, model: &Model, option: &str, value: &str) -> Fix {
    set_of_predictor(input, model, seldon::PREDICTOR, option, value)
}

/// Sets an option of a predictor, which a canary and a shadow have in their own map.
pub fn set_of_predictor(input: &StatusInput, model: &Model, predictor: &str, option: &str, value: &str) -> Fix {
    let run = model.predictor_config_command(input.application, predictor, option, value);
    let is_release = model.manifest.is_none() && [seldon::CANARY, seldon::SHADOW].contains(&predictor);
    let key = if is_release {
        format!("{predictor}.{option}")
    } else {
        option.to_owned()
    };
    let of_model = if model.is_entry {
        format!(" of {}", model.name)
    } else {
        String::new()
    };
    let to_value = if value == "…" {
        String::new()
    } else {
        format!(" to {value}")
    };
    let edit = (run != juju_config(input.application, option, value)).then(|| format!("set {key}{of_model}{to_value}"));
    Fix { run, edit }
}

/// Takes an option away. An empty value does it where the option is text; after `--reset`, which a number needs, Juju 4 runs no
/// hook before the next update-status.
pub fn unset(input: &StatusInput, model: &Model, option: &str) -> Fix {
    let is_text = options::find(option).is_some_and(|option| matches!(option.kind, Kind::Text | Kind::Yaml));
    if model.is_entry {
        Fix {
            run: juju_config(input.application, "models", "@models.yaml"),
            edit: Some(format!("without {option} of {}", model.name)),
        }
    } else {
        Fix {
            run: if is_text {
                juju_config(input.application, option, "")
            } else {
                input.commands().reset(option)
            },
            edit: None,
        }
    }
}

impl Message {
    /// The command of a fix, and the cause behind what has to be edited for it.
    pub fn fix(self, fix: Fix, cause: &str) -> Self {
        let parts: Vec<&str> = [fix.edit.as_deref().unwrap_or_default(), cause]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect();
        self.run(fix.run).cause(parts.join("; "))
    }
}
