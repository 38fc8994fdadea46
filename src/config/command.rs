//! What an operator types to change words of a model: an action cannot change the configuration itself.

use serde_json::{Map, Value as Json};
use serde_yaml::{Mapping, Value};

use super::yaml::yaml;
use crate::shell::{self, juju_config, setting};

/// New values by word; one without a value is unset.
pub type Changes = Vec<(String, Option<Json>)>;

/// The command that makes these changes to a model of that name. `None` where the options cannot be read.
#[must_use]
pub fn command(application: &str, options: &Map<String, Json>, model: &str, changes: &Changes) -> Option<String> {
    let set = |word: &str| options.get(word).is_some_and(|value| value.as_str() != Some(""));
    if !set("models") {
        let pairs: Vec<String> = changes
            .iter()
            .map(|(word, value)| setting(word, &value.as_ref().map(text).unwrap_or_default()))
            .collect();
        let command = shell::command(&["juju", "config", application]);
        return Some(format!("{command} {}", pairs.join(" ")));
    }
    let mut models: Mapping = serde_yaml::from_value(yaml(options.get("models")?.as_str()?).ok()?).ok()?;
    let entry = models.get_mut(model)?;
    if entry.is_null() {
        *entry = Value::Mapping(Mapping::new());
    }
    let entry = entry.as_mapping_mut()?;
    for (word, value) in changes {
        let key = Value::String(word.clone());
        match value {
            Some(value) => drop(entry.insert(key, serde_yaml::to_value(value).ok()?)),
            // What the option says for all is unset by an empty value.
            None if set(word) => drop(entry.insert(key, Value::String(String::new()))),
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

/// The words of a model's canary, as they have to be set for the model itself. `None` where it has none.
#[must_use]
pub fn promotion(model: &super::Model) -> Option<Changes> {
    model.canary.as_ref()?;
    let mut changes: Changes = model
        .words_of_canary
        .iter()
        .filter(|(word, _)| !["weight", "match"].contains(&word.as_str()))
        .map(|(word, value)| (word.clone(), Some(value.clone())))
        .collect();
    let says = |word: &str| model.words_of_canary.contains_key(word);
    // What a graph or one server says must not stand beside the other.
    let of_a_node = super::words::OF_A_NODE;
    if says("graph") {
        changes.extend(
            of_a_node
                .iter()
                .filter(|word| model.words.contains_key(**word))
                .map(|word| ((*word).to_owned(), None)),
        );
    } else if model.words.contains_key("graph") && of_a_node.iter().any(|word| says(word)) {
        changes.push(("graph".to_owned(), None));
    }
    changes.push(("canary".to_owned(), None));
    Some(changes)
}

/// What has to be set so that these words are all that is said of a model's server.
#[must_use]
pub fn return_to(model: &super::Model, words: &Map<String, Json>) -> Changes {
    let mut changes: Changes = words
        .iter()
        .filter(|(word, value)| model.words.get(*word) != Some(*value))
        .map(|(word, value)| (word.clone(), Some(value.clone())))
        .collect();
    let gone = model.words.keys().filter(|word| !words.contains_key(*word));
    changes.extend(gone.map(|word| (word.clone(), None)));
    changes
}
