//! Shared by the tests of plans: a site, and a plan's objects.

use juju_hooks::Relation;
use seldon_model::config::{self, Config};
use seldon_model::identity::Identity;
use seldon_model::inputs::gateway::RelatedGateway;
use seldon_model::observed::Observed;
use seldon_model::plan::{Environment, PlannedModel, PlannedRoute, plan};
use serde_json::{Value, json};

pub fn relation(bag: &[(&str, &str)]) -> Relation {
    Relation {
        id: "gateway-info:1".into(),
        application: "istio-pilot".into(),
        bag: bag.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
    }
}

pub fn site() -> Environment {
    Environment {
        identity: Identity {
            namespace: "edge".into(),
            application: "iris".into(),
            model_uuid: "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee".into(),
        },
        gateway: RelatedGateway::read(
            &[relation(&[
                ("gateway_name", "kubeflow-gateway"),
                ("gateway_namespace", "kubeflow"),
            ])],
            &[],
        ),
        tracing: None,
        owner: None,
    }
}

/// The same site with istio-ingress-k8s instead of istio-pilot.
pub fn site_of_ingress() -> Environment {
    let metadata = json!({"namespace": "ingress", "gateway_name": "istio-ingress-k8s"}).to_string();
    Environment {
        gateway: RelatedGateway::read(&[], &[relation(&[("metadata", &metadata)])]),
        ..site()
    }
}

pub fn objects(planned: &PlannedModel) -> Value {
    let route = match &planned.route {
        PlannedRoute::VirtualService(route) | PlannedRoute::HttpRoute(route) => route.clone(),
        other => json!(format!("{other:?}")),
    };
    json!({"model": planned.deployment, "route": route})
}

pub fn configured(options: &Value) -> Config {
    let config = config::parse("iris", options.as_object().unwrap());
    assert_eq!(config.errors, []);
    config
}

pub fn rendered(options: &Value, site: &Environment) -> Vec<Value> {
    rendered_with(options, site, &Observed::default())
}

pub fn rendered_with(options: &Value, site: &Environment, observed: &Observed) -> Vec<Value> {
    plan(&configured(options), site, observed)
        .unwrap()
        .models
        .iter()
        .map(objects)
        .collect()
}

/// A cluster in which these predictors of iris answer.
pub fn answering(predictors: &[&str]) -> Observed {
    let deployment = |predictor: &&str| {
        json!({
            "metadata": {
                "name": format!("iris-{predictor}-0-iris"),
                "labels": {"seldon-model/model": "iris", "seldon-model/predictor": predictor},
                "ownerReferences": [{"apiVersion": "v1", "kind": "SeldonDeployment", "name": "iris", "uid": "1"}],
            },
            "spec": {"replicas": 1},
            "status": {"availableReplicas": 1},
        })
    };
    let found = json!({
        "apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment",
        "metadata": {"name": "iris", "uid": "1"},
    });
    Observed {
        seldon_deployments: vec![serde_json::from_value(found).unwrap()],
        deployments: predictors
            .iter()
            .map(|p| serde_json::from_value(deployment(p)).unwrap())
            .collect(),
        ..Observed::default()
    }
}
