//! Seldon's own rules for a SeldonDeployment (`SeldonIO/seldon-core`, operator v1.16.0,
//! `apis/machinelearning.seldon.io/v1/seldondeployment_webhook.go`), and what its controller rejects later.
//!
//! They are checked here because nothing else may check them: the webhook of the charmed Seldon Core 1.14 skips the namespaces of Juju
//! models, and mistakes then show as pods that never start.

use std::collections::BTreeSet;

use strsim::damerau_levenshtein;

use crate::api::seldon::manifest::{ManifestPredictor, ManifestSpec, ManifestUnit, NO_ENGINE, SVC_NAME};
use crate::config::explainer::TYPES as EXPLAINER_TYPES;
use crate::config::value::{
    PARAMETER_TYPES, PROTOCOLS, Protocol, either, parameter_rule, server_protocols, servers, toleration_violation,
};

/// A rule that the spec violates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestViolation {
    /// Such as `predictors[0].graph.children[1].name`.
    pub location: String,
    pub rule: String,
    /// The rest of the rule; may be empty.
    pub detail: String,
}

/// All that Seldon would reject in a spec.
pub fn violations(spec: &ManifestSpec) -> Vec<ManifestViolation> {
    let mut violations = Violations(Vec::new());
    violations.options(spec);
    violations.predictors(spec);
    violations.traffic(spec);
    violations.transports(spec);
    violations.0
}

struct Violations(Vec<ManifestViolation>);

impl Violations {
    fn add(&mut self, location: impl Into<String>, rule: impl Into<String>, detail: impl Into<String>) {
        self.0.push(ManifestViolation {
            location: location.into(),
            rule: rule.into(),
            detail: detail.into(),
        });
    }

    fn options(&mut self, spec: &ManifestSpec) {
        let options: [(&str, &str, &[&str]); 3] = [
            ("protocol", &spec.protocol, &["seldon", "tensorflow", "v2", "kfserving"]),
            ("transport", &spec.transport, &["rest", "grpc"]),
            ("serverType", &spec.server_type, &["rpc", "kafka"]),
        ];
        for (location, value, known) in options {
            self.one_of(location, value, known);
        }
    }

    /// A value of a closed set, or none. Seldon Core takes any other without a word, and does something else.
    fn one_of(&mut self, location: impl Into<String>, value: &str, known: &[&str]) {
        /// Most values that a rule lists; more are in its detail.
        const MOST_LISTED: usize = 4;
        /// A shorter word is near to too many.
        const SHORTEST_TYPO: usize = 4;
        if value.is_empty() || known.contains(&value) {
            return;
        }
        let list = either(known);
        let is_near = |known: &str| {
            let (value, known) = (value.to_lowercase(), known.to_lowercase());
            let is_typo = || value.len() >= SHORTEST_TYPO && damerau_levenshtein(&value, &known) == 1;
            value == known || (value.len() <= known.len() + 1 && is_typo())
        };
        if let Some(nearest) = known.iter().find(|known| is_near(known)) {
            self.add(
                location,
                format!("did you mean `{nearest}`?"),
                format!("value: {value}"),
            );
        } else if known.len() > MOST_LISTED {
            let detail = format!("value: {value}; expected {list}");
            self.add(location, "is not known to Seldon Core", detail);
        } else {
            self.add(location, format!("must be {list}"), format!("value: {value}"));
        }
    }

    fn predictors(&mut self, spec: &ManifestSpec) {
        if spec.predictors.is_empty() {
            self.add("predictors", "is empty", "");
        }
        let mut names = BTreeSet::new();
        let mut services = BTreeSet::new();
        for (index, predictor) in spec.predictors.iter().enumerate() {
            let location = format!("predictors[{index}]");
            if !names.insert(&predictor.name) {
                self.add(
                    format!("{location}.name"),
                    format!("{} is used twice", predictor.name),
                    "",
                );
            }
            if let Some(service) = predictor.annotations.get(SVC_NAME)
                && !services.insert(service)
            {
                let rule = format!("{service} is used twice");
                self.add(format!("{location}.annotations.{SVC_NAME}"), rule, "");
            }
            if predictor.annotations.contains_key(NO_ENGINE) && predictor.graph.all().len() > 1 {
                self.add(
                    format!("{location}.graph"),
                    "must have one node without an executor",
                    format!("the annotation {NO_ENGINE} disables the executor"),
                );
            }
            if spec.server_type == "kafka" {
                self.kafka(predictor, &location);
            }
            self.pods(spec, predictor, &location);
            let explainer = predictor.explainer.as_ref();
            let explainer = explainer.map_or("", |explainer| explainer.kind.as_str());
            self.one_of(format!("{location}.explainer.type"), explainer, &EXPLAINER_TYPES);
            let graph = format!("{location}.graph");
            self.unit(spec, predictor, &predictor.graph, &graph);
            self.executor(predictor, &graph);
        }
    }

