//! Detects whether a live object differs from the planned one.
//!
//! A server-side apply would tell, but is a write. Instead, the live object is compared with the planned one, and its
//! recorded field ownership (`metadata.managedFields`) with the fields we would own.

use std::collections::BTreeSet;

use kube::api::DynamicObject;
use serde_json::{Map, Number, Value};

use crate::config::decimal::decimal;
use crate::identity::applied_fields;

/// A live object, with its JSON.
pub struct Live<'a> {
    pub object: &'a DynamicObject,
    pub json: Value,
}

impl<'a> Live<'a> {
    pub fn new(object: &'a DynamicObject) -> Result<Self, serde_json::Error> {
        let json = serde_json::to_value(object)?;
        Ok(Self { object, json })
    }
}

/// The path of the first difference, for the log; `None` if an apply would change nothing.
pub fn drift(desired: &Value, live: &Live, manager: &str) -> Option<String> {
    let parts = desired.as_object().into_iter().flat_map(serde_json::Map::keys);
    for part in parts.filter(|part| !["apiVersion", "kind"].contains(&part.as_str())) {
        let (Some(desired), Some(live)) = (desired.get(part), live.json.get(part)) else {
            return Some(format!("{part} differs"));
        };
        if let Some(path) = missing(desired, live, part) {
            return Some(format!("{path} differs"));
        }
    }
    match applied_fields(live.object, manager) {
        None => Some("not yet applied by this application".to_owned()),
        Some(owned) => no_longer_applied(owned, desired, "")
            .map(|path| format!("{} is no longer configured", path.trim_start_matches('.'))),
    }
}

/// The field managers that have set a planned field to another value.
pub fn competing_managers(desired: &Value, live: &Live, manager: &str) -> BTreeSet<String> {
    let live = &live.json;
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    let managers = entries.into_iter().flatten().filter_map(|entry| {
        let name = entry.get("manager")?.as_str()?;
        let is_ours = name == manager && entry.get("operation")?.as_str()? == "Apply";
        (!is_ours && is_contested(entry.get("fieldsV1")?, desired, live)).then(|| name.to_owned())
    });
    managers.collect()
}

/// Fields that some field managers added to the spec.
#[derive(Debug, PartialEq)]
pub struct ManualAdditions {
    pub managers: BTreeSet<String>,
    /// A merge patch that removes them.
    pub patch: Value,
}

/// Finds fields of the spec that are not planned and were set by a manager that `is_removable` accepts. An apply
/// would leave them, although each changes what is served.
pub fn manual_additions(
    desired: &Value,
    live: &DynamicObject,
    is_removable: impl Fn(&str) -> bool,
) -> Option<ManualAdditions> {
    let mut managers = BTreeSet::new();
    let mut patch = Map::new();
    for entry in live.metadata.managed_fields.iter().flatten() {
        let manager = entry.manager.as_deref().unwrap_or_default();
        let spec = entry.fields_v1.as_ref().and_then(|fields| fields.0.get("f:spec"));
        if let (true, Some(fields), Some(desired)) = (is_removable(manager), spec, desired.get("spec"))
            && unset(fields, desired, &mut patch)
        {
            managers.insert(manager.to_owned());
        }
    }
    let patch = serde_json::json!({"spec": patch});
    (!managers.is_empty()).then_some(ManualAdditions { managers, patch })
}

/// A merge patch that removes unplanned fields of the spec that have no owner. When istiod writes the status of an
/// HTTPRoute in another API version than ours, the API server loses our ownership of the spec, and an apply leaves
/// fields that it does not name (observed with Istio 1.22, which writes v1beta1, on Kubernetes 1.34).
pub fn unowned(desired: &Value, live: &DynamicObject) -> Option<Value> {
    let desired = desired.get("spec")?.as_object()?;
    let is_owned = |field: &str| {
        let mut entries = live.metadata.managed_fields.iter().flatten();
        let pointer = format!("/f:spec/f:{field}");
        entries.any(|entry| {
            entry
                .fields_v1
                .as_ref()
                .is_some_and(|fields| fields.0.pointer(&pointer).is_some())
        })
    };
    let fields = live.data.get("spec")?.as_object()?.keys();
    let unowned: Map<String, Value> = fields
        .filter(|field| !desired.contains_key(*field) && !is_owned(field))
        .map(|field| (field.clone(), Value::Null))
        .collect();
    (!unowned.is_empty()).then(|| serde_json::json!({"spec": unowned}))
}

