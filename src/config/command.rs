//! The command that changes options of a model: an action cannot change the configuration itself.

use serde_json::{Map, Value as Json};
use serde_yaml::{Mapping, Value};

use super::options::{self, Scope};
use super::yaml::{without_tags, yaml};
use crate::shell::{self, juju_config, setting};

/// New values by option; one without a value is unset.
pub type OptionChanges = Vec<(String, Option<Json>)>;

/// `None` if the options cannot be read.
pub fn command(application: &str, options: &Map<String, Json>, model: &str, changes: &OptionChanges) -> Option<String> {
    let set = |option: &str| options.get(option).is_some_and(|value| value.as_str() != Some(""));
    if !set("models") {
        let pairs: Vec<String> = changes
            .iter()
            .map(|(option, value)| setting(option, &value.as_ref().map(text).unwrap_or_default()))
            .collect();
        let command = shell::command(&["juju", "config", application]);
        return Some(format!("{command} {}", pairs.join(" ")));
    }
    let mut models: Mapping = without_tags("", yaml(options.get("models")?.as_str()?).ok()?)
        .as_mapping()?
        .clone();
    let entry = models.get_mut(model)?;
    if entry.is_null() {
        *entry = Value::Mapping(Mapping::new());
    }
    let entry = entry.as_mapping_mut()?;
    for (option, value) in changes {
        let key = Value::String(option.clone());
        match value {
            Some(value) => drop(entry.insert(key, serde_yaml::to_value(value).ok()?)),
            // The default of all models is unset by an empty value.
            None if set(option) => drop(entry.insert(key, Value::String(String::new()))),
            None => drop(entry.remove(&key)),
        }
    }
    // JSON is YAML on one line.
    let text = serde_json::to_string(&models).ok()?;
    Some(juju_config(application, "models", &text))
}

fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The options of a model's canary, as they have to be set for the model itself. `None` if it has no canary.
pub fn promotion(model: &super::Model) -> Option<OptionChanges> {
    model.canary.as_ref()?;
    let mut changes: OptionChanges = model
        .canary_options
        .iter()
        .filter(|(option, _)| !["weight", "match"].contains(&option.as_str()))
        .map(|(option, value)| (option.clone(), Some(value.clone())))
        .collect();
    let is_set = |option: &str| model.canary_options.contains_key(option);
    // A graph cannot be combined with the options of a single server.
    let node_keys = options::names(Scope::Node);
    if is_set("graph") {
        changes.extend(
            node_keys
                .iter()
                .filter(|option| model.options.contains_key(**option))
                .map(|option| ((*option).to_owned(), None)),
        );
    } else if model.options.contains_key("graph") && node_keys.iter().any(|option| is_set(option)) {
        changes.push(("graph".to_owned(), None));
    }
    changes.push(("canary".to_owned(), None));
    Some(changes)
}

/// The changes after which a model's server has these options and no others.
pub fn restore(model: &super::Model, options: &Map<String, Json>) -> OptionChanges {
    let mut changes: OptionChanges = options
        .iter()
        .filter(|(option, value)| model.options.get(*option) != Some(*value))
        .map(|(option, value)| (option.clone(), Some(value.clone())))
        .collect();
    let removed = model.options.keys().filter(|option| !options.contains_key(*option));
    changes.extend(removed.map(|option| (option.clone(), None)));
    changes
}
