//! Properties of plans, for any models on a site with any other models.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::select;
use seldon_model::config::{self, Config};
use seldon_model::observed::Observed;
use seldon_model::plan::{Plan, plan};
use serde_json::{Value, json};

use super::fixture::{objects, site, site_of_ingress};
use crate::support::rules;

const SOURCES: [&str; 8] = [
    "image: 'iris:1'",
    "image: 'iris:2'",
    "implementation: SKLEARN_SERVER, model-uri: 'gs://bucket/iris'",
    "graph: {transformer: t, image: 't:1', children: [{model: m, image: 'm:1', own-pod: true, resources: {requests: {cpu: 1}}}]}",
    "manifest: {apiVersion: machinelearning.seldon.io/v1, kind: SeldonDeployment, spec: {predictors: [
        {name: blue, replicas: 1, traffic: 30, graph: {name: m, implementation: SKLEARN_SERVER, modelUri: 'gs://b/m'}},
        {name: default, replicas: 1, traffic: 70, graph: {name: m, implementation: SKLEARN_SERVER, modelUri: 'gs://b/m'},
            explainer: {type: ALE, modelUri: 'gs://b/e'}}]}}",
    "manifest: {apiVersion: machinelearning.seldon.io/v1, kind: SeldonDeployment, spec: {predictors: [
        {name: default, replicas: 1, traffic: 30, graph: {name: m, implementation: SKLEARN_SERVER, modelUri: 'gs://b/m'}},
        {name: canary, replicas: 1, traffic: 30, graph: {name: m, implementation: SKLEARN_SERVER, modelUri: 'gs://b/m'}},
        {name: three, replicas: 1, traffic: 40, graph: {name: m, implementation: SKLEARN_SERVER, modelUri: 'gs://b/m'}}]}}",
    "manifest: {apiVersion: machinelearning.seldon.io/v1, kind: SeldonDeployment, spec: {predictors: [
        {name: default, annotations: {seldon.io/svc-name: elsewhere},
            graph: {name: m, implementation: SKLEARN_SERVER, modelUri: 'gs://b/m'}}]}}",
    "manifest: {apiVersion: machinelearning.seldon.io/v1, kind: SeldonDeployment, spec: {predictors: [
        {name: one, traffic: 100, graph: {name: m, implementation: SKLEARN_SERVER, modelUri: 'gs://b/m'}},
        {name: two, shadow: true, traffic: 20, graph: {name: m, implementation: SKLEARN_SERVER, modelUri: 'gs://b/m'}}]}}",
];

/// More options of a model.
const EXTRAS: [&str; 13] = [
    "canary: {image: 'iris:3'}",
    "canary: {image: 'iris:3', weight: 33}",
    "canary: {image: 'iris:3', weight: 100, match: {x: y}}",
    "canary: {replicas: 2, weight: 7}",
    "shadow: {image: 'iris:4'}",
    "shadow: {weight: 50}",
    "explainer: {type: AnchorTabular, model-uri: 'gs://b/e'}",
    "autoscale: {min: 0, max: 3, keda: {triggers: [{type: cron, metadata: {timezone: UTC}}]}}",
    "replicas: 0",
    "hosts: [a.example]",
    "headers: {request: {set: {a: b}}}",
    "pod: {nodeSelector: {a: b}}",
    "prefix: /model/a/",
];

/// Names that collide with Seldon's suffixes, and one that leaves no room for them.
const NAMES: [&str; 8] = [
    "a",
    "a-default",
    "a-canary",
    "a-b",
    "a-route",
    "b",
    "b-blue",
    "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstu",
];

fn any_model() -> impl Strategy<Value = String> {
    let extras = prop::collection::btree_set(select(&EXTRAS[..]), 0..4);
    (select(&SOURCES[..]), extras).prop_map(|(source, extras)| {
        let all: Vec<&str> = [source].into_iter().chain(extras).collect();
        format!("{{{}}}", all.join(", "))
    })
}

