//! The charm's own objects, and foreign ones.

use kube::api::{Api, PostParams};
use kube_box::images::IRIS_1;
use serde_json::{Value, json};

use crate::fixture::{FLOWER, Model, SERVES, SOON, until};
use crate::load::{Load, assert_none_failed, send};
use crate::support::kinds::{deployment, pod, sdep, service, stateful_set, vs, webhook};
use crate::support::{assert_contains, log, status};

pub fn manual_change_is_reverted_and_logged() {
    let mut model = Model::serving("edited");
    let elsewhere = json!({"spec": {"http": [{"fault": {"abort": {"httpStatus": 418, "percentage": {"value": 100}}},
        "route": [{"destination": {"host": "elsewhere.local", "port": {"number": 80}}}]}]}});
    model.change_as("kubectl-edit", &vs(), "iris-route", &elsewhere);
    until(SOON, "the change is felt", || match model.predict().status {
        200 => Err("it still answers".to_owned()),
        _ => Ok(()),
    });
    let run = model.hook("update-status");
    assert_contains(&log(&run), &["iris-route", "kubectl-edit"]);
    until(SOON, "the route is put back", || match model.predict().status {
        200 => Ok(()),
        other => Err(other.to_string()),
    });

    let mut predictors = model.objects(&sdep())[0]["spec"]["predictors"].clone();
    predictors[0]["componentSpecs"][0]["spec"]["containers"][0]["image"] = json!("site.local/iris:2");
    model.change_as(
        "kubectl-patch",
        &sdep(),
        "iris",
        &json!({"spec": {"predictors": predictors}}),
    );
    let run = model.hook("update-status");
    assert_contains(&log(&run), &["iris", "kubectl-patch"]);
    assert!(!status(&run).starts_with("blocked"), "{}", status(&run));
    model.until_says(SERVES, &["active: ", IRIS_1]);
    assert_eq!(model.predict().version(), "1");
}

pub fn manually_deleted_object_is_recreated_and_logged() {
    let mut model = Model::serving("deleted");
    model.delete(&vs(), "iris-route");
    let run = model.hook("update-status");
    assert_contains(&log(&run), &["iris-route"]);
    until(SOON, "the route is back", || match model.predict().status {
        200 => Ok(()),
        other => Err(other.to_string()),
    });
    model.delete(&sdep(), "iris");
    let run = model.hook("update-status");
    assert_contains(&log(&run), &["SeldonDeployment", "iris"]);
    assert!(status(&run).starts_with("waiting: "), "{}", status(&run));
    model.until_says(SERVES, &["active: "]);
    assert_eq!(model.predict().status, 200);
}

pub fn missing_permissions_block_and_recover() {
    let mut model = Model::without_rights("rightless");
    let says = model.says();
    assert_contains(&says, &["blocked: ", "juju trust iris --scope=cluster", "rbac.yaml"]);
    assert!(model.names(&sdep()).is_empty() && model.names(&vs()).is_empty());
    model.grant();
    // The API server caches permissions for some seconds.
    model.until_says(SERVES, &["active: "]);
    assert_eq!(model.predict().status, 200);
}

pub fn istio_and_seldon_webhooks_accept_the_objects() {
    let model = Model::serving("checked");
    let webhooks: Api<kube::api::DynamicObject> = Api::all_with(model.client.clone(), &webhook());
    for name in [
        "istio-validator-istio-system",
        "seldon-validating-webhook-configuration",
    ] {
        let object = serde_json::to_value(model.wait(webhooks.get(name)).unwrap()).unwrap();
        assert_eq!(object["webhooks"][0]["failurePolicy"], "Fail", "{name}");
    }
    let rejected = |kind: &kube::api::ApiResource, object: Value| {
        let object = serde_json::from_value(object).unwrap();
        let parameters = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let answer = model.wait(model.api(kind).create(&parameters, &object));
        answer.map(|_| ()).expect_err("it is wrong, and was taken").to_string()
    };
    let strip = |mut object: Value, name: &str| {
        object["metadata"] = json!({"name": name});
        object
    };
    // Like ours, with one mistake each.
    let mut route = strip(model.objects(&vs())[0].clone(), "wrong");
    route["spec"]["http"][1]["route"] = json!([]);
    assert_contains(&rejected(&vs(), route), &["denied the request", "route"]);
    let mut deployment = strip(model.objects(&sdep())[0].clone(), "wrong");
    deployment["spec"]["protocol"] = json!("smoke-signals");
    assert_contains(
        &rejected(&sdep(), deployment),
        &["denied the request", "Invalid protocol"],
    );
}

/// Asserts that a model has no object left in the namespace, and no route in the gateway.
#[track_caller]
fn nothing_is_left(model: &Model, name: &str) {
    until(SOON, "the path is 404", || {
        let answer = send(&model.predictions(name), FLOWER);
        if answer.status == 404 {
            Ok(())
        } else {
            Err(format!("{answer:?}"))
        }
    });
    until(SERVES, "no object is left", || {
        let left: Vec<String> = [sdep(), vs(), deployment(), service(), stateful_set(), pod()]
            .iter()
            .flat_map(|kind| {
                model
                    .names(kind)
                    .into_iter()
                    .map(|name| format!("{} {name}", kind.kind))
            })
            .collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?} are"))
        }
    });
}

pub fn removed_application_leaves_nothing() {
    let mut model = Model::serving("leaving");
    let other = Model::serving("staying");
    let load = Load::start(&other.predictions("staying"), FLOWER, 3);
    model.remove_application();
    nothing_is_left(&model, "leaving");
    assert_none_failed(&load.stop(), 50.0);
}

pub fn force_removed_application_leaves_nothing() {
    let model = Model::serving("forced");
    // `juju remove-application --force`: the unit is killed, no hook runs, and Juju deletes the StatefulSet.
    model.delete(&stateful_set(), "iris");
    nothing_is_left(&model, "forced");
}