/// Adds null to the patch for each unplanned field. Returns whether there was any.
fn unset(fields: &Value, desired: &Value, patch: &mut Map<String, Value>) -> bool {
    let mut any = false;
    for (key, nested) in fields.as_object().into_iter().flatten() {
        let Some(field) = key.strip_prefix("f:") else {
            continue;
        };
        match desired.get(field) {
            None => {
                patch.insert(field.to_owned(), Value::Null);
                any = true;
            }
            Some(desired) => {
                let mut inner = Map::new();
                if unset(nested, desired, &mut inner) {
                    patch.insert(field.to_owned(), Value::Object(inner));
                    any = true;
                }
            }
        }
    }
    any
}

/// Whether one of the fields has another value than planned.
fn is_contested(fields: &Value, desired: &Value, live: &Value) -> bool {
    fields.as_object().into_iter().flatten().any(|(key, nested)| {
        let field = key.strip_prefix("f:");
        let Some((desired, live)) = field.and_then(|field| Some((desired.get(field)?, live.get(field)?))) else {
            return false;
        };
        let is_leaf = nested.as_object().is_none_or(serde_json::Map::is_empty);
        if is_leaf {
            missing(desired, live, "").is_some()
        } else {
            is_contested(nested, desired, live)
        }
    })
}

/// The path of the first part of `desired` that differs in `live`. Maps may have more keys. Lists may not have more
/// items, because the lists of these objects are atomic; except owner references, which are merged by UID.
fn missing(desired: &Value, live: &Value, path: &str) -> Option<String> {
    match (desired, live) {
        (Value::Object(desired), Value::Object(live)) => desired.iter().find_map(|(key, value)| {
            let path = format!("{path}.{key}");
            match live.get(key) {
                Some(live) => missing(value, live, &path),
                None => Some(path),
            }
        }),
        (Value::Array(desired), Value::Array(live)) if path == "metadata.ownerReferences" => desired
            .iter()
            .any(|item| !live.iter().any(|live_item| missing(item, live_item, "").is_none()))
            .then(|| path.to_owned()),
        (Value::Number(desired), Value::Number(live)) => (!is_same(desired, live)).then(|| path.to_owned()),
        (Value::Array(desired), Value::Array(live)) if desired.len() == live.len() => desired
            .iter()
            .zip(live)
            .enumerate()
            .find_map(|(index, (desired, live))| {
                let path = format!("{path}[{index}]");
                missing(desired, live, &path).or_else(|| unplanned(live, desired, &path))
            }),
        (desired, live) => (desired != live).then(|| path.to_owned()),
    }
}

/// Whether two numbers are equal: the API server returns 25.0 as 25.
fn is_same(desired: &Number, live: &Number) -> bool {
    let value = |number: &Number| decimal(&number.to_string());
    desired == live || value(desired).is_some_and(|desired| value(live) == Some(desired))
}

/// The path of the first unplanned part of a list item.
fn unplanned(live: &Value, desired: &Value, path: &str) -> Option<String> {
    match (live, desired) {
        (Value::Object(live), Value::Object(desired)) => live.iter().find_map(|(key, value)| {
            let path = format!("{path}.{key}");
            match desired.get(key) {
                Some(desired) => unplanned(value, desired, &path),
                None => Some(path),
            }
        }),
        // `missing` has compared nested lists.
        _ => None,
    }
}