fn any_models() -> impl Strategy<Value = Config> {
    prop::collection::btree_map(select(&NAMES[..]), any_model(), 1..5).prop_map(|models| {
        let entries: Vec<String> = models.iter().map(|(name, entry)| format!("{name}: {entry}")).collect();
        let options = json!({"models": format!("{{{}}}", entries.join(",\n"))});
        config::parse("iris", options.as_object().unwrap())
    })
}

/// A site on which these models were deployed and some of their predictors answer.
fn after(config: &Config, answers: &[bool]) -> Observed {
    let plan = plan(config, &site(), &Observed::default()).unwrap();
    let mut observed = Observed::default();
    let mut answers = answers.iter().cycle();
    for planned in &plan.models {
        let name = &planned.model.name;
        let mut both = objects(planned);
        both["model"]["metadata"]["uid"] = json!(name);
        observed
            .seldon_deployments
            .push(serde_json::from_value(both["model"].clone()).unwrap());
        observed
            .virtual_services
            .push(serde_json::from_value(both["route"].clone()).unwrap());
        for predictor in &planned.predictors {
            let explainer = predictor.explainer.iter().map(|(service, _)| service.clone());
            for of in [predictor.service.clone()].into_iter().chain(explainer) {
                let deployment = json!({
                    "metadata": {
                        "name": of,
                        "labels": {"seldon-model/model": name, "seldon-model/predictor": predictor.name},
                        "ownerReferences": [{"apiVersion": "v1", "kind": "SeldonDeployment", "name": name, "uid": name}],
                    },
                    "spec": {"replicas": 1},
                    "status": {"availableReplicas": u8::from(*answers.next().unwrap())},
                });
                observed.deployments.push(serde_json::from_value(deployment).unwrap());
            }
        }
    }
    observed
}

