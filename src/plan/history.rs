//! Records on the SeldonDeployment which options a model served with last, so that `rollback` can go back to them.

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::types::{OptionMap, PlannedPredictor};
use crate::config::Model;
use crate::config::options::{self, Scope};
use crate::identity::applied_fields;
use crate::labels;
use crate::observed::Observed;
use crate::plan::readiness;

/// In bytes. Kubernetes allows 256 KiB of annotations, and there are two records.
const LONGEST: usize = 96 * 1024;

/// The options as text, of the spec that serves and of the one before.
pub struct Record {
    serves: Option<String>,
    previous: Option<String>,
}

impl Record {
    /// The record of the live SeldonDeployment, brought up to date if the model is ready.
    pub fn current(model: &Model, predictors: &[PlannedPredictor], observed: &Observed, manager: &str) -> Self {
        let record = Self::read(&model.name, observed, manager);
        let options = serialize_options(&model.options);
        let is_recorded = record.serves.as_ref() == Some(&options);
        if is_recorded || !readiness::predictors_are_ready(&model.name, predictors, observed) {
            return record;
        }
        Self {
            previous: record.serves,
            serves: Some(options),
        }
    }

    /// Reads the annotations that this application wrote. One that another client has set since then is ignored,
    /// going by the API server's record of field ownership: it would end up in a command that an operator pastes.
    fn read(model: &str, observed: &Observed, manager: &str) -> Self {
        let live = observed.seldon_deployment(model);
        let get = |key: &str| {
            let live = live?;
            let owned = applied_fields(live, manager)?.pointer("/f:metadata/f:annotations")?;
            owned.get(format!("f:{key}"))?;
            live.annotations().get(key).filter(|text| is_record(text)).cloned()
        };
        Self {
            serves: get(labels::SERVES),
            previous: get(labels::SERVED_BEFORE),
        }
    }

    /// The options to go back to: the latest recorded ones that differ from the current.
    pub fn rollback_options(&self, model: &Model) -> Option<OptionMap> {
        let current = serialize_options(&model.options);
        let mut recorded = [&self.serves, &self.previous].into_iter().flatten();
        serde_json::from_str(recorded.find(|text| **text != current)?).ok()
    }

    pub fn annotations(self) -> impl Iterator<Item = (String, String)> {
        let annotations = [(labels::SERVES, self.serves), (labels::SERVED_BEFORE, self.previous)];
        let annotation = |(key, text): (&str, Option<String>)| Some((key.to_owned(), text?));
        annotations.into_iter().filter_map(annotation)
    }
}

/// The planned object with the bookkeeping annotations of the live one, so that a comparison ignores them.
pub fn as_recorded(planned: &Value, live: &DynamicObject) -> Value {
    let mut planned = planned.clone();
    let Some(metadata) = planned.get_mut("metadata").and_then(Value::as_object_mut) else {
        return planned;
    };
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    if let Some(annotations) = annotations.as_object_mut() {
        for key in [
            labels::SERVES,
            labels::SERVED_BEFORE,
            labels::SECRETS,
            labels::HTTP_ROUTE,
            labels::ACCESS,
            labels::NOT_SERVED,
        ] {
            match live.annotations().get(key) {
                Some(text) => annotations.insert(key.to_owned(), text.clone().into()),
                None => annotations.remove(key),
            };
        }
    }
    if metadata.get("annotations") == Some(&json!({})) {
        metadata.remove("annotations");
    }
    planned
}

/// Whether a text is what `serialize_options` writes: a map of options to values that Juju can hold, or null.
fn is_record(text: &str) -> bool {
    match serde_json::from_str(text) {
        Ok(Value::Null) => true,
        Ok(Value::Object(options)) => {
            options.keys().all(|option| options::is_within(option, Scope::Model)) && !text.contains("\\u0000")
        }
        _ => false,
    }
}

/// Options that are too long are recorded as null.
fn serialize_options(options: &OptionMap) -> String {
    let text = Value::Object(options.clone()).to_string();
    if text.len() > LONGEST { "null".to_owned() } else { text }
}
