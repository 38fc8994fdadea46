//! Requests go to what answers, for any options and any state of the cluster.

use proptest::prelude::*;
use seldon_model::observed::{Observed, Ports};
use serde_json::{Value, json};

use super::fixture::{answering, rendered, rendered_with, site};
use crate::support::rules;

/// Where requests go, as `Service weight`.
fn shares(route: &Value) -> Vec<(String, u64)> {
    let http = route["spec"]["http"].as_array().unwrap().last().unwrap();
    let share = |to: &Value| {
        let host = to["destination"]["host"].as_str().unwrap();
        (
            host.split('.').next().unwrap().to_owned(),
            to["weight"].as_u64().unwrap_or(100),
        )
    };
    http["route"].as_array().unwrap().iter().map(share).collect()
}

/// A site where iris has these options, all of its predictors answer, and its route has that `http`.
fn deployed(options: &Value, http: &Value) -> Observed {
    let mut observed = answering(&["default", "canary"]);
    let object = rendered(options, &site()).remove(0);
    observed.seldon_deployments[0].data = json!({"spec": object["model"]["spec"]});
    let mut route = object["route"].clone();
    route["spec"]["http"] = http.clone();
    observed.virtual_services = vec![serde_json::from_value(route).unwrap()];
    observed
}

fn destination(service: &str, weight: u8) -> Value {
    json!({"destination": {"host": format!("{service}.edge.svc.cluster.local")}, "weight": weight})
}

#[test]
fn predictor_with_traffic_is_kept_until_route_changes() {
    let before = json!({"image": "iris:1", "canary": "{image: 'iris:2', weight: 20}"});
    let after = json!({"image": "iris:2"});
    let comes_to = |options: &Value, http: Value| {
        let object = rendered_with(options, &site(), &deployed(&before, &http)).remove(0);
        let names = |predictor: &Value| predictor["name"].as_str().unwrap().to_owned();
        let predictors: Vec<String> = object["model"]["spec"]["predictors"]
            .as_array()
            .unwrap()
            .iter()
            .map(names)
            .collect();
        (predictors, shares(&object["route"]))
    };
    let share = |service: &str, weight: u64| (service.to_owned(), weight);
    let both = json!([{"route": [destination("iris-default", 80), destination("iris-canary", 20)]}]);
    let (predictors, to) = comes_to(&after, both);
    assert_eq!(predictors, ["default", "canary"]);
    assert_eq!(to, [share("iris-default", 80), share("iris-canary", 20)]);
    // Reached by header only, alongside a route that leads elsewhere.
    let by_hand = json!([{"route": [destination("iris-canary", 100)]}, {"route": [destination("elsewhere", 100)]}]);
    assert_eq!(comes_to(&after, by_hand).1, [share("iris-default", 100)]);
    // Nothing leads to it any more.
    let (predictors, to) = comes_to(&after, json!([{"route": [destination("iris-default", 100)]}]));
    assert_eq!(predictors, ["default"]);
    assert_eq!(to, [share("iris-default", 100)]);
    // The same predictor with another Service: a name occurs only once.
    let manifest = "{apiVersion: machinelearning.seldon.io/v1, kind: SeldonDeployment, spec: {predictors: [
        {name: default, annotations: {seldon.io/svc-name: other}, graph: {name: m, implementation: SKLEARN_SERVER, modelUri: 'gs://b/m'}}]}}";
    let both = json!([{"route": [destination("iris-default", 80), destination("iris-canary", 20)]}]);
    assert_eq!(comes_to(&json!({"manifest": manifest}), both).0, ["default", "canary"]);
}

proptest! {
    #[test]
    fn weights_sum_to_hundred_over_planned_predictors(
        weight in 0..=100_u8,
        answers in prop::collection::vec(any::<bool>(), 3),
        shadow in any::<bool>(),
        header in any::<bool>(),
    ) {
        let headers = if header { ", match: {x: y}" } else { "" };
        let mut options = json!({"image": "iris:1", "canary": format!("{{image: 'iris:2', weight: {weight}{headers}}}")});
        if shadow {
            options["shadow"] = json!("{image: 'iris:3'}");
        }
        let there: Vec<&str> = ["default", "canary", "shadow"]
            .into_iter()
            .zip(&answers)
            .filter_map(|(name, answers)| answers.then_some(name))
            .collect();
        let object = rendered_with(&options, &site(), &answering(&there)).remove(0);
        let all = shares(&object["route"]);
        prop_assert_eq!(all.iter().map(|(_, weight)| weight).sum::<u64>(), 100);
        let services: Vec<String> = object["model"]["spec"]["predictors"].as_array().unwrap().iter()
            .map(|predictor| format!("iris-{}", predictor["name"].as_str().unwrap()))
            .collect();
        for (service, _) in &all {
            prop_assert!(services.contains(service), "{service}");
            // An unready predictor gets requests only if no other with a weight is ready.
            let silent = !there.contains(&service.trim_start_matches("iris-"));
            let better = (answers[0] && weight < 100) || (answers[1] && weight > 0);
            prop_assert!(!(silent && better), "{:?} with {:?} answering", all, there);
        }
        // One route is for calls over gRPC, and one for all other requests.
        let by_header = rules(&object["route"]).len() > 2;
        prop_assert_eq!(by_header, header && answers[1]);
    }
}

