//! Kubernetes events about applied changes, for those who use kubectl. They have the same text as Juju's log.
//!
//! The `Recorder` of kube-runtime counts repeated events while a process lives. A hook ends too soon for that, and it would have to be
//! permitted to patch events.

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

/// In bytes (`kubernetes/kubernetes`, pkg/apis/core/validation/events.go: `NoteLengthLimit`).
const LONGEST_NOTE: usize = 1024;
/// What must remain of the hook's time after an event, to observe a large fleet again.
const RESERVE: Duration = Duration::from_secs(15);
const REASON: &str = "Reconciled";
const CONTROLLER: &str = "seldon-model";

#[derive(Debug, Clone)]
pub struct AppliedChange {
    /// The SeldonDeployment.
    pub regarding: ObjectReference,
    /// What changed in which object, and why.
    pub note: String,
}

pub fn reference(object: &DynamicObject) -> ObjectReference {
    ObjectReference {
        // kubectl finds an object's events by this.
        uid: object.uid(),
        ..object.object_ref(&ObjectKind::SeldonDeployment.resource())
    }
}

impl Cluster {
    /// Records an event, unless the hook's time is running out. A failure does not matter: the permission for events
    /// is optional.
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
                generate_name: Some(format!("{}-", change.regarding.name.as_deref().unwrap_or(CONTROLLER))),
                ..ObjectMeta::default()
            },
            action: Some("Reconcile".to_owned()),
            event_time: Some(MicroTime(Timestamp::now())),
            note: Some(note),
            reason: Some(REASON.to_owned()),
            regarding: Some(change.regarding.clone()),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(unit.to_owned()),
            type_: Some("Normal".to_owned()),
            ..Event::default()
        };
        let parameters = PostParams::default();
        self.call(|| api.create(&parameters, &event)).await.map(drop)
    }
}
