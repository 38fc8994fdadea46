//! The default number of pods where a manifest sets none.
//!
//! Seldon Core up to 1.16 cannot change a Deployment without `replicas`: its patch sets them to null, Kubernetes defaults them to 1,
//! and the two go on for ever (seen with the operator of 1.14.0, some 20 patches a second). So Kubernetes' own default, 1, is set here. With
//! an autoscaler Seldon accepts no count.

use serde_json::{Map, Value as Json, json};

use crate::api::seldon::manifest::{ManifestPods, ManifestPredictor, ManifestSpec};

/// Sets 1 where there is neither a count nor an autoscaler.
pub fn apply_defaults(written: &mut Json, spec: &ManifestSpec) {
    let predictors = written.get_mut("predictors").and_then(Json::as_array_mut);
    for (written, predictor) in predictors.into_iter().flatten().zip(&spec.predictors) {
        let Some(written) = written.as_object_mut() else {
            continue;
        };
        let general = predictor.replicas.or(spec.replicas);
        if general.is_none() {
            apply_pod_defaults(written, predictor, spec);
        }
        // Seldon stops it with the predictor, whatever its own count.
        if predictor.has_explainer() && general != Some(0) {
            set_default_replicas(written.get_mut("explainer"));
        }
    }
}

fn apply_pod_defaults(written: &mut Map<String, Json>, predictor: &ManifestPredictor, spec: &ManifestSpec) {
    if !predictor.component_specs.iter().any(ManifestPods::is_autoscaled) {
        written.insert("replicas".to_owned(), json!(1));
        return;
    }
    let pods = written.get_mut("componentSpecs").and_then(Json::as_array_mut);
    for (written, pod) in pods.into_iter().flatten().zip(&predictor.component_specs) {
        if !pod.is_autoscaled() {
            set_default_replicas(Some(written));
        }
    }
    if predictor.has_own_executor(spec) {
        set_default_replicas(Some(written.entry("svcOrchSpec").or_insert_with(|| json!({}))));
    }
}

fn set_default_replicas(part: Option<&mut Json>) {
    let Some(part) = part.and_then(Json::as_object_mut) else {
        return;
    };
    let replicas = part.entry("replicas").or_insert(Json::Null);
    if replicas.is_null() {
        *replicas = json!(1);
    }
}
