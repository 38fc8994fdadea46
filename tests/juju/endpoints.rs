//! Each endpoint of the charm, with a neighbour at the other side.

use serde_json::{Value, json};

use crate::kinds::sdep;
use crate::model::{Model, SERVES, SOON, poll};
use crate::setup::setup;

pub fn gateway_info_gives_the_model_its_gateway() {
    let [first, _] = &setup().images;
    let model = Model::serving("gateway-info");
    model.assert_answers(first);

    model.juju(&["remove-relation"], &["iris:gateway-info", "gate:gateway-info"]);
    model.until_says(SOON, &["blocked: iris: no gateway. Run: juju", "iris:gateway-info"]);
    model.integrate("iris:gateway-info", "gate:gateway-info");
    model.until_serves(first);
}

pub fn gateway_metadata_names_the_gateway() {
    let [first, _] = &setup().images;
    let model = Model::with_iris("gateway-metadata");
    model.configure(&[&format!("image={first}")]);
    model.deploy_neighbour("ingress");
    model.integrate("iris:gateway-metadata", "ingress:gateway-metadata");
    model.until_says(SOON, &["waiting: waiting for ingress to name its gateway"]);

    let named = json!({
        "namespace": model.name, "gateway_name": "absent", "deployment_name": "absent", "service_account": "absent",
    });
    model.publish("ingress", "gateway-metadata", &json!({"metadata": named.to_string()}));
    // The site need not have the Gateway API.
    let waits_for_it = format!("waiting: waiting for gateway {}/absent", model.name);
    poll(SOON, "iris waits for the named gateway", || {
        let says = model.status().of("iris");
        let read = says.starts_with(&waits_for_it) || says.starts_with("blocked: Gateway API is not installed");
        if read { Ok(()) } else { Err(says) }
    });
}

pub fn metrics_endpoint_gets_scrape_jobs_and_alerts() {
    let model = Model::serving("metrics");
    model.deploy_neighbour("prometheus");
    model.integrate("iris:metrics-endpoint", "prometheus:metrics-endpoint");
    let jobs = model.until_received("prometheus/0", "metrics-endpoint", "scrape_jobs");
    let jobs: Vec<Value> = serde_json::from_str(&jobs).unwrap();
    assert!(jobs.iter().any(|job| job["static_configs"].is_array()), "{jobs:?}");
    let alerts = model.until_received("prometheus/0", "metrics-endpoint", "alert_rules");
    assert!(alerts.contains("\"expr\""), "{alerts}");
    let topology = model.until_received("prometheus/0", "metrics-endpoint", "scrape_metadata");
    assert!(topology.contains(&model.name), "{topology}");
}

pub fn grafana_dashboard_gets_a_dashboard() {
    let model = Model::with_iris("grafana");
    model.deploy_neighbour("grafana");
    model.integrate("iris:grafana-dashboard", "grafana:grafana-dashboard");
    let dashboards = model.until_received("grafana/0", "grafana-dashboard", "dashboards");
    let dashboards: Value = serde_json::from_str(&dashboards).unwrap();
    let templates = dashboards["templates"].as_object().unwrap();
    assert_eq!(templates.len(), 1, "{templates:?}");
}

pub fn tracing_sends_traces_to_the_named_receiver() {
    let model = Model::serving("tracing");
    model.deploy_neighbour("tempo");
    model.integrate("iris:tracing", "tempo:tracing");
    let requested = model.until_received("tempo/0", "tracing", "receivers");
    assert_eq!(requested, r#"["jaeger_thrift_http"]"#);

    let url = "http://tempo.invalid:14268";
    let receivers = json!([{"protocol": {"name": "jaeger_thrift_http", "type": "http"}, "url": url}]);
    model.publish("tempo", "tracing", &json!({"receivers": receivers.to_string()}));
    poll(SOON, "the model has the receiver", || {
        let found = setup()
            .cluster
            .objects(&model.name, &sdep(), "seldon-model/application=iris");
        let found = Value::from(found).to_string();
        if found.contains(url) { Ok(()) } else { Err(found) }
    });
    model.until_says(SERVES, &["active: "]);
}

pub fn seldon_core_relation_needs_its_endpoint_named() {
    let model = Model::with_iris("seldon-core");
    model.deploy_neighbour("seldon-core");
    // Every application provides juju-info, so the name of ours decides which relation is meant.
    model.deploy_neighbour("gate");
    let integrate = [setup().juju.integrate()];
    let refused = model.rejected(&integrate, &["iris", "gate"]);
    assert!(refused.contains("ambiguous"), "{refused}");

    model.integrate("iris:seldon-core", "seldon-core");
    model.until(SOON, "the relation is there and settled", |status| {
        status.related("iris", "seldon-core") == ["seldon-core"] && status.is_settled("iris", 1)
    });
    // One Seldon Core serves a namespace.
    model.rejected(&integrate, &["iris:seldon-core", "gate"]);
}