    /// What Seldon accepts, and Kubernetes rejects when the pods are made.
    fn pods(&mut self, spec: &ManifestSpec, predictor: &ManifestPredictor, location: &str) {
        let mut counts = vec![
            ("replicas".to_owned(), spec.replicas),
            (format!("{location}.replicas"), predictor.replicas),
        ];
        for (index, pod) in predictor.component_specs.iter().enumerate() {
            let pod_location = format!("{location}.componentSpecs[{index}]");
            counts.push((format!("{pod_location}.replicas"), pod.replicas));
            if let Some((toleration, rule)) = toleration_violation(pod.spec.tolerations.as_ref()) {
                self.add(format!("{pod_location}.spec.{toleration}"), rule, "");
            }
        }
        for (location, count) in counts {
            if count.is_some_and(|count| count < 0) {
                self.add(location, "must be 0 or more", "");
            }
        }
    }

    fn kafka(&mut self, predictor: &ManifestPredictor, location: &str) {
        for needed in ["KAFKA_BROKER", "KAFKA_INPUT_TOPIC", "KAFKA_OUTPUT_TOPIC"] {
            if !predictor
                .svc_orch_spec
                .env
                .iter()
                .any(|variable| variable.name == needed)
            {
                self.add(
                    format!("{location}.svcOrchSpec.env"),
                    format!("{needed} is not set, serverType kafka needs it"),
                    "",
                );
            }
        }
    }