/// The path of the first field that we own (`fieldsV1`) but no longer apply.
fn no_longer_applied(owned: &Value, desired: &Value, path: &str) -> Option<String> {
    owned.as_object()?.iter().find_map(|(key, nested)| {
        if let Some(field) = key.strip_prefix("f:") {
            let path = format!("{path}.{field}");
            return match desired.get(field) {
                None => Some(path),
                Some(desired) => no_longer_applied(nested, desired, &path),
            };
        }
        if let Some(item) = key.strip_prefix("k:") {
            // An item of a keyed list: does one with these keys remain?
            let keys: Value = serde_json::from_str(item).ok()?;
            let still = desired
                .as_array()
                .is_some_and(|items| items.iter().any(|candidate| missing(&keys, candidate, "").is_none()));
            return (!still).then(|| format!("{path}{item}"));
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const MANAGER: &str = "seldon-model-iris-aaaaaaaa";

    fn desired() -> Value {
        json!({
            "metadata": {"name": "iris", "labels": {"a": "1"}, "ownerReferences": [{"uid": "u1", "name": "iris"}]},
            "spec": {"list": [{"x": 1}], "map": {"k": "v"}},
        })
    }

    fn live(change: impl FnOnce(&mut Value)) -> DynamicObject {
        let mut value = desired();
        value["metadata"]["managedFields"] = json!([{
            "manager": MANAGER, "operation": "Apply",
            "fieldsV1": {
                "f:metadata": {"f:labels": {"f:a": {}}, "f:ownerReferences": {"k:{\"uid\":\"u1\"}": {}}},
                "f:spec": {"f:list": {}, "f:map": {"f:k": {}}},
            },
        }]);
        change(&mut value);
        serde_json::from_value(value).unwrap()
    }

    fn drift_of(change: impl FnOnce(&mut Value)) -> Option<String> {
        drift(&desired(), &Live::new(&live(change)).unwrap(), MANAGER)
    }

    #[test]
    fn foreign_map_entries_are_no_drift() {
        assert_eq!(drift_of(|_| ()), None);
        assert_eq!(
            drift_of(|v| {
                v["metadata"]["labels"]["b"] = json!("2");
                v["spec"]["map"]["l"] = json!("w");
                v["metadata"]["ownerReferences"] = json!([{"uid": "u0"}, {"uid": "u1", "name": "iris"}]);
            }),
            None
        );
    }

    #[test]
    fn every_change_of_owned_fields_is_drift() {
        let changes: [fn(&mut Value); 5] = [
            |v| v["spec"]["list"] = json!([]),
            |v| v["spec"]["list"][0]["y"] = json!(2),
            |v| v["spec"]["list"][0]["x"] = json!(2),
            |v| v["spec"]["map"]["k"] = json!("w"),
            |v| v["metadata"]["ownerReferences"] = json!([]),
        ];
        for change in changes {
            assert!(drift_of(change).is_some());
        }
    }

    #[test]
    fn owned_field_no_longer_desired_is_drift() {
        let path = drift_of(|v| {
            v["metadata"]["labels"]["old"] = json!("1");
            v["metadata"]["managedFields"][0]["fieldsV1"]["f:metadata"]["f:labels"]["f:old"] = json!({});
        });
        assert_eq!(path.as_deref(), Some("metadata.labels.old is no longer configured"));
    }

    #[test]
    fn manager_of_a_changed_field_is_found() {
        let entry =
            |manager: &str, fields: Value| json!({"manager": manager, "operation": "Update", "fieldsV1": fields});
        let found = |manager: &str, fields: Value, change: fn(&mut Value)| {
            let live = live(|v| {
                change(v);
                let entries = v["metadata"]["managedFields"].as_array_mut().unwrap();
                entries.push(entry(manager, fields));
            });
            competing_managers(&desired(), &Live::new(&live).unwrap(), MANAGER)
                .into_iter()
                .collect::<Vec<_>>()
        };
        let list = json!({"f:spec": {"f:list": {}}});
        assert_eq!(
            found("kubectl-edit", list.clone(), |v| v["spec"]["list"] = json!([])),
            ["kubectl-edit"]
        );
        // Set to the planned value, or not planned at all.
        assert!(found("kubectl-edit", list, |_| ()).is_empty());
        let other = json!({"f:status": {}, "f:spec": {"f:map": {"f:l": {}}}});
        assert!(found("manager", other, |v| v["spec"]["map"]["l"] = json!(1)).is_empty());
        let key = json!({"f:spec": {"f:map": {"f:k": {}}}});
        assert_eq!(found("helm", key, |v| v["spec"]["map"]["k"] = json!("w")), ["helm"]);
    }

    #[test]
    fn only_manual_additions_to_spec_are_removed() {
        let found = |manager: &str, fields: Value| {
            let live = live(|v| {
                let entry = json!({"manager": manager, "operation": "Update", "fieldsV1": fields});
                v["metadata"]["managedFields"].as_array_mut().unwrap().push(entry);
            });
            manual_additions(&desired(), &live, |manager| manager == "kubectl-edit").map(|found| found.patch)
        };
        let added = json!({"f:spec": {"f:list": {}, "f:protocol": {}, "f:map": {"f:k": {}, "f:l": {}}}});
        assert_eq!(
            found("kubectl-edit", added.clone()),
            Some(json!({"spec": {"protocol": null, "map": {"l": null}}}))
        );
        assert_eq!(found("manager", added), None);
        let elsewhere = json!({"f:metadata": {"f:labels": {"f:other": {}}}, "f:spec": {"f:list": {}}});
        assert_eq!(found("kubectl-edit", elsewhere), None);
    }

    #[test]
    fn field_without_manager_is_removed() {
        let found = |change: fn(&mut Value)| unowned(&desired(), &live(change));
        assert_eq!(found(|_| ()), None);
        assert_eq!(
            found(|v| v["spec"]["hostnames"] = json!(["a.example"])),
            Some(json!({"spec": {"hostnames": null}}))
        );
        let owned = |v: &mut Value| {
            v["spec"]["hostnames"] = json!(["a.example"]);
            v["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:hostnames"] = json!({});
        };
        assert_eq!(found(owned), None);
    }

    #[test]
    fn object_applied_by_others_is_not_ours() {
        assert!(drift_of(|v| v["metadata"]["managedFields"][0]["manager"] = json!("x")).is_some());
        assert!(drift_of(|v| v["metadata"]["managedFields"][0]["operation"] = json!("Update")).is_some());
    }
}
