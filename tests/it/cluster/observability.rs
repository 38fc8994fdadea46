//! The relations with the observability stack: what is written to their databags, when, and by which unit.

use std::collections::BTreeMap;

use juju_sim::agent::{Fault, Hook, HookRun, RelationEvent};
use juju_sim::juju::Charm;
use serde_json::{Value, json};

use super::fixture::Live;
use crate::support::kinds::pod;
use crate::support::{assert_contains, stack};

/// Relates the charm to Prometheus and Grafana. Returns the ids of the relations.
fn relate(live: &mut Live) -> (u32, u32) {
    for name in ["prometheus", "grafana"] {
        live.world
            .add_application(name, Charm::fake(name, "1/stable"), 1)
            .unwrap();
    }
    let metrics = live
        .world
        .integrate("iris:metrics-endpoint", "prometheus:metrics-endpoint")
        .unwrap();
    let dashboard = live
        .world
        .integrate("iris:grafana-dashboard", "grafana:grafana-dashboard")
        .unwrap();
    (metrics, dashboard)
}

fn bag(live: &Live, id: u32) -> BTreeMap<String, String> {
    live.world.relations[&id]
        .data("iris")
        .cloned()
        .unwrap_or_default()
        .into_iter()
        .collect()
}

/// The scrape targets, as `model predictor endpoint address`.
fn scraped(live: &Live, id: u32) -> Vec<String> {
    let bag = bag(live, id);
    stack::assert_prometheus_scrape(&bag);
    let jobs: Vec<Value> = serde_json::from_str(&bag["scrape_jobs"]).unwrap();
    let configs = jobs.iter().flat_map(|job| job["static_configs"].as_array().unwrap());
    let mut all: Vec<String> = configs
        .map(|config| {
            let label = |name: &str| config["labels"][name].as_str().unwrap().to_owned();
            let address = config["targets"][0].as_str().unwrap();
            format!(
                "{} {} {} {address}",
                label("seldon_model"),
                label("seldon_predictor"),
                label("seldon_endpoint")
            )
        })
        .collect();
    all.sort();
    all
}

fn tools(run: &HookRun) -> Vec<String> {
    let mut tools: Vec<String> = run.calls.iter().map(|call| call.tool().to_owned()).collect();
    tools.sort();
    tools
}

