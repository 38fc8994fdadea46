//! Objects that imitate ours: with our labels, our names, or an owner or finalizer that somebody else has set. None of them deletes or
//! redirects a model, and each is reported.

use std::collections::BTreeMap;

use juju_sim::juju::Life;
use kube::api::ApiResource;
use serde_json::{Value, json};

use super::fixture::{Live, takes};
use super::gateway_api::{behind_ingress, serves as serves_behind_ingress};
use crate::support::kinds::{http_route, sdep, secret, stateful_set, vs};
use crate::support::{assert_contains, log, status};

/// The field manager of the charm.
fn manager(live: &Live) -> String {
    format!("seldon-model-iris-{}", &live.world.model.uuid[..8])
}

/// The labels that the charm gives to a model's objects.
fn labels(live: &Live, model: &str) -> Value {
    json!({
        "seldon-model/application": "iris",
        "seldon-model/model-uuid": live.world.model.uuid,
        "seldon-model/model": model,
    })
}

/// A StatefulSet that no longer exists. Kubernetes deletes what only such a one owns.
fn dead_owner() -> Value {
    json!([{
        "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "iris", "uid": "00000000-dead-4000-8000-000000000000",
    }])
}

fn a_model() -> Value {
    json!({"predictors": [{
        "name": "theirs", "graph": {"name": "x", "type": "MODEL"},
        "componentSpecs": [{"spec": {"containers": [{"name": "x", "image": "theirs:1"}]}}],
    }]})
}

fn owners(object: &Value) -> Vec<&str> {
    let all = object["metadata"]["ownerReferences"].as_array();
    let uids = all.into_iter().flatten().map(|owner| owner["uid"].as_str().unwrap());
    uids.collect()
}

