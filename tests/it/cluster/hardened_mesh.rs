//! The policies of `examples/policies/hardened-mesh.yaml`, which an operator applies in a mesh that denies by default. No mesh runs
//! here: they are held to Istio's definitions, and to the pods, Services and gateway that they name.

use std::fs;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::gateway_api::{INGRESS, behind_ingress, route_of, serves};
use crate::support::kinds::{deployment, kind};

/// The file's policies, for this namespace.
fn policies(namespace: &str) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/policies/hardened-mesh.yaml");
    let text = fs::read_to_string(path).unwrap();
    let text = text
        .replace("namespace: edge", &format!("namespace: {namespace}"))
        .replace("namespaces: [edge]", &format!("namespaces: [{namespace}]"))
        .replace("/ns/edge/", &format!("/ns/{namespace}/"));
    text.split("\n---\n")
        .map(|document| serde_yaml::from_str(document).unwrap())
        .collect()
}

#[test]
fn policies_for_a_hardened_mesh_fit_what_the_charm_writes() {
    let mut live = behind_ingress("hardened");
    live.config(&[
        ("canary", "{image: 'iris:2', weight: 10}"),
        ("explainer", "{type: AnchorTabular, model-uri: 'gs://e'}"),
    ]);
    serves(&mut live);
    let policies = policies(&live.model());
    let [pods, services, webhook] = policies.as_slice() else {
        panic!("{policies:#?}")
    };

    let mut resource = kind("security.istio.io", "v1", "AuthorizationPolicy");
    resource.plural = "authorizationpolicies".to_owned();
    for policy in &policies {
        let parameters = PatchParams {
            field_validation: Some(kube::api::ValidationDirective::Strict),
            ..PatchParams::apply("kubectl")
        };
        let name = policy["metadata"]["name"].as_str().unwrap();
        live.wait(live.api(&resource).patch(name, &parameters, &Patch::Apply(policy)))
            .unwrap();
    }

    let (label, application) = pods["spec"]["selector"]["matchLabels"]
        .as_object()
        .unwrap()
        .iter()
        .next()
        .unwrap();
    let names = ["iris-default-0-iris", "iris-canary-0-iris", "iris-default-explainer"];
    for name in names {
        let deployment = live.get(&deployment(), name).unwrap();
        assert_eq!(
            &deployment["spec"]["template"]["metadata"]["labels"][label],
            application
        );
    }

    let model = live.model();
    let gateway = format!("cluster.local/ns/{model}/sa/{INGRESS}-istio");
    assert_eq!(
        pods["spec"]["rules"][0]["from"],
        json!([{"source": {"principals": [gateway]}}, {"source": {"namespaces": [model]}}])
    );

    let route = route_of(&live, "iris").unwrap();
    let default = &services["spec"]["targetRefs"][0]["name"];
    assert!(route.to_string().contains(&format!("\"name\":{default}")), "{route:#}");

    let labels = json!({"app.kubernetes.io/name": "seldon-core"});
    assert_eq!(webhook["spec"]["selector"]["matchLabels"], labels);
}
