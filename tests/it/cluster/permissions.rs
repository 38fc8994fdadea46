//! The permissions of the service account, and how missing ones are reported.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Instant;

use juju_sim::agent::{Fault, Hook};
use serde_json::Value;

use super::endpoints::{gateway, http};
use super::fixture::{Live, audit_answers};
use super::gateway_api::{integrate, publish_gateway, remove_istio_pilot, serves};
use crate::support::assert_contains;
use crate::support::kinds::deployment;

#[test]
fn untrusted_application_lists_missing_permissions() {
    let mut live = Live::untrusted("untrusted");
    live.wait(live.cluster.apply_gateway("untrusted", "gate")).unwrap();
    let run = live.hook("config-changed");
    assert_contains(
        &run.status.message,
        &[
            "juju trust iris --scope=cluster",
            "rbac.yaml",
            "list/create/patch/delete seldondeployments",
        ],
    );
    assert_eq!(run.status.status, "blocked");
    let log = run.logged("WARNING").collect::<Vec<_>>().join("\n");
    assert_contains(
        &log,
        &[
            "list virtualservices in all namespaces",
            "create/patch/delete virtualservices",
            "get gateways in all namespaces",
            "list deployments",
            "get statefulsets",
        ],
    );
    // Juju grants these even without trust.
    assert!(!log.contains("pods") && !log.contains(" services"), "{log}");
    live.trust(true);
    assert!(live.serves().starts_with("active"));
}

/// Applies `rbac.yaml` for an application `iris` in this namespace, with the rules that `keep` selects.
pub fn grant(live: &Live, keep: impl Fn(&Value) -> bool) {
    grant_rules(live, |rules| rules.retain(&keep));
}

/// The same with each rule changed.
pub fn grant_with(live: &Live, change: impl Fn(&mut Value)) {
    grant_rules(live, |rules| rules.iter_mut().for_each(&change));
}

fn grant_rules(live: &Live, change: impl Fn(&mut Vec<Value>)) {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/rbac.yaml")).unwrap();
    let text = text
        .replace("namespace: edge", &format!("namespace: {}", live.model()))
        .replace("namespace: istio-system", &format!("namespace: {}", live.model()))
        .replace("edge-iris", &format!("{}-iris", live.model()));
    for document in text.split("\n---") {
        let Ok(Value::Object(mut object)) = serde_yaml::from_str::<Value>(document) else {
            continue;
        };
        if let Some(Value::Array(rules)) = object.get_mut("rules") {
            change(rules);
        }
        let kind = object["kind"].as_str().unwrap().to_owned();
        let namespaced = object["metadata"].get("namespace").is_some();
        let gvk = kube::core::GroupVersionKind::gvk("rbac.authorization.k8s.io", "v1", &kind);
        let resource = kube::api::ApiResource::from_gvk(&gvk);
        let api: kube::Api<kube::api::DynamicObject> = if namespaced {
            live.api(&resource)
        } else {
            kube::Api::all_with(live.client.clone(), &resource)
        };
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let parameters = kube::api::PatchParams::apply("admin").force();
        live.wait(api.patch(&name, &parameters, &kube::api::Patch::Apply(&object)))
            .unwrap();
    }
}

#[test]
fn rbac_yaml_suffices_for_the_whole_life() {
    let mut live = Live::untrusted("granted");
    live.wait(live.cluster.apply_gateway("granted", "gate")).unwrap();
    grant(&live, |_| true);
    assert!(live.serves().starts_with("active"), "{}", live.says());
    live.config(&[("models", "{iris: {image: 'iris:2'}, b: {}}")]);
    live.serves();
    live.config(&[("models", "{b: {}}")]);
    assert!(live.serves().starts_with("active"), "{}", live.says());
    assert!(live.sdep("iris").is_none());
    live.world.unit_mut("iris/0").unwrap().life = juju_sim::juju::Life::Dying;
    live.hook("remove");
    assert!(live.sdep("b").is_none());
}

/// What `rbac.yaml` grants, as `verb resource`.
fn granted() -> BTreeSet<String> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/rbac.yaml")).unwrap();
    let documents = text
        .split("\n---")
        .filter_map(|part| serde_yaml::from_str::<Value>(part).ok());
    let mut all = BTreeSet::new();
    for rule in documents.flat_map(|document| document["rules"].as_array().cloned().unwrap_or_default()) {
        for verb in rule["verbs"].as_array().unwrap() {
            for resource in rule["resources"].as_array().unwrap() {
                all.insert(format!("{} {}", verb.as_str().unwrap(), resource.as_str().unwrap()));
            }
        }
    }
    all
}

/// Does everything that the charm needs a permission for, once.
fn does_everything(live: &mut Live) {
    live.agent.listen().unwrap();
    live.hook("leader-elected");
    let uri = live.secret("registry", &[("registry", "r"), ("username", "u"), ("password", "p")]);
    // An autoscaler with metrics that not every Seldon Core has.
    live.config(&[
        ("image-pull-secret", &uri),
        ("resources", "{requests: {cpu: 100m}}"),
        (
            "autoscale",
            "{max: 2, cpu: 80, metrics: [{type: Pods, pods: {metric: {name: n}, target: {type: AverageValue, averageValue: '1'}}}]}",
        ),
    ]);
    assert!(live.serves().starts_with("active"), "{}", live.says());
    live.config(&[("autoscale", "")]);
    live.serves();
    for action in ["plan", "endpoints", "diagnose", "list-models", "report"] {
        let run = live.run(Hook::action(action, BTreeMap::new()));
        assert_eq!(run.action.unwrap().status, "completed", "{action}");
    }
    live.error("status-get", Fault::Exit(1, "ERROR".into()));
    live.delete(&deployment(), "iris-default-0-iris");
    live.hook("update-status");
    live.agent.faults.clear();
    // What is denied: at once, elsewhere, and no more.
    gateway(live, &http(), "NodePort");
    let access = "{jwt: {issuer: a, audiences: [b], jwks-uri: 'http://a/b'}}";
    for (option, value) in [("access", access), ("prefix", "/other/"), ("access", "")] {
        live.config(&[(option, value)]);
        assert!(live.serves().starts_with("active"), "{}", live.says());
    }
    // The other kind of gateway.
    remove_istio_pilot(live);
    let id = integrate(live);
    publish_gateway(live, id);
    assert!(serves(live).starts_with("active"), "{}", live.says());
    live.hook("update-status");
    live.world.unit_mut("iris/0").unwrap().life = juju_sim::juju::Life::Dying;
    live.hook("remove");
}

