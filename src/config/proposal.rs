//! The options as they would be with some of them changed.

use serde_json::{Map, Value};

use super::options::{ENTRY_KEYS, WITH_DEFAULT};
use super::suggestion::unknown;

/// The options of the application itself.
const APPLICATION_OPTIONS: [&str; 2] = ["models", WATCH];
/// A boolean with a default.
const WATCH: &str = "watch";
/// The options of type `int`; all others but `watch` are text.
const INTEGER_OPTIONS: [&str; 2] = ["replicas", "retries"];

/// The options with these changes, written as in YAML: a map or a list needs no quotes, and null unsets an option.
///
/// # Errors
/// For an unknown option, and for null where only Juju knows the default.
pub fn propose(options: &Map<String, Value>, changes: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let mut known = ENTRY_KEYS.to_vec();
    known.extend(APPLICATION_OPTIONS);
    let mut proposed = options.clone();
    for (option, value) in changes {
        if !known.contains(&option.as_str()) {
            return Err(format!("config: {}", unknown("option", option, &known)));
        }
        if value.is_null() {
            if has_default(option) {
                return Err(format!(
                    "config: option {option} has a default, set a value instead of null"
                ));
            }
            proposed.remove(option);
            continue;
        }
        proposed.insert(option.clone(), as_stored_by_juju(option, value));
    }
    Ok(proposed)
}

fn has_default(option: &str) -> bool {
    option == WATCH || WITH_DEFAULT.contains(&option)
}

fn as_stored_by_juju(option: &str, value: &Value) -> Value {
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
            Err("config: unknown option `immage`, did you mean `image`?".to_owned())
        );
        assert_eq!(
            proposed(&json!({"replicas": null})),
            Err("config: option replicas has a default, set a value instead of null".to_owned())
        );
    }

    #[test]
    fn option_types_match_config_yaml() {
        let text = include_str!("../../config.yaml");
        let config: Value = serde_yaml::from_str(text).unwrap();
        for (option, declared) in config["options"].as_object().unwrap() {
            assert_eq!(
                INTEGER_OPTIONS.contains(&option.as_str()),
                declared["type"] == "int",
                "{option}"
            );
            let default = declared.get("default").is_some_and(|value| value != "");
            assert_eq!(has_default(option), default, "{option}");
            assert_eq!(option == WATCH, declared["type"] == "boolean", "{option}");
            assert!(proposed(&json!({option: "1"})).is_ok(), "{option}");
        }
    }
}