    /// The executor goes into the pod of a unit whose container is in the first one (`GetEnginePredictiveUnit`).
    fn executor(&mut self, predictor: &ManifestPredictor, graph: &str) {
        let units = predictor.graph.all();
        let first = |unit: &&ManifestUnit| match predictor.container(&unit.name) {
            Some((index, _)) => index == 0,
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
                "must have a node with its container in componentSpecs[0]",
                "Seldon Core adds the executor to that pod",
            );
        }
    }

    fn unit(&mut self, spec: &ManifestSpec, predictor: &ManifestPredictor, unit: &ManifestUnit, location: &str) {
        let name = &unit.name;
        self.closed_sets(unit, location);
        // The container has that name, and its Service ends with it.
        let valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let runs = unit.is_prepackaged() || predictor.container(name).is_some();
        if runs && (!name.bytes().all(valid) || name.starts_with('-') || name.ends_with('-')) {
            let detail = "lowercase letters, digits and -, not at either end";
            self.add(
                format!("{location}.name"),
                format!("{name} is not a valid name"),
                detail,
            );
        }
        let unknown = unit
            .implementation
            .as_deref()
            .is_none_or(|name| name == "UNKNOWN_IMPLEMENTATION");
        if unknown {
            if predictor.container(name).is_none() {
                self.add(
                    format!("{location}.name"),
                    format!("{name} has neither a container nor an implementation"),
                    "the container of a node in componentSpecs has the node's name",
                );
            }
            let typed = unit.kind.as_deref() == Some("UNKNOWN_TYPE");
            if typed && unit.methods.as_ref().is_none_or(Vec::is_empty) {
                self.add(format!("{location}.methods"), "must be set with type UNKNOWN_TYPE", "");
            }
        } else if unit.is_prepackaged() {
            self.server(spec, predictor, unit, location);
        }
        // Seldon accepts it; its executor then calls a container that does not exist (`predictor_process.go`, `route`).
        let is_router = unit.kind.as_deref() == Some("ROUTER");
        if is_router && unit.implementation.as_deref() == Some("RANDOM_ABTEST") && predictor.container(name).is_none() {
            self.add(
                format!("{location}.type"),
                "must not be ROUTER with RANDOM_ABTEST, remove it",
                "every request would fail",
            );
        }
        for (index, child) in unit.children.iter().enumerate() {
            self.unit(spec, predictor, child, &format!("{location}.children[{index}]"));
        }
    }

    /// What Seldon's API calls by one of a few words (operator v1.17.1, `seldondeployment_types.go`).
    fn closed_sets(&mut self, unit: &ManifestUnit, location: &str) {
        let kind = unit.kind.as_deref().unwrap_or_default();
        self.one_of(format!("{location}.type"), kind, &UNIT_TYPES);
        for (index, method) in unit.methods.iter().flatten().enumerate() {
            self.one_of(format!("{location}.methods[{index}]"), method, &METHODS);
        }
        let endpoint = unit.endpoint.as_ref().map_or("", |endpoint| endpoint.kind.as_str());
        self.one_of(format!("{location}.endpoint.type"), endpoint, &ENDPOINT_TYPES);
        for (index, parameter) in unit.parameters.iter().enumerate() {
            let location = format!("{location}.parameters[{index}]");
            self.one_of(format!("{location}.type"), &parameter.kind, &PARAMETER_TYPES);
            if let Some(rule) = parameter_rule(&parameter.kind, &parameter.value) {
                self.add(format!("{location}.value"), rule, "");
            }
        }
        match &unit.logger {
            Some(logger) if logger.mode.is_empty() => {
                self.add(
                    format!("{location}.logger.mode"),
                    format!("must be {}", either(&LOGGED)),
                    "",
                );
            }
            Some(logger) => self.one_of(format!("{location}.logger.mode"), &logger.mode, &LOGGED),
            None => {}
        }
        // A site may define servers of its own, but hardly one whose name differs from Seldon's by its capitals.
        let implementation = unit.implementation.as_deref().unwrap_or_default();
        let in_capitals = servers().find(|known| known.eq_ignore_ascii_case(implementation));
        if let Some(known) = in_capitals.filter(|known| *known != implementation) {
            self.one_of(format!("{location}.implementation"), implementation, &[known]);
        }
    }

    fn server(&mut self, spec: &ManifestSpec, predictor: &ManifestPredictor, unit: &ManifestUnit, location: &str) {
        let server = unit.implementation.as_deref().unwrap_or_default();
        if unit.model_uri.is_empty() && server != "HUGGINGFACE_SERVER" {
            self.add(
                format!("{location}.modelUri"),
                format!("is not set, {server} needs it"),
                "",
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
        // With its own image a server is rejected only if Seldon itself would reject it.
        let is_checked = !has_image || protocol == Protocol::Tensorflow;
        if is_checked && !known.contains(&protocol) {
            let options: Vec<&str> = known.iter().map(|protocol| protocol.as_str()).collect();
            self.add(
                format!("{location}.implementation"),
                format!("{server} needs protocol {}", either(&options)),
                format!("protocol: {}", protocol.as_str()),
            );
        }
    }

    fn traffic(&mut self, spec: &ManifestSpec) {
        let shadows: Vec<usize> = (0..)
            .zip(&spec.predictors)
            .filter(|(_, predictor)| predictor.shadow)
            .map(|(index, _)| index)
            .collect();
        if let Some(second) = shadows.get(1) {
            self.add(
                format!("predictors[{second}].shadow"),
                "there can be only one shadow",
                "",
            );
        }
        if shadows.len() == 1 && spec.predictors.len() == 1 {
            self.add(
                "predictors[0].shadow",
                "needs another predictor",
                "a shadow gets copies of the requests to another one",
            );
        }
        for (index, predictor) in spec.predictors.iter().enumerate() {
            // Seldon checks a shadow's traffic and the sum only; a negative weight gives no route.
            if !(0..=100).contains(&predictor.traffic) {
                self.add(
                    format!("predictors[{index}].traffic"),
                    "must be from 0 to 100",
                    format!("value: {}", predictor.traffic),
                );
            }
        }
        let live = spec.predictors.iter().filter(|predictor| !predictor.shadow);
        let (count, sum) = live.fold((0, 0_i64), |(count, sum), predictor| {
            (count + 1, sum.saturating_add(predictor.traffic))
        });
        if count > 1 && sum != 100 {
            let detail = format!("the traffic of {count} predictors is {sum} in total");
            self.add("predictors[].traffic", "must add up to 100", detail);
        } else if spec.predictors.len() == 1 && (1..100).contains(&sum) {
            let detail = format!("the only predictor has {sum}");
            self.add("predictors[0].traffic", "must be 100 or not set", detail);
        }
    }

    fn transports(&mut self, spec: &ManifestSpec) {
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
            (Some(kind), Some(other)) => {
                self.add(
                    "transport",
                    "all nodes must have the same endpoint.type",
                    format!("{kind} and {other}"),
                );
            }
            (Some(kind), None) if !spec.transport.is_empty() && kind.to_lowercase() != spec.transport => {
                let rule = format!("is {}, but endpoint.type is {kind}", spec.transport);
                self.add("transport", rule, "remove one of them");
            }
            _ => {}
        }
    }
}

const LOGGED: [&str; 3] = ["all", "request", "response"];

const UNIT_TYPES: [&str; 6] = [
    "UNKNOWN_TYPE",
    "ROUTER",
    "COMBINER",
    "MODEL",
    "TRANSFORMER",
    "OUTPUT_TRANSFORMER",
];

const METHODS: [&str; 5] = [
    "TRANSFORM_INPUT",
    "TRANSFORM_OUTPUT",
    "ROUTE",
    "AGGREGATE",
    "SEND_FEEDBACK",
];

const ENDPOINT_TYPES: [&str; 2] = ["REST", "GRPC"];
