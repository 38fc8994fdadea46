//! Summarizes what changes in an object, for a log line.

use serde_json::Value;

/// Only these fields are logged with their values; others may be confidential, such as environment variables.
const SUMMARIZED: [&str; 8] = [
    "image",
    "implementation",
    "modelUri",
    "replicas",
    "host",
    "prefix",
    "weight",
    "timeout",
];

/// Changed fields, such as `image a:1 -> a:2`.
pub fn summarize(desired: &Value, live: &Value) -> Vec<String> {
    let mut all = Vec::new();
    collect(desired, live, "", &mut all);
    // A canary and the model often change in the same way.
    all.dedup();
    all
}

fn collect(desired: &Value, live: &Value, key: &str, all: &mut Vec<String>) {
    match (desired, live) {
        (Value::Object(desired), Value::Object(live)) => {
            for (key, value) in desired {
                if let Some(live) = live.get(key) {
                    collect(value, live, key, all);
                }
            }
        }
        (Value::Array(desired), Value::Array(live)) => {
            for (desired, live) in desired.iter().zip(live) {
                collect(desired, live, key, all);
            }
        }
        (desired, live) if desired != live && SUMMARIZED.contains(&key) => {
            all.push(format!("{key} {} -> {}", plain(live), plain(desired)));
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
    fn summary_names_image_and_hides_secrets() {
        let object = |image: &str, token: &str, replicas: u32| {
            let container = json!({"image": image, "env": [{"name": "TOKEN", "value": token}]});
            json!({"spec": {"predictors": [{"replicas": replicas, "containers": [container]}]}})
        };
        assert_eq!(
            summarize(&object("a:2", "hunter2", 3), &object("a:1", "hunter1", 1)),
            ["image a:1 -> a:2", "replicas 1 -> 3"]
        );
        assert!(summarize(&object("a:1", "hunter2", 1), &object("a:1", "hunter1", 1)).is_empty());
    }
}
