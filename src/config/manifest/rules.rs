//! Seldon's own rules for a SeldonDeployment (`SeldonIO/seldon-core`, operator v1.16.0,
//! `apis/machinelearning.seldon.io/v1/seldondeployment_webhook.go`), and what its controller refuses later.
//!
//! They are checked here because nobody else may: the webhook of the charmed Seldon Core 1.14 leaves out the namespaces of Juju
//! models, and mistakes then show as pods that never start.

use std::collections::BTreeSet;

use crate::api::seldon::read::{NO_ENGINE, Predictor, SVC_NAME, Spec, Unit};
use crate::config::value::{PROTOCOLS, Protocol, server_protocols};

/// A rule that the spec breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestViolation {
    /// Where, such as `predictors[0].graph.children[1].name`.
    pub location: String,
    /// What is wrong there, and what would do.
    pub rule: String,
}

/// All that Seldon would refuse of a spec.
#[must_use]
pub fn violations(spec: &Spec) -> Vec<ManifestViolation> {
    let mut found = Violations(Vec::new());
    found.options(spec);
    found.predictors(spec);
    found.traffic(spec);
    found.transports(spec);
    found.0
}

struct Violations(Vec<ManifestViolation>);

impl Violations {
    fn add(&mut self, location: impl Into<String>, rule: impl Into<String>) {
        self.0.push(ManifestViolation {
            location: location.into(),
            rule: rule.into(),
        });
    }

    fn options(&mut self, spec: &Spec) {
        let options: [(&str, &str, &[&str]); 3] = [
            ("protocol", &spec.protocol, &["seldon", "tensorflow", "v2", "kfserving"]),
            ("transport", &spec.transport, &["rest", "grpc"]),
            ("serverType", &spec.server_type, &["rpc", "kafka"]),
        ];
        for (location, key, known) in options {
            if !key.is_empty() && !known.contains(&key) {
                self.add(location, format!("is {key:?}; Seldon knows {}", known.join(", ")));
            }
        }
    }

    fn predictors(&mut self, spec: &Spec) {
        if spec.predictors.is_empty() {
            self.add("predictors", "has none; what is to be served is described in it");
        }
        let mut names = BTreeSet::new();
        let mut services = BTreeSet::new();
        for (at, predictor) in spec.predictors.iter().enumerate() {
            let location = format!("predictors[{at}]");
            if !names.insert(&predictor.name) {
                self.add(
                    format!("{location}.name"),
                    format!("{:?} is the name of an earlier predictor too", predictor.name),
                );
            }
            if let Some(service) = predictor.annotations.get(SVC_NAME)
                && !services.insert(service)
            {
                let rule = format!("{service:?} is the Service of an earlier predictor too");
                self.add(format!("{location}.annotations.{SVC_NAME}"), rule);
            }
            if predictor.annotations.contains_key(NO_ENGINE) && predictor.graph.all().len() > 1 {
                let rule = format!("has several nodes, and without an executor ({NO_ENGINE}) there can be only one");
                self.add(format!("{location}.graph"), rule);
            }
            if spec.server_type == "kafka" {
                self.kafka(predictor, &location);
            }
            let graph = format!("{location}.graph");
            self.unit(spec, predictor, &predictor.graph, &graph);
            self.executor(predictor, &graph);
        }
    }

    fn kafka(&mut self, predictor: &Predictor, location: &str) {
        for needed in ["KAFKA_BROKER", "KAFKA_INPUT_TOPIC", "KAFKA_OUTPUT_TOPIC"] {
            if !predictor
                .svc_orch_spec
                .env
                .iter()
                .any(|variable| variable.name == needed)
            {
                self.add(
                    format!("{location}.svcOrchSpec.env"),
                    format!("has no {needed}, which serverType kafka needs"),
                );
            }
        }
    }

    /// The executor goes into the pod of a unit whose container is in the first one (`GetEnginePredictiveUnit`).
    fn executor(&mut self, predictor: &Predictor, graph: &str) {
        let units = predictor.graph.all();
        let first = |unit: &&Unit| match predictor.container(&unit.name) {
            Some((at, _)) => at == 0,
            None => unit.is_prepackaged(),
        };
        let has_all = units.iter().all(|unit| {
            predictor.container(&unit.name).is_some()
                || unit
                    .implementation
                    .as_deref()
                    .is_some_and(|name| name != "UNKNOWN_IMPLEMENTATION")
        });
        if predictor.has_engine() && has_all && !units.iter().any(first) {
            self.add(
                graph,
                "has no node whose container is in componentSpecs[0], where the executor goes; put one there",
            );
        }
    }

