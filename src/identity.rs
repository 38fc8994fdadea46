//! Identifies the application: its namespace, field manager, and the names of its objects.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::labels;
use crate::shell::{Commands, JujuCli};
use juju_hooks::{HookContext, Version};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub application: String,
    pub model_uuid: String,
    pub namespace: String,
}

impl Identity {
    /// Read once per process, as the namespace is in a file.
    pub fn read(context: &HookContext) -> Self {
        Self {
            application: context.application.clone(),
            model_uuid: context.model_uuid.clone(),
            namespace: namespace(&context.model_name),
        }
    }

    /// The commands about this application, for messages.
    pub fn commands(&self, juju: Option<&Version>) -> Commands<'_> {
        Commands {
            application: &self.application,
            namespace: &self.namespace,
            juju: JujuCli::of_version(juju),
        }
    }

    /// Unique to one application of one Juju model.
    pub fn manager(&self) -> String {
        manager(&self.application, &self.model_uuid)
    }

    /// A label selector for our objects.
    pub fn selector(&self) -> String {
        format!(
            "{}={},{}={}",
            labels::APPLICATION,
            self.application,
            labels::MODEL_UUID,
            self.model_uuid
        )
    }

    /// Whether an object in our namespace carries our labels. Anyone with write access can set those: they suffice
    /// for updating an object with a planned name, but never for deleting one.
    pub fn has_our_labels(&self, object: &DynamicObject) -> bool {
        object.namespace().as_ref() == Some(&self.namespace) && self.has_labels(object)
    }

    /// The same of an object in any namespace, as access policies are in that of a gateway.
    pub fn has_labels(&self, object: &DynamicObject) -> bool {
        let labels = object.labels();
        labels.get(labels::APPLICATION) == Some(&self.application)
            && labels.get(labels::MODEL_UUID) == Some(&self.model_uuid)
    }

    /// Whether an object is ours: in our namespace, with our labels, and applied by our field manager. A copy made by
    /// another client has the labels alone. Whoever forges the manager too can lose that object, but none of ours.
    pub fn owns(&self, object: &DynamicObject) -> bool {
        object.namespace().as_ref() == Some(&self.namespace) && self.has_applied(object)
    }

    /// The same of an object in any namespace.
    pub fn has_applied(&self, object: &DynamicObject) -> bool {
        self.has_labels(object) && applied_fields(object, &self.manager()).is_some()
    }
}

pub fn manager(application: &str, model_uuid: &str) -> String {
    let short: String = model_uuid.chars().take(8).collect();
    format!("seldon-model-{application}-{short}")
}

/// The fields that a manager applied (`managedFields[].fieldsV1`).
pub fn applied_fields<'a>(object: &'a DynamicObject, manager: &str) -> Option<&'a Value> {
    applied(object, manager)?.fields_v1.as_ref().map(|fields| &fields.0)
}

/// When a field manager last changed an object by an apply, by the API server's clock.
pub fn applied_at(object: &DynamicObject, manager: &str) -> Option<Timestamp> {
    applied(object, manager)?.time.as_ref().map(|time| time.0)
}

fn applied<'a>(object: &'a DynamicObject, manager: &str) -> Option<&'a ManagedFieldsEntry> {
    object.metadata.managed_fields.iter().flatten().find(|entry| {
        entry.manager.as_deref() == Some(manager)
            && entry.operation.as_deref() == Some("Apply")
            && entry.subresource.is_none()
    })
}

/// The name of a model's VirtualService or HTTPRoute. It cannot be the model's own: Seldon takes a VirtualService of
/// that name for its own and deletes what it did not create (operator v1.17.1, `controllers/cleaners.go`).
pub fn route_name(model: &str) -> String {
    format!("{model}-route")
}

/// The namespace of a Juju model is named after the model, except the controller's own. In a pod, the service
/// account's file holds it.
fn namespace(model: &str) -> String {
    let mounted = if std::env::var_os("KUBECONFIG").is_some() {
        None
    } else {
        std::fs::read_to_string("/var/run/secrets/kubernetes.io/serviceaccount/namespace").ok()
    };
    mounted
        .map(|text| text.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| model.to_owned())
}