fn is_label(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The Services that Seldon makes for a SeldonDeployment: live ones, and those of shadows.
fn services(deployment: &Value) -> (Vec<String>, Vec<String>) {
    let name = deployment["metadata"]["name"].as_str().unwrap();
    let predictors = deployment["spec"]["predictors"].as_array().unwrap();
    let service = |one: &&Value| match one["annotations"]["seldon.io/svc-name"].as_str() {
        Some(service) => service.to_owned(),
        None => format!("{name}-{}", one["name"].as_str().unwrap()),
    };
    let (shadows, live): (Vec<&Value>, Vec<&Value>) = predictors.iter().partition(|one| one["shadow"] == true);
    let explained = live.iter().filter(|one| one["explainer"].is_object());
    let explainers = explained.map(|one| format!("{name}-{}-explainer", one["name"].as_str().unwrap()));
    let all = live.iter().map(service).chain(explainers).collect();
    (all, shadows.iter().map(service).collect())
}

fn names_are_valid_and_unique(plan: &Plan) -> Result<(), TestCaseError> {
    let mut services_so_far = BTreeSet::new();
    let mut routes_so_far = BTreeSet::new();
    for planned in &plan.models {
        let both = objects(planned);
        let predictors = both["model"]["spec"]["predictors"].as_array().unwrap();
        let names: BTreeSet<&str> = predictors.iter().map(|one| one["name"].as_str().unwrap()).collect();
        prop_assert_eq!(names.len(), predictors.len(), "{}", both["model"]);
        let (live, shadows) = services(&both["model"]);
        for service in live.into_iter().chain(shadows) {
            prop_assert!(is_label(&service), "{service}");
            prop_assert!(services_so_far.insert(service.clone()), "{service} twice");
        }
        let (deployment, route) = (&both["model"]["metadata"]["name"], &both["route"]["metadata"]["name"]);
        for name in [deployment, route] {
            let name = name.as_str().unwrap().to_owned();
            prop_assert!(is_label(&name), "{name}");
            prop_assert!(routes_so_far.insert(name.clone()), "{name} twice");
        }
    }
    Ok(())
}

fn every_request_has_a_destination(plan: &Plan) -> Result<(), TestCaseError> {
    for planned in &plan.models {
        let both = objects(planned);
        let (live, shadows) = services(&both["model"]);
        let name = |to: &Value| to["host"].as_str().unwrap().split('.').next().unwrap().to_owned();
        for http in rules(&both["route"]) {
            let to = http["route"].as_array().unwrap();
            let sum: u64 = to.iter().map(|one| one["weight"].as_u64().unwrap_or(100)).sum();
            prop_assert_eq!(sum, 100, "{}", http);
            for one in to {
                let service = name(&one["destination"]);
                prop_assert!(live.contains(&service), "{} is not of {:?}", service, live);
                prop_assert!(one["weight"] != 0, "{}", http);
            }
            if http["mirror"].is_object() {
                let service = name(&http["mirror"]);
                prop_assert!(shadows.contains(&service), "{} is not of {:?}", service, shadows);
            }
        }
    }
    Ok(())
}

/// The same for the Gateway API, within the limits of its CRD.
fn every_request_has_a_backend(plan: &Plan) -> Result<(), TestCaseError> {
    for planned in &plan.models {
        let both = objects(planned);
        let (live, shadows) = services(&both["model"]);
        let count = both["route"]["spec"]["rules"].as_array().unwrap().len();
        prop_assert!((1..=16).contains(&count), "{}", both["route"]);
        for rule in rules(&both["route"]) {
            let to = rule["backendRefs"].as_array().unwrap();
            let sum: u64 = to.iter().map(|one| one["weight"].as_u64().unwrap()).sum();
            prop_assert_eq!(sum, 100, "{}", rule);
            for one in to {
                let service = one["name"].as_str().unwrap().to_owned();
                prop_assert!(live.contains(&service), "{} is not of {:?}", service, live);
            }
            let filters = rule["filters"].as_array().cloned().unwrap_or_default();
            for filter in filters {
                if filter["type"] == "URLRewrite" {
                    prop_assert_eq!(rule["matches"].as_array().unwrap().len(), 1, "{}", rule);
                }
                if filter["type"] == "RequestMirror" {
                    let service = filter["requestMirror"]["backendRef"]["name"].as_str().unwrap();
                    prop_assert!(shadows.iter().any(|shadow| shadow == service), "{}", rule);
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_models_get_valid_names_and_destinations(
        before in any_models(),
        now in any_models(),
        answers in prop::collection::vec(any::<bool>(), 7),
    ) {
        let observed = after(&before, &answers);
        let plan = plan(&now, &site(), &observed).unwrap();
        prop_assert_eq!(plan.models.len() + plan.frozen.len(), now.models.len() + now.frozen.len());
        names_are_valid_and_unique(&plan)?;
        every_request_has_a_destination(&plan)?;
    }

    #[test]
    fn any_models_get_valid_http_routes(
        before in any_models(),
        now in any_models(),
        answers in prop::collection::vec(any::<bool>(), 7),
    ) {
        let observed = after(&before, &answers);
        let plan = plan(&now, &site_of_ingress(), &observed).unwrap();
        names_are_valid_and_unique(&plan)?;
        every_request_has_a_backend(&plan)?;
    }
}

/// One change gives a model other predictors, and its Service to another model, while the new predictors do not serve yet.
#[test]
fn service_given_to_another_model_is_not_retained() {
    let (with_service, without) = (SOURCES[6], SOURCES[7]);
    let models = |text: String| config::parse("iris", json!({"models": text}).as_object().unwrap());
    let before = models(format!("{{a: {{{with_service}}}}}"));
    let observed = after(&before, &[true]);
    let alone = models(format!("{{a: {{{without}}}}}"));
    let retained = plan(&alone, &site(), &observed).unwrap();
    let predictors = |plan: &Plan| {
        objects(&plan.models[0])["model"]["spec"]["predictors"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(predictors(&retained), 3, "it still gets requests");
    let given = models(format!("{{a: {{{without}}}, b: {{{with_service}}}}}"));
    let plan = plan(&given, &site(), &observed).unwrap();
    assert_eq!(predictors(&plan), 2);
    names_are_valid_and_unique(&plan).unwrap();
    every_request_has_a_destination(&plan).unwrap();
}
