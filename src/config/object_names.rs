//! The names of the objects that Seldon makes of a model (`SeldonIO/seldon-core`, operator v1.17.1,
//! `apis/machinelearning.seldon.io/v1/seldondeployment_types.go`: `GetPredictorKey`, `GetContainerServiceName`,
//! `GetDeploymentName`, `GetExplainerDeploymentName`). It makes a digest of a whole name that is too long, so two names are the same
//! exactly if these are.

use std::collections::{BTreeMap, BTreeSet};

use super::error::Location;
use super::graph::Node;
use super::value::{PodFields, Violation};
use super::{Config, Model, ServerOptions};
use crate::api::seldon::manifest::{ManifestPredictor, ManifestUnit};
use crate::api::seldon::{CANARY, PREDICTOR, SHADOW};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Service,
    Deployment,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::Deployment => "Deployment",
        }
    }
}

type ObjectNames = BTreeSet<(Kind, String)>;

/// Seldon must not make objects of one name of two models: the Service of `a-b` with predictor `c` would be that of `a` with predictor
/// `b-c`.
pub fn check(application: &str, config: &mut Config) {
    let mut owners: BTreeMap<(Kind, String), String> = BTreeMap::new();
    let mut clashes = Vec::new();
    for model in &config.models {
        let names = object_names(model);
        match names.iter().find_map(|name| Some((name, owners.get(name)?))) {
            Some(((kind, name), owner)) => clashes.push((model.name.clone(), owner.clone(), *kind, name.clone())),
            None => owners.extend(names.into_iter().map(|name| (name, model.name.clone()))),
        }
    }
    for (model, owner, kind, name) in clashes {
        let kind = kind.as_str();
        let violation = Violation::new(format!("would get a {kind} of {owner}"), "")
            .with_detail(format!("{name}: rename the model, or its predictor or node"));
        config.push_error(application, &Location::Entry(model.clone()), "", violation);
        config.models.retain(|valid| valid.name != model);
        config.frozen.insert(model);
    }
}

impl Config {
    /// Whether an object that Seldon has made for a predictor of a model gets its name from another model now.
    pub fn gives_away_names(&self, model: &str, predictor: &ManifestPredictor) -> bool {
        let mut names = ObjectNames::new();
        add_manifest_predictor(&mut names, model, predictor);
        let mut others = self.models.iter().filter(|other| other.name != model);
        others.any(|other| !names.is_disjoint(&object_names(other)))
    }
}

fn object_names(model: &Model) -> ObjectNames {
    let mut names = ObjectNames::new();
    if let Some(manifest) = &model.manifest {
        for predictor in manifest.predictors() {
            add_manifest_predictor(&mut names, &model.name, &predictor);
        }
        return names;
    }
    let servers = [
        (PREDICTOR, Some(&model.server)),
        (CANARY, model.canary.as_ref().map(|canary| &canary.server)),
        (SHADOW, model.shadow.as_ref().map(|shadow| &shadow.server)),
    ];
    for (predictor, server) in servers {
        if let Some(server) = server {
            add_predictor(&mut names, &model.name, &format!("{}-{predictor}", model.name), server);
        }
    }
    if model.explainer.is_some() {
        add_explainer(&mut names, &format!("{}-{PREDICTOR}", model.name));
    }
    names
}

fn add_predictor(names: &mut ObjectNames, model: &str, predictor: &str, server: &ServerOptions) {
    names.insert((Kind::Service, predictor.to_owned()));
    let nodes = server.graph.as_ref().map(Node::all).unwrap_or_default();
    let nodes: Vec<&Node> = nodes.into_iter().filter(|node| node.has_container()).collect();
    let (own, shared): (Vec<&Node>, Vec<&Node>) = nodes.iter().partition(|node| node.own_pod);
    let mut pods: Vec<Vec<&str>> = Vec::new();
    if server.graph.is_none() {
        pods.push(vec![model]);
    } else if !shared.is_empty() {
        pods.push(shared.iter().map(|node| node.name.as_str()).collect());
    }
    pods.extend(own.iter().map(|node| vec![node.name.as_str()]));
    for container in pods.iter().flatten() {
        names.insert((Kind::Service, format!("{predictor}-{container}")));
    }
    // Additional containers run in the first pod.
    let known: Vec<&str> = pods.concat();
    let additional = server.pod.iter().flat_map(|pod| &pod.containers).map(PodFields::name);
    if let Some(first) = pods.first_mut() {
        first.extend(additional.filter(|name| !known.contains(name)));
    }
    add_deployments(names, predictor, &pods);
}

fn add_manifest_predictor(names: &mut ObjectNames, model: &str, predictor: &ManifestPredictor) {
    let key = format!("{model}-{}", predictor.name);
    names.insert((Kind::Service, predictor.service(model)));
    let units = predictor.graph.all();
    let has_container = |unit: &&&ManifestUnit| predictor.container(&unit.name).is_some() || unit.is_prepackaged();
    for unit in units.iter().filter(has_container) {
        names.insert((Kind::Service, format!("{key}-{}", unit.name)));
    }
    let pods = predictor.component_specs.iter();
    let pods: Vec<Vec<&str>> = pods
        .map(|pod| {
            pod.spec
                .containers
                .iter()
                .map(|container| container.name.as_str())
                .collect()
        })
        .collect();
    // One without a container has the name of its prepackaged server, which a manifest of the same predictor has too.
    let pods: Vec<Vec<&str>> = pods.into_iter().filter(|containers| !containers.is_empty()).collect();
    add_deployments(names, &key, &pods);
    if predictor.has_explainer() {
        add_explainer(names, &key);
    }
}

fn add_deployments(names: &mut ObjectNames, predictor: &str, pods: &[Vec<&str>]) {
    for (index, containers) in pods.iter().enumerate() {
        names.insert((
            Kind::Deployment,
            format!("{predictor}-{index}-{}", containers.join("-")),
        ));
    }
}

fn add_explainer(names: &mut ObjectNames, predictor: &str) {
    let name = format!("{predictor}-explainer");
    names.insert((Kind::Service, name.clone()));
    names.insert((Kind::Deployment, name));
}
