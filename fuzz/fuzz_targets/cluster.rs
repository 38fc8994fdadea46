//! Responses of the API server, one per line: lists of SeldonDeployments, VirtualServices, Deployments and pods, and
//! an error.
#![no_main]

use kube::core::{ObjectList, Status};
use libfuzzer_sys::fuzz_target;
use seldon_model::api_error::ApiError;
use seldon_model::gateway::GatewayName;
use seldon_model::gateway::listeners::Listeners;
use seldon_model::observed::Observed;
use seldon_model::status::{ApplicationProblem, Report};
use seldon_model_fuzz::{check_status, evaluate, gateway, identity, options, within_bounds};

const MODELS: &str = "{iris: {image: 'iris:1', prefix: /model/iris/}, wine: {image: 'wine:1', replicas: 0}}";

fuzz_target!(|answers: &str| {
    within_bounds(|| {
        let mut lines = answers.lines();
        let mut line = || lines.next().unwrap_or_default();
        let mut observed = Observed {
            seldon_deployments: list(line()),
            virtual_services: list(line()),
            deployments: list(line()),
            pods: list(line()),
            ..Observed::default()
        };
        let gate = GatewayName {
            namespace: "edge".to_owned(),
            name: "gate".to_owned(),
        };
        observed.gateways.insert(gate, Listeners::default());
        evaluate(&options([("models", MODELS.to_owned())]), gateway(), &observed);
        if let Ok(status) = serde_json::from_str::<Status>(line()) {
            let error = ApiError::from(kube::Error::Api(Box::new(status)));
            let identity = identity();
            let commands = identity.commands(None);
            let report = Report::without_models(&[ApplicationProblem::Api(error)], &commands);
            check_status(&report.status.message);
        }
    });
});

/// Parses a list like the client does.
fn list<T>(answer: &str) -> Vec<T>
where
    ObjectList<T>: serde::de::DeserializeOwned,
    T: Clone,
{
    serde_json::from_str::<ObjectList<T>>(answer).map_or_else(|_| Vec::new(), |list| list.items)
}
