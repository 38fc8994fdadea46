//! Kubernetes events of what this charm changed, for those who look at a cluster with kubectl. They tell what Juju's log tells.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DynamicObject, PostParams};
use kube::{Resource as _, ResourceExt as _};

use tokio::time::Instant;

use super::Cluster;
use crate::api_error::ApiError;
use crate::labels::ObjectKind;

/// Longest note, in bytes (`kubernetes/kubernetes`, pkg/apis/core/validation/events.go: `NoteLengthLimit`).
const LONGEST_NOTE: usize = 1024;
/// What a hook must have left of its time, so that it can look again at a fleet that is slow to make.
const RESERVE: Duration = Duration::from_secs(15);
/// What kind of event it is.
const REASON: &str = "Reconciled";
/// Who reports.
const CONTROLLER: &str = "seldon-model";

/// Something that was done to a model.
#[derive(Debug, Clone)]
pub struct AppliedChange {
    /// The SeldonDeployment, as it was found or made.
    pub of: ObjectReference,
    /// What was done, to which object, and why.
    pub note: String,
}

/// What an event needs to know of a SeldonDeployment.
pub fn reference(object: &DynamicObject) -> ObjectReference {
    ObjectReference {
        // What kubectl looks events up by.
        uid: object.uid(),
        ..object.object_ref(&ObjectKind::SeldonDeployment.resource())
    }
}

impl Cluster {
    /// Says what was done, by which unit in which hook; nothing, where the hook's time is needed for what matters more.
    ///
    /// # Errors
    /// When the API server refuses it: a site may do without the right.
    pub async fn record(&self, change: &AppliedChange, unit: &str, hook: &str) -> Result<(), ApiError> {
        if self.deadline.saturating_duration_since(Instant::now()) < RESERVE {
            return Err(ApiError::DeadlineExceeded);
        }
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.identity.namespace);
        let mut note = format!("{} (juju: {unit}, {hook})", change.note);
        while note.len() > LONGEST_NOTE {
            note.pop();
        }
        let event = Event {
            metadata: ObjectMeta {
                generate_name: Some(format!("{}-", change.of.name.as_deref().unwrap_or(CONTROLLER))),
                ..ObjectMeta::default()
            },
            action: Some("Reconcile".to_owned()),
            event_time: Some(MicroTime(Timestamp::now())),
            note: Some(note),
            reason: Some(REASON.to_owned()),
            regarding: Some(change.of.clone()),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(unit.to_owned()),
            type_: Some("Normal".to_owned()),
            ..Event::default()
        };
        let parameters = PostParams::default();
        self.call(|| api.create(&parameters, &event)).await.map(drop)
    }
}