fn statefulset_uid(live: &Live) -> String {
    let set = live.get(&stateful_set(), "iris").unwrap();
    set["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// A serving model with a secret, and the kinds and names of its objects.
fn served_with_secret(model: &str) -> (Live, Vec<(ApiResource, String)>) {
    let mut live = Live::new(model);
    let uri = live.secret(
        "registry",
        &[("username", "u"), ("password", "p"), ("registry", "r.example")],
    );
    live.config(&[("image-pull-secret", &uri)]);
    assert_contains(&live.serves(), &["active: iris serves"]);
    let id = uri.strip_prefix("secret:").unwrap();
    let all = vec![
        (sdep(), "iris".to_owned()),
        (vs(), "iris-route".to_owned()),
        (secret(), format!("iris-image-pull-{id}")),
    ];
    (live, all)
}

#[test]
fn forged_owner_reaches_no_object_of_ours() {
    let mut live = Live::new("forged-owner");
    let forged = json!({
        "metadata": {"labels": labels(&live, "other"), "ownerReferences": dead_owner()}, "spec": a_model(),
    });
    live.create(&sdep(), "aaa", &forged);
    live.hook("config-changed");
    live.seldon_serves("iris");
    assert_contains(
        &status(&live.hook("update-status")),
        &[
            "active: iris serves; 1 unmanaged object. Run: ",
            "(SeldonDeployment aaa",
        ],
    );
    let uid = statefulset_uid(&live);
    for object in [live.sdep("iris").unwrap(), live.route("iris").unwrap()] {
        assert_eq!(owners(&object), [&uid]);
    }
}

#[test]
fn forged_owner_of_an_older_release_is_replaced() {
    let (mut live, all) = served_with_secret("stamped-owner");
    let uid = statefulset_uid(&live);
    // As written by a release that read the owner from the objects.
    for (kind, name) in &all {
        let mut object = live.get(kind, name).unwrap();
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.retain(|key, _| ["labels", "annotations"].contains(&key.as_str()));
        metadata.insert("ownerReferences".to_owned(), dead_owner());
        object.as_object_mut().unwrap().remove("status");
        live.apply_as(&manager(&live), kind, name, &object);
        assert_eq!(
            owners(&live.get(kind, name).unwrap()),
            ["00000000-dead-4000-8000-000000000000"]
        );
    }
    live.hook("upgrade-charm");
    let model = live.sdep("iris").unwrap()["metadata"]["uid"]
        .as_str()
        .unwrap()
        .to_owned();
    for (kind, name) in &all {
        let owner = if kind.kind == "Secret" { &model } else { &uid };
        assert_eq!(owners(&live.get(kind, name).unwrap()), [owner], "{name}");
    }
    assert!(status(&live.hook("update-status")).starts_with("active"));
}

#[test]
fn foreign_owner_or_finalizer_is_reported() {
    let (mut live, all) = served_with_secret("attached");
    for (kind, name) in &all {
        for (field, value, part) in [
            ("ownerReferences", dead_owner(), "StatefulSet/iris"),
            ("finalizers", json!(["example.com/hold"]), "example.com/hold"),
        ] {
            let before = live.get(kind, name).unwrap()["metadata"][field].clone();
            let mut values = before.as_array().cloned().unwrap_or_default();
            values.extend(value.as_array().unwrap().iter().cloned());
            live.merge_as("intruder", kind, name, &json!({"metadata": {field: values}}));
            let run = live.hook("update-status");
            let says = status(&run);
            let kind_in_command = kind.kind.to_lowercase();
            assert_contains(
                &says,
                &[
                    "blocked: iris: ",
                    &format!("Run: kubectl -n attached edit {kind_in_command} {name} (remove "),
                ],
            );
            assert_contains(&log(&run), &[part]);
            live.merge_as("intruder", kind, name, &json!({"metadata": {field: before}}));
            assert!(
                status(&live.hook("update-status")).starts_with("active"),
                "{field} of {name}"
            );
        }
    }
}

#[test]
fn older_route_with_our_labels_is_not_overlooked() {
    for (test, behind, kind) in [("labelled-vs", false, vs()), ("labelled-http", true, http_route())] {
        // In another namespace, and under another name in ours.
        for place in ["elsewhere", "ours"] {
            let model = format!("{test}-{place}");
            let mut live = if behind {
                behind_ingress(&model)
            } else {
                Live::new(&model)
            };
            let neighbour = (place == "elsewhere").then(|| Live::new(&format!("{model}-neighbour")));
            let mut theirs = if behind {
                let rule = json!({
                    "matches": [{"path": {"type": "PathPrefix", "value": "/model/iris"}}],
                    "backendRefs": [{"name": "theirs", "port": 80}],
                });
                let parent = json!({"name": "istio-ingress-k8s", "namespace": model});
                json!({"spec": {"parentRefs": [parent], "rules": [rule]}})
            } else {
                takes(&format!("{model}/gate"), "/model/iris/")
            };
            theirs["metadata"]["labels"] = labels(&live, "iris");
            let maker = neighbour.as_ref().unwrap_or(&live);
            maker.create(&kind, "theirs", &theirs);
            let namespace = maker.model();
            assert_contains(
                &live.says(),
                &[
                    "blocked: iris: prefix taken by another route",
                    &format!("/model/iris/: {} {namespace}/theirs", kind.kind),
                ],
            );
            assert!(live.sdep("iris").is_none(), "{model}");
        }
    }
}

/// A copy made with `kubectl get -o yaml`, another name, and `kubectl apply`.
fn copy(live: &Live, kind: &ApiResource, name: &str) -> String {
    let mut object = live.get(kind, name).unwrap();
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.retain(|key, _| ["labels", "annotations", "ownerReferences"].contains(&key.as_str()));
    object.as_object_mut().unwrap().remove("status");
    let copy = format!("{name}-copy");
    live.create(kind, &copy, &object);
    copy
}

#[test]
fn copies_are_reported_and_never_deleted() {
    let (mut live, mut all) = served_with_secret("copied");
    let copies: Vec<(ApiResource, String)> = all
        .drain(..)
        .map(|(kind, name)| {
            let copy = copy(&live, &kind, &name);
            (kind, copy)
        })
        .collect();
    let run = live.hook("update-status");
    assert_contains(
        &status(&run),
        &[
            "active: iris serves; 3 unmanaged objects. Run: juju run iris/leader diagnose (",
            "(SeldonDeployment iris-copy and 2 more)",
        ],
    );
    for (kind, name) in &copies {
        let resource = kind.kind.to_lowercase();
        assert_contains(&log(&run), &[&format!("kubectl -n copied delete {resource} {name}")]);
    }
    let found = live.act("diagnose", &json!({})).unwrap();
    assert_contains(
        found.results["report"].as_str().unwrap(),
        &["SeldonDeployment iris-copy", "not applied by it"],
    );
    assert!(
        live.hook("update-status").calls_of("juju-log").next().is_none(),
        "said once"
    );
    live.world.unit_mut("iris/0").unwrap().life = Life::Dying;
    let run = live.hook("remove");
    assert_contains(&log(&run), &["deleted 3 objects", "SeldonDeployment iris-copy"]);
    for (kind, name) in &copies {
        assert!(live.get(kind, name).is_some(), "{name}");
    }
}

#[test]
fn copied_http_route_is_never_deleted() {
    let mut live = behind_ingress("copied-http");
    assert_contains(&serves_behind_ingress(&mut live), &["active"]);
    let copy = copy(&live, &http_route(), "iris-route");
    assert_contains(
        &live.says(),
        &[
            "active: iris serves; 1 unmanaged object",
            &format!("(HTTPRoute {copy})"),
        ],
    );
    assert!(live.get(&http_route(), &copy).is_some());
}

#[test]
fn restored_objects_are_adopted() {
    let (mut live, all) = served_with_secret("restored");
    let mut saved = BTreeMap::new();
    for (kind, name) in &all {
        let mut object = live.get(kind, name).unwrap();
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.retain(|key, _| ["labels", "annotations"].contains(&key.as_str()));
        object.as_object_mut().unwrap().remove("status");
        saved.insert(name.clone(), object);
        live.delete(kind, name);
    }
    for (kind, name) in &all {
        live.apply_as("velero", kind, name, &saved[name]);
    }
    assert_contains(&live.serves(), &["active: iris serves"]);
    live.config(&[("models", "{}"), ("image", ""), ("image-pull-secret", "")]);
    live.hook("config-changed");
    assert_eq!(live.versions(), [], "what was adopted is ours to delete");
}
