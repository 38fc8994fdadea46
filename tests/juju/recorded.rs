//! The tests' own parts, which need no controller: how they read what several versions of Juju print, and the neighbour.

use std::fs::{self, File};
use std::path::PathBuf;

use juju_sim::agent::Agent;
use juju_sim::juju::{Charm, World};
use serde_json::{Value, json};

use crate::client::{read_application_data, read_task, read_version};
use crate::status::Status;
use crate::{neighbour, packed};

/// The forms of `juju status --format json`, shortened to what is read: 2.9 and 3.0 list a relation's applications by name, and later
/// versions with their interface.
fn statuses() -> [(&'static str, Status); 2] {
    let status = |relations: &str| {
        let text = format!(
            r#"{{"model": {{"name": "edge", "type": "caas"}}, "machines": {{}}, "applications": {{"iris": {{
                "charm": "local:seldon-model-3", "charm-name": "seldon-model", "charm-rev": 3, "scale": 2,
                "application-status": {{"current": "active", "message": "iris serves iris:1 at /model/iris/"}},
                "relations": {relations},
                "units": {{
                    "iris/0": {{
                        "workload-status": {{"current": "waiting", "message": "iris: starting iris:1"}},
                        "juju-status": {{"current": "executing", "message": "running config-changed hook"}}}},
                    "iris/1": {{
                        "workload-status": {{"current": "active", "message": "iris serves iris:1 at /model/iris/"}},
                        "juju-status": {{"current": "idle"}}, "leader": true}}}}}}}}}}"#
        );
        Status::parse(&text).unwrap()
    };
    [
        ("2.9", status(r#"{"gateway-info": ["istio-pilot"]}"#)),
        (
            "3.6",
            status(r#"{"gateway-info": [{"related-application": "istio-pilot", "interface": "istio-gateway-info"}]}"#),
        ),
    ]
}

pub fn status_is_read_from_each_juju() {
    for (juju, status) in statuses() {
        assert_eq!(
            status.of("iris"),
            "active: iris serves iris:1 at /model/iris/",
            "{juju}"
        );
        assert_eq!(status.of("gone"), "gone has no unit", "{juju}");
        assert!(status.has("iris") && !status.has("gone"), "{juju}");
        assert_eq!(status.count("iris", "active"), 1, "{juju}");
        assert!(!status.is_settled("iris", 2), "iris/0 runs a hook on {juju}");
        assert!(!status.is_settled("iris", 1) && status.is_settled("gone", 0), "{juju}");
        assert_eq!(status.revision("iris"), Some(3), "{juju}");
    }
}

pub fn related_applications_are_read_from_each_juju() {
    for (juju, status) in statuses() {
        assert_eq!(status.related("iris", "gateway-info"), ["istio-pilot"], "{juju}");
        assert!(status.related("iris", "tracing").is_empty(), "{juju}");
        assert!(status.related("gone", "tracing").is_empty(), "{juju}");
    }
}

pub fn task_is_read_from_each_juju() {
    let completed = [
        r#"{"unit-iris-0": {"UnitId": "iris/0", "id": "2", "results": {"iris": {"state": "active"}}, "status": "completed"}}"#,
        r#"{"iris/0": {"id": "2", "results": {"iris": {"state": "active"}, "return-code": 0}, "status": "completed"}}"#,
    ];
    for text in completed {
        let task = read_task(text).unwrap();
        assert_eq!(
            (task.status.as_str(), task.message.as_str()),
            ("completed", ""),
            "{text}"
        );
        assert_eq!(task.results["iris"], json!({"state": "active"}), "{text}");
    }
    let failed =
        r#"{"iris/0": {"id": "4", "message": "iris: no canary", "results": {"return-code": 0}, "status": "failed"}}"#;
    let task = read_task(failed).unwrap();
    assert_eq!(
        (task.status.as_str(), task.message.as_str()),
        ("failed", "iris: no canary")
    );
    assert!(read_task("").is_none() && read_task("{}").is_none());
}

pub fn application_data_is_that_of_the_endpoint() {
    let shown = json!({"prometheus/0": {"charm": "local:neighbour-0", "leader": true, "relation-info": [
        {"relation-id": 3, "endpoint": "grafana-dashboard", "related-endpoint": "grafana-dashboard", "application-data": {}},
        {"relation-id": 4, "endpoint": "metrics-endpoint", "cross-model": true, "related-endpoint": "metrics-endpoint",
         "application-data": {"scrape_jobs": "[]"}, "related-units": {"iris/0": {"in-scope": true, "data": {}}}},
    ]}});
    let read = |endpoint| read_application_data(&shown.to_string(), "prometheus/0", endpoint);
    assert_eq!(read("metrics-endpoint"), json!({"scrape_jobs": "[]"}));
    assert_eq!(read("grafana-dashboard"), json!({}));
    assert_eq!(read("tracing"), Value::Null);
}

pub fn versions_are_read_with_and_without_patch() {
    for (printed, version) in [
        ("2.9.42-ubuntu-amd64\n", "2.9.42"),
        ("3.6.9-genericlinux-arm64\n", "3.6.9"),
        ("4.0-beta5-ubuntu-amd64\n", "4.0-beta5"),
        ("4.0.1.7-ubuntu-amd64\n", "4.0.1.7"),
    ] {
        let read = read_version(printed).unwrap();
        assert_eq!(read.to_string(), version, "{printed}");
    }
    assert!(read_version("").is_none());
}

/// The neighbour as Juju unpacks it.
fn unpacked(name: &str) -> PathBuf {
    let folder = packed::folder(name);
    let mut archive = zip::ZipArchive::new(File::open(neighbour::charm()).unwrap()).unwrap();
    archive.extract(&folder).unwrap();
    folder
}

/// It has the other side of each of our endpoints, but of seldon-core's: that is juju-info, which every application has.
pub fn neighbour_has_the_other_side_of_each_endpoint() {
    let read = |path: PathBuf| -> Value { serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap() };
    let ours = read(PathBuf::from(packed::PROJECT).join("metadata.yaml"));
    let theirs = read(unpacked("neighbour-sides").join("metadata.yaml"));
    for (side, other_side) in [("provides", "requires"), ("requires", "provides")] {
        for (endpoint, declared) in ours[side].as_object().unwrap() {
            if declared["interface"] != "juju-info" {
                let other = &theirs[other_side][endpoint]["interface"];
                assert_eq!(other, &declared["interface"], "{endpoint}");
            }
        }
    }
}

/// Under the simulated Juju, whose hook tools print and reject what those of each version do.
pub fn neighbour_publishes_what_its_options_say() {
    let folder = unpacked("neighbour-runs");
    for juju in ["2.9.42", "3.6.1", "4.0.1"] {
        let mut world = World::new("edge");
        world.version = juju.parse().unwrap();
        let ours = Charm::read(packed::PROJECT.as_ref()).unwrap();
        world.add_application("iris", ours, 1).unwrap();
        world.add_application("gate", Charm::read(&folder).unwrap(), 1).unwrap();
        let relation = world.integrate("iris:gateway-info", "gate:gateway-info").unwrap();
        let agent = Agent::new(folder.join("dispatch")).unwrap();
        let wake = |world: &mut World| {
            let runs = agent.wake(world, "gate/0").unwrap();
            assert!(runs.iter().all(|run| run.exit == 0), "{juju}: {runs:#?}");
            runs
        };

        assert!(!wake(&mut world).is_empty(), "{juju}");
        assert_eq!(world.unit("gate/0").unwrap().status.status, "active", "{juju}");
        let gate = world.application_mut("gate").unwrap();
        let data = r#"{"gateway_name": "gate", "gateway_namespace": "istio", "gateway_up": "true"}"#;
        gate.set_config([("endpoint", "gateway-info"), ("data", data)]).unwrap();
        wake(&mut world);
        let published = json!(world.relations[&relation].bags["gate"]);
        for (key, value) in serde_json::from_str::<Value>(data).unwrap().as_object().unwrap() {
            assert_eq!(&published["data"][key], value, "{juju}: {published}");
        }
    }
}
