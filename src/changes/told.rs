//! What changes in an object, in words for a log that an operator reads.

use serde_json::Value;

/// The fields that are told with their values. All others may hold what nobody should read, as an environment does.
const TOLD: [&str; 8] = [
    "image",
    "implementation",
    "modelUri",
    "replicas",
    "host",
    "prefix",
    "weight",
    "timeout",
];

/// What of those fields becomes another, as `image a:1 -> a:2`.
pub fn changes(wanted: &Value, live: &Value) -> Vec<String> {
    let mut all = Vec::new();
    collect(wanted, live, "", &mut all);
    // A canary and the model often change in the same way.
    all.dedup();
    all
}

fn collect(wanted: &Value, live: &Value, key: &str, all: &mut Vec<String>) {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            for (key, value) in wanted {
                if let Some(live) = live.get(key) {
                    collect(value, live, key, all);
                }
            }
        }
        (Value::Array(wanted), Value::Array(live)) => {
            for (wanted, live) in wanted.iter().zip(live) {
                collect(wanted, live, key, all);
            }
        }
        (wanted, live) if wanted != live && TOLD.contains(&key) => {
            all.push(format!("{key} {} -> {}", plain(live), plain(wanted)));
        }
        _ => {}
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_served_is_told_and_what_may_be_secret_is_not() {
        let object = |image: &str, token: &str, replicas: u32| {
            let container = json!({"image": image, "env": [{"name": "TOKEN", "value": token}]});
            json!({"spec": {"predictors": [{"replicas": replicas, "containers": [container]}]}})
        };
        assert_eq!(
            changes(&object("a:2", "hunter2", 3), &object("a:1", "hunter1", 1)),
            ["image a:1 -> a:2", "replicas 1 -> 3"]
        );
        assert!(changes(&object("a:1", "hunter2", 1), &object("a:1", "hunter1", 1)).is_empty());
    }
}
