//! The options as they would be with some of them changed.

use serde_json::{Map, Value};

use super::options::{self, ConfigOption, Kind, Scope};
use super::suggestion::unknown;

/// The options with these changes, written as in YAML: a map or a list needs no quotes, and null resets an option.
///
/// # Errors
/// For an unknown option.
pub fn propose(options: &Map<String, Value>, changes: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let mut proposed = options.clone();
    for (name, value) in changes {
        let Some(option) = options::find(name) else {
            let known = options::names(Scope::Application);
            return Err(format!("config: {}", unknown("option", name, &known)));
        };
        let default = Value::from(option.default);
        let value = if value.is_null() { &default } else { value };
        proposed.insert(name.clone(), as_stored_by_juju(option, value));
    }
    Ok(proposed)
}

fn as_stored_by_juju(option: &ConfigOption, value: &Value) -> Value {
    match (option.kind, value) {
        (Kind::Integer, Value::String(text)) => text.trim().parse::<i64>().map_or(value.clone(), Value::from),
        (Kind::Boolean, Value::String(text)) => text.trim().parse::<bool>().map_or(value.clone(), Value::from),
        (Kind::Integer, Value::Number(_)) | (Kind::Boolean, Value::Bool(_)) | (_, Value::String(_)) => value.clone(),
        // JSON is YAML.
        (_, other) => Value::String(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn proposed(changes: &Value) -> Result<Map<String, Value>, String> {
        let options = json!({"image": "iris:1", "replicas": 3, "canary": "{image: 'iris:2'}"});
        propose(options.as_object().unwrap(), changes.as_object().unwrap())
    }

    #[test]
    fn values_are_stored_as_by_juju() {
        let found = proposed(&json!({
            "image": 1.5, "replicas": "2", "retries": 3, "env": {"A": "b"}, "hosts": ["a.example"], "watch": "false",
        }));
        let expected = json!({
            "image": "1.5", "replicas": 2, "retries": 3, "env": r#"{"A":"b"}"#, "hosts": r#"["a.example"]"#,
            "watch": false, "canary": "{image: 'iris:2'}",
        });
        assert_eq!(found.map(Value::Object), Ok(expected));
    }

    #[test]
    fn null_resets_an_option() {
        let found = proposed(&json!({"canary": null, "replicas": null, "image-pull-policy": null, "watch": null}));
        let expected = json!({
            "image": "iris:1", "canary": "", "replicas": 1, "image-pull-policy": "IfNotPresent", "watch": true,
        });
        assert_eq!(found.map(Value::Object), Ok(expected));
    }

    #[test]
    fn unknown_option_is_rejected_with_a_suggestion() {
        assert_eq!(
            proposed(&json!({"immage": "x"})),
            Err("config: unknown option `immage`, did you mean `image`?".to_owned())
        );
    }
}