/// A pod as the kubelet would report it.
fn running(live: &Live, predictor: &str, name: &str, address: &str) {
    let labels = json!({
        "seldon-model/application": "iris", "seldon-model/model-uuid": live.world.model.uuid,
        "seldon-model/model": "iris", "seldon-model/predictor": predictor,
    });
    let container = |name: &str, port: u16| json!({"name": name, "image": "x", "ports": [{"name": "metrics", "containerPort": port}]});
    let object = json!({
        "metadata": {"labels": labels},
        "spec": {"containers": [container("iris", 6000), container("seldon-container-engine", 8000)]},
    });
    live.create(&pod(), name, &object);
    let says = json!({"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]});
    live.merge_status(&pod(), name, &says);
}

#[test]
fn scrape_jobs_are_written_once() {
    let mut live = Live::new("told");
    let (metrics, dashboard) = relate(&mut live);
    live.serves();
    running(&live, "default", "iris-default-a", "10.1.0.1");
    live.hook("update-status");
    assert_eq!(
        scraped(&live, metrics),
        [
            "iris default custom 10.1.0.1:6000",
            "iris default service iris-default.told.svc.cluster.local:8000"
        ]
    );
    assert_eq!(bag(&live, dashboard).keys().collect::<Vec<_>>(), ["dashboards"]);

    let (run, requests) = live.audited("update-status");
    let with = ["relation-get", "relation-get", "is-leader"];
    let without = ["config-get", "relation-get", "relation-list", "status-get"];
    let mut wanted: Vec<&str> = with.into_iter().chain(without).chain(["relation-ids"; 5]).collect();
    wanted.sort_unstable();
    assert_eq!(tools(&run), wanted, "and nothing is set");
    assert_eq!(requests.iter().filter(|request| *request == "list pods").count(), 1);
    assert_eq!(requests.len(), 6, "{requests:#?}");
}

#[test]
fn offered_endpoints_get_jobs_alerts_and_dashboard() {
    let mut live = Live::new("offered");
    let metrics = live.world.integrate_offer("iris:metrics-endpoint").unwrap();
    let dashboard = live.world.integrate_offer("iris:grafana-dashboard").unwrap();
    assert_contains(&live.serves(), &["active: iris serves"]);
    assert_eq!(
        scraped(&live, metrics),
        ["iris default service iris-default.offered.svc.cluster.local:8000"]
    );
    let rules: Value = serde_json::from_str(&bag(&live, metrics)["alert_rules"]).unwrap();
    assert!(!rules["groups"][0]["rules"].as_array().unwrap().is_empty(), "{rules}");
    assert_eq!(bag(&live, dashboard).keys().collect::<Vec<_>>(), ["dashboards"]);
}

#[test]
fn offered_gateway_and_tracing_endpoints_are_read() {
    let mut live = Live::new("requirer");
    live.world.remove_relation("iris:gateway-info", "istio-pilot").unwrap();
    let gateway = live.world.integrate_offer("iris:gateway-info").unwrap();
    let tracing = live.world.integrate_offer("iris:tracing").unwrap();
    let [pilot, tempo] = [gateway, tracing].map(|id| live.world.consumer(id, "iris").unwrap());
    let names = [("gateway_name", "gate"), ("gateway_namespace", "requirer")];
    live.world.write_bag(gateway, &pilot, &names).unwrap();
    let receiver = r#"[{"protocol": {"name": "jaeger_thrift_http", "type": "http"}, "url": "http://tempo:14268"}]"#;
    live.world
        .write_bag(tracing, &tempo, &[("receivers", receiver)])
        .unwrap();
    assert_contains(&live.serves(), &["active: iris serves"]);
    assert_contains(
        &live.sdep("iris").unwrap().to_string(),
        &["http://tempo:14268/api/traces"],
    );
}

#[test]
fn force_removed_relation_does_not_block_others() {
    let mut live = Live::new("forced");
    let stale = ["iris:metrics-endpoint", "iris:grafana-dashboard", "iris:tracing"];
    for endpoint in stale {
        let id = live.world.integrate_offer(endpoint).unwrap();
        live.world.force_remove_relation(id).unwrap();
    }
    // Later relations have higher ids, and are read after them.
    let metrics = live.world.integrate_offer("iris:metrics-endpoint").unwrap();
    let dashboard = live.world.integrate_offer("iris:grafana-dashboard").unwrap();
    assert_contains(&live.serves(), &["active: iris serves"]);
    assert_eq!(scraped(&live, metrics).len(), 1);
    assert_eq!(bag(&live, dashboard).len(), 1);
    // The relation was removed between being read and being written.
    live.error("relation-set", Fault::Exit(1, "ERROR relation not found\n".into()));
    live.config(&[("canary", "{image: 'iris:2'}")]);
    assert_contains(&live.says(), &["waiting: iris"]);
}

#[test]
fn no_models_means_no_pod_list() {
    let mut live = Live::new("toldnone");
    let (metrics, _) = relate(&mut live);
    live.config(&[("models", "{}")]);
    let (_, requests) = live.audited("config-changed");
    assert!(!requests.contains(&"list pods".to_owned()), "{requests:#?}");
    assert_eq!(scraped(&live, metrics), Vec::<String>::new());
}

#[test]
fn only_the_leader_writes_application_databags() {
    let mut live = Live::new("toldby");
    live.serves();
    let (metrics, dashboard) = relate(&mut live);
    live.world.application_mut("iris").unwrap().add_unit();
    let run = live.run_on("iris/1", "config-changed");
    assert_eq!(run.exit, 0, "{run:#?}");
    let sets = run.calls_of("relation-set");
    assert!(
        sets.into_iter().all(|call| !call.args().contains(&"--app".to_owned())),
        "{run:#?}"
    );
    assert_eq!((bag(&live, metrics).len(), bag(&live, dashboard).len()), (0, 0));
    live.hook("update-status");
    assert_eq!((bag(&live, metrics).len(), bag(&live, dashboard).len()), (3, 1));
}

/// What a unit has written into its own databag.
fn unit_bag(live: &Live, id: u32, unit: &str) -> BTreeMap<String, String> {
    let bag = live.world.relations[&id].data(unit).cloned().unwrap_or_default();
    bag.into_iter()
        .filter(|(key, _)| key.starts_with("prometheus_scrape_"))
        .collect()
}

#[test]
fn every_unit_publishes_its_address_and_name() {
    let mut live = Live::new("addressed");
    live.serves();
    let (metrics, _) = relate(&mut live);
    live.world.application_mut("iris").unwrap().add_unit();
    for unit in ["iris/0", "iris/1"] {
        live.run_on(unit, "config-changed");
        let address = live.world.unit_mut(unit).unwrap().address.clone();
        let expected = [
            ("prometheus_scrape_unit_address", address.as_str()),
            ("prometheus_scrape_unit_name", unit),
        ];
        let expected = expected.map(|(key, text)| (key.to_owned(), text.to_owned()));
        assert_eq!(unit_bag(&live, metrics, unit), expected.into());
    }
    // With nothing new a hook that may bring an address reads, and the others do not even that.
    let network = |run: &HookRun| run.calls_of("network-get").count();
    let run = live.hook("config-changed");
    assert_eq!((network(&run), run.calls_of("relation-set").count()), (1, 0));
    let run = live.hook("update-status");
    assert_eq!((network(&run), run.calls_of("relation-set").count()), (0, 0));
    // A new pod.
    live.world.unit_mut("iris/0").unwrap().new_pod();
    let address = live.world.unit_mut("iris/0").unwrap().address.clone();
    let run = live.hook("config-changed");
    assert_eq!(
        unit_bag(&live, metrics, "iris/0")["prometheus_scrape_unit_address"],
        address
    );
    let sets: Vec<String> = run.calls_of("relation-set").map(|call| call.args().join(" ")).collect();
    assert_eq!(
        sets,
        [format!(
            "-r metrics-endpoint:{metrics} prometheus_scrape_unit_address={address}"
        )]
    );
}

#[test]
fn unit_without_address_publishes_it_later() {
    let mut live = Live::new("unaddressed");
    live.serves();
    let (metrics, _) = relate(&mut live);
    let why = "ERROR no network config found for binding \"metrics-endpoint\"\n";
    live.error("network-get", Fault::Exit(1, why.into()));
    let run = live.hook("config-changed");
    assert!(crate::support::status(&run).starts_with("active"), "{run:#?}");
    assert_eq!(unit_bag(&live, metrics, "iris/0").len(), 0);
    live.agent.faults.clear();
    live.hook("config-changed");
    assert_eq!(unit_bag(&live, metrics, "iris/0").len(), 2);
}

#[test]
fn scrape_jobs_follow_predictors_and_pods() {
    let mut live = Live::new("toldall");
    let (metrics, dashboard) = relate(&mut live);
    live.serves();
    let before = bag(&live, dashboard);
    live.config(&[("canary", "{image: 'iris:2', weight: 10, replicas: 2}")]);
    live.serves();
    running(&live, "canary", "iris-canary-a", "10.1.0.2");
    running(&live, "canary", "iris-canary-b", "10.1.0.3");
    live.hook("update-status");
    let service = |predictor: &str| format!("iris {predictor} service iris-{predictor}.toldall.svc.cluster.local:8000");
    assert_eq!(
        scraped(&live, metrics),
        [
            "iris canary custom 10.1.0.2:6000".to_owned(),
            "iris canary custom 10.1.0.3:6000".to_owned(),
            "iris canary pod 10.1.0.2:8000".to_owned(),
            "iris canary pod 10.1.0.3:8000".to_owned(),
            service("canary"),
            service("default"),
        ]
    );
    // An invalid option removes nothing: the previous version keeps serving and is scraped.
    live.config(&[("resources", "many")]);
    assert_contains(&live.says(), &["blocked: "]);
    assert_eq!(scraped(&live, metrics).len(), 6);
    live.config(&[
        ("resources", ""),
        ("canary", ""),
        ("image", ""),
        ("models", "{words: {image: 'words:1'}}"),
    ]);
    live.serves();
    live.hook("update-status");
    assert_eq!(
        scraped(&live, metrics),
        ["words default service words-default.toldall.svc.cluster.local:8000"]
    );
    assert_eq!(bag(&live, dashboard), before, "the dashboard is the same for all");
}

#[test]
fn two_hundred_models_fit_one_databag() {
    let mut live = Live::new("toldmany");
    let (metrics, _) = relate(&mut live);
    let name = |number: u16| format!("a-model-whose-name-is-as-long-as-some-are-{number}");
    let both = "canary: {image: 'iris:2'}, shadow: {image: 'iris:3'}";
    let entry = |number: u16| format!("{}: {{image: 'iris:1', {both}}}", name(number));
    let entries: Vec<String> = (0..200).map(entry).collect();
    live.config(&[("image", ""), ("models", &format!("{{{}}}", entries.join(", ")))]);
    let mut says = live.says();
    // On a busy machine a hook may leave work to the next one.
    for _ in 0..3 {
        if says.contains("too slow") {
            says = live.says();
        }
    }
    // The databag is longer than one argument of a program may be.
    let length = bag(&live, metrics)["scrape_jobs"].len();
    assert!(length > 128 * 1024, "{length} bytes, {says}");
    assert_eq!(scraped(&live, metrics).len(), 600);
}

#[test]
fn databags_stay_while_api_is_unreachable() {
    let mut live = Live::new("toldstay");
    let (metrics, _) = relate(&mut live);
    live.serves();
    let before = bag(&live, metrics);
    live.trust(false);
    assert_contains(&live.says(), &["blocked: "]);
    assert_eq!(bag(&live, metrics), before);
}

#[test]
fn broken_relation_gets_no_more_data() {
    let mut live = Live::new("toldend");
    let (metrics, _) = relate(&mut live);
    live.serves();
    live.config(&[("canary", "{image: 'iris:2'}")]);
    let run = live.hook(Hook::relation(RelationEvent::Broken, metrics));
    assert!(!tools(&run).contains(&"relation-set".to_owned()), "{run:#?}");
    assert_contains(&live.says(), &["waiting: iris"]);
}