/// The destinations of a route, including mirrors.
fn destinations(http: &Value) -> Vec<Value> {
    let shares = http["route"].as_array().unwrap().iter();
    let to = shares.map(|share| share["destination"].clone());
    to.chain(http.get("mirror").cloned()).collect()
}

proptest! {
    #[test]
    fn grpc_is_split_as_http_on_its_port(
        weight in 0..=100_u8,
        answers in prop::collection::vec(any::<bool>(), 3),
        header in any::<bool>(),
        protocol in prop::sample::select(vec!["", "seldon", "v2", "tensorflow"]),
        grpc_host in any::<bool>(),
        ports in (1..=u16::MAX, 1..=u16::MAX),
    ) {
        let headers = if header { ", match: {x: y}" } else { "" };
        let options = json!({
            "image": "iris:1", "protocol": protocol, "grpc-host": if grpc_host { "iris.example" } else { "" },
            "canary": format!("{{image: 'iris:2', weight: {weight}{headers}}}"), "shadow": "{image: 'iris:3'}",
        });
        let names = ["default", "canary", "shadow"];
        let there: Vec<&str> = names.into_iter().zip(&answers).filter_map(|(name, is)| is.then_some(name)).collect();
        let mut observed = answering(&there);
        for name in names {
            observed.services.insert(format!("iris-{name}"), Ports { http: ports.0, grpc: ports.1 });
        }
        let object = rendered_with(&options, &site(), &observed).remove(0);
        let http = rules(&object["route"]);
        let is_grpc = |http: &&Value| http["match"][0]["headers"].get("content-type").is_some();
        let (calls, requests): (Vec<_>, Vec<_>) = http.iter().partition(is_grpc);
        for (routes, port) in [(&calls, ports.1), (&requests, ports.0)] {
            for to in routes.iter().flat_map(|http| destinations(http)) {
                prop_assert_eq!(&to["port"]["number"], &json!(port));
                let host = to["host"].as_str().unwrap();
                prop_assert!(names.iter().any(|name| host == format!("iris-{name}.edge.svc.cluster.local")), "{}", host);
            }
        }
        let split = |http: &Value| shares(&json!({"spec": {"http": [http]}}));
        prop_assert_eq!(split(calls.last().unwrap()), split(requests.last().unwrap()));
        // By headers, and by host if there is one.
        for http in &calls {
            prop_assert_eq!(http["match"].as_array().unwrap().len(), 1 + usize::from(grpc_host));
        }
    }
}

#[test]
fn requests_of_the_model_page_reach_the_model() {
    let http = |options: Value| Value::from(rules(&rendered(&options, &site()).remove(0)["route"]));
    let own = |http: &Value| -> Vec<Value> {
        let last = http.as_array().unwrap().last().unwrap();
        last["match"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["uri"].clone())
            .collect()
    };
    let seldons = json!({"prefix": "/seldon/edge/iris/"});
    let of_seldon = http(json!({"image": "iris:1"}));
    assert_eq!(own(&of_seldon).last(), Some(&seldons));
    assert_eq!(of_seldon.as_array().unwrap().len(), 2);
    // A prefix that this model or another one has as an option is not added twice.
    let options = json!({"image": "iris:1", "prefix": "/seldon/edge/iris/"});
    assert_eq!(
        own(&http(options)),
        [seldons.clone(), json!({"exact": "/seldon/edge/iris"})]
    );
    let others = json!({"image": "iris:1", "models": "{iris: {}, other: {prefix: /seldon/}}"});
    assert!(!own(&http(others)).contains(&seldons));
    // The page of v2 calls the root of the host, where only the Referer identifies the model.
    for protocol in ["v2", "kfserving"] {
        let manifest = format!(
            "{{apiVersion: machinelearning.seldon.io/v1, kind: SeldonDeployment, spec: {{protocol: {protocol}, predictors: [
            {{name: a, graph: {{name: m, implementation: TRITON_SERVER, modelUri: 'gs://b/m'}}}}]}}}}"
        );
        let of_v2 = http(json!({"manifest": manifest, "prefix": "/m.1/"}));
        let page = &of_v2[1];
        assert_eq!(
            page["match"],
            json!([{
                "uri": {"prefix": "/v2/"}, "headers": {"referer": {"regex": "https?://[^/]+/m[.]1/v2/docs/.*"}},
            }])
        );
        assert!(page.get("rewrite").is_none());
        assert_eq!(of_v2.as_array().unwrap().len(), 3);
    }
}
