//! Reads access policies of ours, and finds where those of a gateway belong.

use std::collections::BTreeSet;

use kube::api::{DynamicObject, ListParams};

use super::Cluster;
use crate::api::pods::Pod;
use crate::api_error::ApiError;
use crate::gateway::GatewayName;
use crate::gateway::listeners::Listeners;
use crate::gateway::workload::Workload;
use crate::labels::ObjectKind;
use crate::observed::Observed;
use crate::permissions::{GATEWAY_WORKLOADS, access_policies};
use crate::plan::access::marked_namespaces;

impl Cluster {
    /// Observes what `access` depends on: where the pods of the gateways with such models are, and the policies that exist there, in
    /// these namespaces and in those that SeldonDeployments are marked with.
    pub async fn observe_access(
        &self,
        observed: &mut Observed,
        namespaces: &BTreeSet<String>,
        gateways: impl IntoIterator<Item = GatewayName>,
    ) -> Result<(), ApiError> {
        let mut namespaces = namespaces.clone();
        namespaces.extend(marked_namespaces(observed, &self.identity));
        for gateway in gateways.into_iter().collect::<BTreeSet<_>>() {
            let Some(listeners) = observed.gateways.get(&gateway) else {
                continue;
            };
            let workload = match self.find_workload(&gateway, listeners).await {
                Err(error) => return Err(self.explained(error, GATEWAY_WORKLOADS.into_iter()).await),
                Ok(workload) => workload,
            };
            if let Workload::Found(namespace) = &workload {
                namespaces.insert(namespace.clone());
            }
            observed.workloads.insert(gateway, workload);
        }
        for namespace in namespaces {
            self.list_policies(observed, &namespace).await?;
        }
        Ok(())
    }

    /// Lists those policies of one namespace that have our labels.
    async fn list_policies(&self, observed: &mut Observed, namespace: &str) -> Result<(), ApiError> {
        let parameters = ListParams::default().labels(&self.identity.selector());
        for kind in [ObjectKind::RequestAuthentication, ObjectKind::AuthorizationPolicy] {
            let found = self
                .list::<DynamicObject>(&kind.resource(), Some(namespace), &parameters)
                .await;
            let found = match found {
                Ok(found) => found,
                Err(ApiError::CrdMissing { .. }) => {
                    observed.capabilities.access_policies = false;
                    return Ok(());
                }
                Err(error) => return Err(self.explained(error, access_policies(namespace)).await),
            };
            match kind {
                ObjectKind::RequestAuthentication => observed.request_authentications.extend(found),
                _ => observed.authorization_policies.extend(found),
            }
        }
        Ok(())
    }

    /// Where the pods of a gateway are.
    async fn find_workload(&self, gateway: &GatewayName, listeners: &Listeners) -> Result<Workload, ApiError> {
        let Some(selector) = listeners.label_selector() else {
            return Ok(Workload::Absent);
        };
        let parameters = ListParams::default().labels(&selector);
        let pods: Vec<Pod> = self.list_for_gateway("Pod", gateway, &parameters).await?;
        self.workload(gateway, listeners, &pods).await
    }
}
