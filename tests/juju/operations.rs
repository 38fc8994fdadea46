//! What an operator does to the application besides setting options.

use serde_json::Value;

use crate::kinds::{pod, sdep, secret};
use crate::model::{Model, SERVES, SOON, poll};
use crate::setup::{charm, setup};

/// User secrets came with Juju 3.3, where the charm says so itself.
pub fn secret_is_read_once_it_is_granted() {
    let model = Model::serving("secret");
    if !setup().juju.at_least(3, 3) {
        model.configure(&["image-pull-secret=secret:9m4e2mr0ui3e8a215n4g"]);
        model.until_says(SOON, &["blocked: option image-pull-secret"]);
        return;
    }
    let content = ["registry=registry.invalid", "username=edge", "password=first-password"];
    let uri = model.juju(&["add-secret"], &[&["registry"], content.as_slice()].concat());
    let uri = uri.trim();
    model.configure(&[&format!("image-pull-secret={uri}")]);
    let says = model.until_says(
        SOON,
        &["blocked: option image-pull-secret: is not granted. Run: juju grant-secret"],
    );
    let (_, command) = says.split_once("Run: ").unwrap();
    model.paste(command.split(" (").next().unwrap());
    // Nothing runs a hook for it before update-status does.
    model.until_says(SOON, &["active: "]);
    assert_credentials(&model, "edge:first-password");

    model.juju(
        &["update-secret"],
        &[uri, content[0], content[1], "password=second-password"],
    );
    assert_credentials(&model, "edge:second-password");
    let log = model.juju(&["debug-log"], &["--replay", "--no-tail", "--level", "DEBUG"]);
    for password in ["first-password", "second-password"] {
        assert!(!log.contains(password), "the log has {password}");
    }
}

/// Waits until the node gets this user and password.
#[track_caller]
fn assert_credentials(model: &Model, login: &str) {
    poll(SOON, "the Kubernetes Secret has the credentials", || {
        let secrets = setup()
            .cluster
            .objects(&model.name, &secret(), "seldon-model/application=iris");
        let [secret] = secrets.as_slice() else {
            return Err(format!("{} Secrets", secrets.len()));
        };
        let config = decode(secret["data"][".dockerconfigjson"].as_str().unwrap_or_default());
        let config: Value = serde_json::from_slice(&config).map_err(|error| error.to_string())?;
        let auth = config["auths"]["registry.invalid"]["auth"].as_str().unwrap_or_default();
        if decode(auth) == login.as_bytes() {
            Ok(())
        } else {
            Err("it has others".to_owned())
        }
    });
}

/// Base64, as Kubernetes reads it.
fn decode(text: &str) -> Vec<u8> {
    serde_json::from_value::<k8s_openapi::ByteString>(Value::from(text))
        .map(|bytes| bytes.0)
        .unwrap_or_default()
}

pub fn missing_trust_is_named_and_heals() {
    let [first, _] = &setup().images;
    let model = Model::add("trust");
    let image = format!("image={first}");
    model.deploy_iris(&["--config", &image]);
    model.until_says(
        SOON,
        &["blocked: missing permissions. Run: juju trust iris --scope=cluster"],
    );
    model.paste("juju trust iris --scope=cluster");
    model.until_says(SOON, &["iris: no gateway"]);
}

pub fn refresh_restarts_no_model() {
    let [first, _] = &setup().images;
    let model = Model::serving("refresh");
    let before = pods(&model);
    assert!(!before.is_empty());
    let revision = model.status().revision("iris").unwrap();
    let path = format!("--path={}", charm().display());
    model.juju(&["refresh"], &["iris", &path]);
    model.until(SOON, "iris is of the next revision", |status| {
        status.revision("iris") > Some(revision) && status.is_settled("iris", 1)
    });
    model.until_serves(first);
    model.assert_answers(first);
    assert_eq!(pods(&model), before);
    let generations = setup()
        .cluster
        .objects(&model.name, &sdep(), "seldon-model/application=iris");
    assert_eq!(generations[0]["metadata"]["generation"], 1, "{generations:?}");
}

/// The pods of the models, each with how often its containers were restarted.
fn pods(model: &Model) -> Vec<String> {
    let pods = setup().cluster.objects(&model.name, &pod(), "seldon-deployment-id");
    let names = pods.iter().map(|pod| {
        let statuses = pod["status"]["containerStatuses"].as_array();
        let restarts = statuses.into_iter().flatten().map(|status| &status["restartCount"]);
        format!("{} {:?}", pod["metadata"]["uid"], restarts.collect::<Vec<_>>())
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

pub fn second_unit_comes_and_goes() {
    let [first, second] = &setup().images;
    let model = Model::serving("scale");
    model.juju(&["scale-application"], &["iris", "2"]);
    model.until(SOON, "both units are active", |status| {
        status.is_settled("iris", 2) && status.count("iris", "active") == 2
    });
    model.configure(&[&format!("image={second}")]);
    model.until(SERVES, "both units see the new version", |status| {
        status.is_settled("iris", 2)
            && status.count("iris", "active") == 2
            && status.of("iris").contains(second.as_str())
    });
    model.juju(&["scale-application"], &["iris", "1"]);
    model.until(SOON, "one unit is left", |status| status.is_settled("iris", 1));
    // Nothing of the model went with it.
    model.until_serves(second);
    model.assert_answers(second);
    assert_ne!(first, second);
}

pub fn offered_metrics_reach_another_juju_model() {
    let juju = &setup().juju;
    let offering = Model::serving("offer");
    let consuming = Model::add("consume");
    // An offer is named within its model, whichever is the current one of the controller.
    juju.succeed(&["offer", &format!("{}.iris:metrics-endpoint", offering.name), "metrics"]);
    consuming.deploy_neighbour("prometheus");
    let url = format!("{}/{}.metrics", juju.user(), offering.name);
    consuming.integrate("prometheus:metrics-endpoint", &url);
    let jobs = consuming.until_received("prometheus/0", "metrics-endpoint", "scrape_jobs");
    assert!(jobs.contains("static_configs"), "{jobs}");

    consuming.juju(&["remove-saas"], &["metrics"]);
    offering.until(SOON, "the relation is gone", |status| {
        status.related("iris", "metrics-endpoint").is_empty() && status.is_settled("iris", 1)
    });
    offering.until_says(SOON, &["active: "]);
}
