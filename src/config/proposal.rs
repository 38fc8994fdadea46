//! Options as they would be, were some of them set otherwise.

use serde_json::{Map, Value};

use super::options::{ENTRY_KEYS, WITH_DEFAULT};
use super::suggestion::suggestion;

/// The options beside the words of a model.
const APPLICATION_OPTIONS: [&str; 2] = ["models", WATCH];
/// The one that is true or false, and has a default.
const WATCH: &str = "watch";
/// The options that Juju takes as whole numbers; all others are text to it.
const INTEGER_OPTIONS: [&str; 2] = ["replicas", "retries"];

/// These options with some of them set to other values, written as they would be in YAML: a map or a list need not be put in quotes.
/// Null unsets one.
///
/// # Errors
/// What is no option of this charm, with the nearest one; and null for one that has a default, which only Juju knows.
pub fn propose(options: &Map<String, Value>, changes: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let mut known = ENTRY_KEYS.to_vec();
    known.extend(APPLICATION_OPTIONS);
    let mut proposed = options.clone();
    for (option, value) in changes {
        if !known.contains(&option.as_str()) {
            return Err(format!(
                "config: {option:?} is no option of this charm{}",
                suggestion(option, &known)
            ));
        }
        if value.is_null() {
            if has_default(option) {
                return Err(format!("config: {option} has a default; write the value that is meant"));
            }
            proposed.remove(option);
            continue;
        }
        proposed.insert(option.clone(), as_juju_has_it(option, value));
    }
    Ok(proposed)
}

fn has_default(option: &str) -> bool {
    option == WATCH || WITH_DEFAULT.contains(&option)
}

fn as_juju_has_it(option: &str, value: &Value) -> Value {
    match value {
        Value::String(text) if INTEGER_OPTIONS.contains(&option) => {
            text.trim().parse::<i64>().map_or(value.clone(), Value::from)
        }
        Value::Number(_) if INTEGER_OPTIONS.contains(&option) => value.clone(),
        Value::Bool(_) if option == WATCH => value.clone(),
        Value::String(_) => value.clone(),
        // JSON is YAML.
        other => Value::String(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn proposed(changes: &Value) -> Result<Map<String, Value>, String> {
        let options = json!({"image": "iris:1", "replicas": 1, "canary": "{image: 'iris:2'}"});
        propose(options.as_object().unwrap(), changes.as_object().unwrap())
    }

    #[test]
    fn values_are_stored_as_by_juju() {
        let found = proposed(&json!({
            "image": 1.5, "replicas": "2", "retries": 3, "canary": null, "env": {"A": "b"}, "hosts": ["a.example"],
            "watch": false,
        }));
        let expected = json!({
            "image": "1.5", "replicas": 2, "retries": 3, "env": r#"{"A":"b"}"#, "hosts": r#"["a.example"]"#,
            "watch": false,
        });
        assert_eq!(found.map(Value::Object), Ok(expected));
    }

    #[test]
    fn unknown_option_is_rejected_with_a_suggestion() {
        assert_eq!(
            proposed(&json!({"immage": "x"})),
            Err("config: \"immage\" is no option of this charm; the nearest known is image".to_owned())
        );
        assert_eq!(
            proposed(&json!({"replicas": null})),
            Err("config: replicas has a default; write the value that is meant".to_owned())
        );
    }

    #[test]
    fn option_types_match_config_yaml() {
        let text = include_str!("../../config.yaml");
        let config: Value = serde_yaml::from_str(text).unwrap();
        for (option, said) in config["options"].as_object().unwrap() {
            assert_eq!(
                INTEGER_OPTIONS.contains(&option.as_str()),
                said["type"] == "int",
                "{option}"
            );
            let default = said.get("default").is_some_and(|value| value != "");
            assert_eq!(has_default(option), default, "{option}");
            assert_eq!(option == WATCH, said["type"] == "boolean", "{option}");
            assert!(proposed(&json!({option: "1"})).is_ok(), "{option}");
        }
    }
}