#[test]
fn rbac_yaml_grants_exactly_what_is_used() {
    let mut live = Live::untrusted("exactly");
    live.wait(live.cluster.apply_gateway("exactly", "gate")).unwrap();
    grant(&live, |_| true);
    let start = Instant::now();
    does_everything(&mut live);
    loop {
        let answers = audit_answers(&live.user());
        let rejected: Vec<_> = answers.iter().filter(|(_, code)| *code == 403).collect();
        assert!(rejected.is_empty(), "asked for and not granted: {rejected:#?}");
        let requests: BTreeSet<String> = answers
            .into_iter()
            .map(|(request, _)| request)
            .filter(|request| !request.contains("selfsubject") && !request.ends_with(' '))
            .collect();
        let granted = granted();
        let beyond: Vec<_> = requests.difference(&granted).collect();
        assert!(beyond.is_empty(), "asked for and not granted: {beyond:?}");
        // An apply that creates an object is logged as a patch, and needs both permissions.
        let makes = |right: &&String| {
            let resource = right.strip_prefix("create ");
            resource.is_some_and(|resource| requests.contains(&format!("patch {resource}")))
        };
        let unused: Vec<_> = granted.difference(&requests).filter(|right| !makes(right)).collect();
        if unused.is_empty() {
            return;
        }
        // The watches may take a moment to begin.
        assert!(
            start.elapsed().as_secs() < 60,
            "granted and never asked for: {unused:?}"
        );
    }
}

#[test]
fn secret_permissions_are_required_only_with_secrets() {
    let mut live = Live::untrusted("unsecret");
    live.wait(live.cluster.apply_gateway("unsecret", "gate")).unwrap();
    grant(&live, |rule| !rule.to_string().contains("secrets"));
    let kubernetes = ("image-pull-secret", "kubernetes:mine");
    live.config(&[kubernetes]);
    assert!(live.serves().starts_with("active"), "{}", live.says());
    let uri = live.secret("registry", &[("registry", "r"), ("username", "u"), ("password", "p")]);
    live.config(&[("image-pull-secret", &uri)]);
    let says = live.says();
    assert_contains(
        &says,
        &[
            "blocked: missing permissions. Run: juju trust iris --scope=cluster (or apply rbac.yaml; ",
            "list/create/patch/delete secrets",
        ],
    );
    live.config(&[kubernetes]);
    assert!(live.says().starts_with("active"), "{}", live.says());
}

#[test]
fn missing_write_permission_stops_the_whole_model() {
    let mut live = Live::untrusted("half");
    live.wait(live.cluster.apply_gateway("half", "gate")).unwrap();
    grant(&live, |rule| {
        let text = rule.to_string();
        !(text.contains("virtualservices") && text.contains("patch"))
    });
    let says = live.says();
    assert_contains(
        &says,
        &[
            "blocked: missing permissions. Run: juju trust iris ",
            "create/patch/delete virtualservices",
        ],
    );
    assert!(live.sdep("iris").is_none(), "no half of a model");
}

/// The charm behind istio-ingress-k8s, without any permission yet.
fn behind_ingress(model: &str) -> Live {
    let mut live = Live::untrusted(model);
    remove_istio_pilot(&mut live);
    let id = integrate(&mut live);
    publish_gateway(&mut live, id);
    live
}

#[test]
fn http_route_permissions_are_required_with_gateway_api() {
    let mut live = behind_ingress("unrouted");
    grant(&live, |rule| !rule.to_string().contains("gateway.networking.k8s.io"));
    let run = live.hook("config-changed");
    assert_contains(
        &run.status.message,
        &["juju trust iris --scope=cluster", "create/patch/delete httproutes"],
    );
    assert_contains(
        &run.logged("WARNING").collect::<Vec<_>>().join("\n"),
        &[
            "list httproutes in all namespaces",
            "get gateways.gateway.networking.k8s.io in all namespaces",
        ],
    );
    assert!(live.sdep("iris").is_none(), "no half of a model");
    // With istio-pilot they are not needed.
    live.world
        .remove_relation("iris:gateway-metadata", "istio-ingress-k8s:gateway-metadata")
        .unwrap();
    live.wait(live.cluster.apply_gateway("unrouted", "gate")).unwrap();
    live.config(&[("gateway", "unrouted/gate")]);
    assert!(live.serves().starts_with("active"), "{}", live.says());
}

#[test]
fn rbac_yaml_suffices_behind_istio_ingress_k8s() {
    let mut live = behind_ingress("granted-ingress");
    grant(&live, |_| true);
    assert_contains(&serves(&mut live), &["active"]);
    live.config(&[("models", "{b: {}}")]);
    assert_contains(&serves(&mut live), &["active: b serves"]);
    live.world.unit_mut("iris/0").unwrap().life = juju_sim::juju::Life::Dying;
    live.hook("remove");
    assert_eq!(live.versions(), []);
}
