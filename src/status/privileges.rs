//! What a model's pods may do that a reviewer wants to see: options and manifests can give it to them.

use std::collections::BTreeSet;

use serde_json::Value;

/// Of a SeldonDeployment. The charm's service account has the application's name, and after `juju trust` all rights of the cluster.
pub fn privileges(deployment: &Value, application: &str) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    collect(deployment.get("spec").unwrap_or(&Value::Null), application, &mut found);
    found
}

fn collect(value: &Value, application: &str, found: &mut BTreeSet<&'static str>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value) {
                    ("privileged" | "hostNetwork" | "hostPID" | "hostIPC", Value::Bool(true))
                    | ("hostPath", Value::Object(_)) => {
                        found.insert("runs privileged");
                    }
                    ("serviceAccountName" | "serviceAccount", Value::String(name)) if name == application => {
                        found.insert("uses the charm's service account");
                    }
                    _ => collect(value, application, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, application, found)),
        _ => {}
    }
}