    fn unit(&mut self, spec: &Spec, predictor: &Predictor, unit: &Unit, location: &str) {
        let name = &unit.name;
        let unknown = unit
            .implementation
            .as_deref()
            .is_none_or(|name| name == "UNKNOWN_IMPLEMENTATION");
        if unknown {
            if predictor.container(name).is_none() {
                self.add(
                    format!("{location}.name"),
                    format!("there is no container {name:?} in componentSpecs, nor has the node an implementation"),
                );
            }
            let typed = unit.kind.as_deref() == Some("UNKNOWN_TYPE");
            if typed && unit.methods.as_ref().is_none_or(Vec::is_empty) {
                self.add(
                    format!("{location}.methods"),
                    "is empty, and the type UNKNOWN_TYPE does not say what the node does",
                );
            }
        } else if unit.is_prepackaged() {
            self.server(spec, predictor, unit, location);
        }
        // Seldon takes it; its executor then asks a container that is not there (`predictor_process.go`, `route`).
        let inputs = unit.kind.as_deref() == Some("ROUTER");
        if inputs && unit.implementation.as_deref() == Some("RANDOM_ABTEST") && predictor.container(name).is_none() {
            self.add(
                format!("{location}.type"),
                "is ROUTER beside RANDOM_ABTEST, so that every request would fail; leave the type out",
            );
        }
        if unit
            .logger
            .as_ref()
            .is_some_and(|logger| !LOGGED.contains(&logger.mode.as_str()))
        {
            self.add(format!("{location}.logger.mode"), "must be all, request or response");
        }
        for (at, child) in unit.children.iter().enumerate() {
            self.unit(spec, predictor, child, &format!("{location}.children[{at}]"));
        }
    }

    fn server(&mut self, spec: &Spec, predictor: &Predictor, unit: &Unit, location: &str) {
        let server = unit.implementation.as_deref().unwrap_or_default();
        if unit.model_uri.is_empty() && server != "HUGGINGFACE_SERVER" {
            self.add(
                format!("{location}.modelUri"),
                format!("is not set, and {server} serves the files it names"),
            );
        }
        let has_image = predictor
            .container(&unit.name)
            .is_some_and(|(_, container)| !container.image.is_empty());
        let protocol = PROTOCOLS
            .into_iter()
            .find(|protocol| protocol.as_str() == spec.protocol);
        let protocol = match spec.protocol.as_str() {
            "" => Protocol::Seldon,
            "kfserving" => Protocol::V2,
            _ => protocol.unwrap_or(Protocol::Seldon),
        };
        let Some(known) = server_protocols(server) else {
            return;
        };
        // With an image of one's own only what Seldon itself would refuse is refused.
        let matters = !has_image || protocol == Protocol::Tensorflow;
        if matters && !known.contains(&protocol) {
            let options: Vec<&str> = known.iter().map(|protocol| protocol.as_str()).collect();
            self.add(
                format!("{location}.implementation"),
                format!(
                    "{server} speaks {} only, and protocol is {}",
                    options.join(" and "),
                    protocol.as_str()
                ),
            );
        }
    }

    fn traffic(&mut self, spec: &Spec) {
        let shadows: Vec<usize> = (0..)
            .zip(&spec.predictors)
            .filter(|(_, predictor)| predictor.shadow)
            .map(|(at, _)| at)
            .collect();
        if let Some(second) = shadows.get(1) {
            self.add(
                format!("predictors[{second}].shadow"),
                "is the second shadow, and there can be only one",
            );
        }
        if shadows.len() == 1 && spec.predictors.len() == 1 {
            self.add(
                "predictors[0].shadow",
                "is true, and there is no other predictor to be the shadow of",
            );
        }
        for (at, predictor) in spec.predictors.iter().enumerate() {
            // Seldon looks at a shadow's only and at the sum; a negative part makes no route.
            if !(0..=100).contains(&predictor.traffic) {
                self.add(
                    format!("predictors[{at}].traffic"),
                    format!("is {}, and must be from 0 to 100", predictor.traffic),
                );
            }
        }
        let live = spec.predictors.iter().filter(|predictor| !predictor.shadow);
        let (count, sum) = live.fold((0, 0_i64), |(count, sum), predictor| {
            (count + 1, sum.saturating_add(predictor.traffic))
        });
        let rule = if count > 1 && sum != 100 {
            format!("the traffic of {count} predictors is {sum} in all, and must be 100")
        } else if spec.predictors.len() == 1 && (1..100).contains(&sum) {
            format!("the traffic of the only predictor is {sum}; leave it out, or write 100")
        } else {
            return;
        };
        let places: Vec<String> = (0..spec.predictors.len())
            .map(|at| format!("predictors[{at}].traffic"))
            .collect();
        self.add(places.join(", "), rule);
    }

    fn transports(&mut self, spec: &Spec) {
        let kinds: BTreeSet<&str> = spec
            .predictors
            .iter()
            .flat_map(|predictor| predictor.graph.all())
            .filter_map(|unit| unit.endpoint.as_ref())
            .map(|endpoint| endpoint.kind.as_str())
            .filter(|kind| !kind.is_empty())
            .collect();
        let mut kinds = kinds.into_iter();
        match (kinds.next(), kinds.next()) {
            (Some(one), Some(other)) => {
                self.add(
                    "transport",
                    format!("the nodes' endpoint.type are {one} and {other}, and must all be one"),
                );
            }
            (Some(kind), None) if !spec.transport.is_empty() && kind.to_lowercase() != spec.transport => {
                let rule = format!(
                    "is {}, and the nodes' endpoint.type is {kind}; leave one of them out",
                    spec.transport
                );
                self.add("transport", rule);
            }
            _ => {}
        }
    }
}

/// What a payload logger can copy.
const LOGGED: [&str; 3] = ["all", "request", "response"];
