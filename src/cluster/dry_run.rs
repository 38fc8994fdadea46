//! Dry runs of an apply.

use kube::api::{Patch, PatchParams, ValidationDirective};
use serde_json::{Map, Value};

use super::Cluster;
use super::apply_body::apply_body;
use crate::api_error::ApiError;
use crate::changes::{Apply, ApplyMode};

impl Cluster {
    /// Returns the object as it would be after the apply. The API server calls admission webhooks as usual, but fails
    /// the dry run if one has side effects.
    pub async fn dry_run(&self, apply: &Apply) -> Result<Value, ApiError> {
        let api = self.in_namespace(apply.namespace(), &apply.kind.resource());
        let parameters = PatchParams {
            dry_run: true,
            force: apply.mode == ApplyMode::Force,
            field_manager: Some(self.identity.manager()),
            field_validation: Some(ValidationDirective::Strict),
        };
        let body = apply_body(&apply.object)?;
        let patch = Patch::Apply(&body);
        let object = self
            .call(|| api.patch(&apply.name, &parameters, &patch))
            .await
            .map_err(|error| error.for_object(apply.kind, apply.namespace(), &apply.name))?;
        let mut object = serde_json::to_value(object)?;
        if let Some(patch) = &apply.removals {
            merge(&mut object, patch);
        }
        Ok(object)
    }
}

/// Applies a JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(map) = target.as_object_mut() else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            map.remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merge_patch_removes_sets_and_keeps() {
        let mut target = json!({"a": {"b": 1, "c": 2}, "d": [1]});
        merge(&mut target, &json!({"a": {"b": null, "e": {"f": 1}}, "d": [2]}));
        assert_eq!(target, json!({"a": {"c": 2, "e": {"f": 1}}, "d": [2]}));
    }
}
