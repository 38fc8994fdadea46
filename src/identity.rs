//! Whose objects are ours: the application, its namespace and field manager, and the names that its objects have.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::labels;
use juju_hooks::HookContext;

/// The application whose objects are ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The Juju application.
    pub application: String,
    /// The UUID of the Juju model.
    pub model_uuid: String,
    /// The namespace of the Juju model.
    pub namespace: String,
}

impl Identity {
    /// Finds it out: once for a process, as the namespace stands in a file.
    #[must_use]
    pub fn read(context: &HookContext) -> Self {
        Self {
            application: context.application.clone(),
            model_uuid: context.model_uuid.clone(),
            namespace: namespace(&context.model_name),
        }
    }

    /// The field manager of our writes: one application of one Juju model.
    #[must_use]
    pub fn manager(&self) -> String {
        manager(&self.application, &self.model_uuid)
    }

    /// Selects what carries our labels.
    #[must_use]
    pub fn selector(&self) -> String {
        format!(
            "{}={},{}={}",
            labels::APPLICATION,
            self.application,
            labels::MODEL_UUID,
            self.model_uuid
        )
    }

    /// Whether an object of our namespace carries our labels. Whoever may write there can set them: enough to go on with an object of
    /// a planned name, and never enough to delete one.
    #[must_use]
    pub fn labelled(&self, object: &DynamicObject) -> bool {
        let labels = object.labels();
        object.namespace().as_ref() == Some(&self.namespace)
            && labels.get(labels::APPLICATION) == Some(&self.application)
            && labels.get(labels::MODEL_UUID) == Some(&self.model_uuid)
    }

    /// Whether an object is ours: in our namespace, with our labels, and applied by our field manager. A copy that somebody makes has the
    /// labels alone; who forges the manager too may lose that object, and none of ours.
    #[must_use]
    pub fn owns(&self, object: &DynamicObject) -> bool {
        self.labelled(object) && applied_fields(object, &self.manager()).is_some()
    }
}

/// The field manager of an application of one Juju model.
#[must_use]
pub fn manager(application: &str, model_uuid: &str) -> String {
    let short: String = model_uuid.chars().take(8).collect();
    format!("seldon-model-{application}-{short}")
}

/// The fields of an object that a field manager has applied (`managedFields[].fieldsV1`), if it has applied any.
#[must_use]
pub fn applied_fields<'a>(object: &'a DynamicObject, manager: &str) -> Option<&'a Value> {
    applied(object, manager)?.fields_v1.as_ref().map(|fields| &fields.0)
}

/// When a field manager last changed an object by an apply, by the API server's clock.
#[must_use]
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

/// The name of a model's VirtualService, and of its HTTPRoute. Not the model's own: Seldon takes that for a route of its own, and deletes
/// what it did not make (operator v1.17.1, `controllers/cleaners.go`).
#[must_use]
pub fn route_name(model: &str) -> String {
    format!("{model}-route")
}

/// The namespace of a Juju model. It has the model's name, but for the controller's own; in a pod the service account
/// knows it in any case.
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
