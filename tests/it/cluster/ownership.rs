//! Foreign objects are never touched, and conflicting claims are found before anything is written.

use serde_json::json;

use super::fixture::{Live, audit_addresses, takes};
use crate::support::kinds::{sdep, vs};
use crate::support::{assert_contains, log, status};

fn foreign_model() -> serde_json::Value {
    json!({"spec": {"predictors": [{"name": "theirs", "graph": {"name": "x", "type": "MODEL"},
        "componentSpecs": [{"spec": {"containers": [{"name": "x", "image": "theirs:1"}]}}]}]}})
}

#[test]
fn foreign_model_is_left_alone() {
    let mut live = Live::new("foreign");
    live.create(&sdep(), "iris", &foreign_model());
    let before = live.sdep("iris").unwrap();
    assert_contains(
        &live.says(),
        &[
            "blocked: iris: name taken by another SeldonDeployment. Run: juju run iris/leader diagnose (",
            "SeldonDeployment iris is not of this application; rename the model or delete it",
        ],
    );
    assert_eq!(live.sdep("iris").unwrap(), before);
    assert!(live.route("iris").is_none(), "no half of a model");
}

#[test]
fn foreign_route_is_left_alone_naming_its_owner() {
    let mut live = Live::new("foreign-route");
    let mut theirs = takes("foreign-route/gate", "/theirs/");
    theirs["metadata"]["labels"]["seldon-model/application"] = json!("other");
    live.create(&vs(), "iris-route", &theirs);
    assert_contains(
        &live.says(),
        &[
            "name taken by another VirtualService",
            "VirtualService iris-route is of application other",
        ],
    );
    assert!(live.sdep("iris").is_none(), "no half of a model");
}

#[test]
fn taken_prefix_blocks_naming_the_route() {
    for (name, prefix) in [
        ("equal", "/model/iris/"),
        ("above", "/model/"),
        ("below", "/model/iris/v1/"),
    ] {
        let mut live = Live::new(name);
        let theirs = takes(&format!("{name}/gate"), prefix);
        live.create(&vs(), "theirs", &theirs);
        let before = live.get(&vs(), "theirs").unwrap();
        let says = live.says();
        assert_contains(
            &says,
            &[
                "blocked: iris: prefix taken by another route. Run: juju config iris prefix=… (",
                &format!("/model/iris/: VirtualService {name}/theirs on the same gateway"),
            ],
        );
        assert!(live.sdep("iris").is_none() && live.route("iris").is_none());
        assert_eq!(live.get(&vs(), "theirs").unwrap(), before);
        live.config(&[("prefix", "/ours/")]);
        assert_contains(&live.serves(), &["active", "at /ours/"]);
    }
}

#[test]
fn route_behind_hundreds_of_others_is_found() {
    let tenant = Live::new("crowd");
    let theirs = |prefix: &str| takes("crowded/gate", prefix);
    tenant.create(&vs(), "zz-theirs", &theirs("/model/iris/"));
    for number in 0..250 {
        tenant.create(&vs(), &format!("route-{number}"), &theirs(&format!("/other/{number}/")));
    }
    let mut live = Live::new("crowded");
    assert_contains(
        &live.says(),
        &[
            "blocked: iris: prefix taken by another route.",
            "VirtualService crowd/zz-theirs on the same gateway",
        ],
    );
}

#[test]
fn younger_route_does_not_take_the_prefix() {
    let mut live = Live::new("later");
    assert!(live.serves().starts_with("active"));
    // Istio matches the older route first; creation times have whole seconds, and names decide among equals.
    live.create(&vs(), "zz-later", &takes("later/gate", "/model/iris/"));
    assert!(live.says().starts_with("active"), "{}", live.says());
    // A model that moves to that prefix would take its requests, as its route is older.
    live.create(&vs(), "zz-other", &takes("later/gate", "/other/"));
    live.config(&[("prefix", "/other/")]);
    assert_contains(
        &live.says(),
        &[
            "blocked: iris: prefix taken by another route",
            "/other/: VirtualService later/zz-other",
        ],
    );
    assert_eq!(
        live.requests("iris")["match"][0]["uri"]["prefix"],
        "/model/iris/",
        "it serves where it served"
    );
}

#[test]
fn other_gateways_and_catch_all_routes_are_ignored() {
    let mut live = Live::new("neighbours");
    live.create(&vs(), "elsewhere", &takes("neighbours/other", "/model/iris/"));
    live.create(&vs(), "dashboard", &takes("neighbours/gate", "/"));
    assert!(live.serves().starts_with("active"));
}

#[test]
fn field_of_another_manager_blocks_by_name() {
    let mut live = Live::new("conflict");
    live.serves();
    live.apply_as(
        "argocd-controller",
        &vs(),
        "iris-route",
        &takes("conflict/gate", "/mine/"),
    );
    let says = live.says();
    assert_contains(
        &says,
        &[
            "blocked: iris: its route is managed by argocd-controller. Run: juju run iris/leader diagnose (",
            "VirtualService iris-route: ",
            "spec.http",
        ],
    );
    assert_eq!(live.requests("iris")["match"][0]["uri"]["prefix"], "/mine/");
    live.delete(&vs(), "iris-route");
    assert!(live.says().starts_with("active"));
}

#[test]
fn old_deployment_does_not_make_new_model_ready() {
    let mut live = Live::new("successor");
    live.serves();
    live.delete(&sdep(), "iris");
    live.hook("update-status");
    // Kubernetes has not deleted the old Deployment yet, and Seldon finds it up to date.
    live.merge_status(&sdep(), "iris", &json!({"state": "Available"}));
    let says = live.says();
    assert!(says.starts_with("waiting: "), "{says}");
    live.seldon_serves("iris");
    assert!(live.says().starts_with("active: "));
}

#[test]
fn manual_change_is_reverted_and_logged() {
    let mut live = Live::new("edited");
    live.serves();
    for (manager, kind, name, change) in [
        ("kubectl-edit", vs(), "iris-route", takes("edited/gate", "/mine/")),
        (
            "kubectl-patch",
            vs(),
            "iris-route",
            json!({"spec": {"hosts": ["mine.example"]}}),
        ),
        ("kubectl-patch", sdep(), "iris", json!({"spec": {"predictors": []}})),
        // No field of ours is changed, but the object is not up to date.
        ("kubectl-edit", sdep(), "iris", json!({"spec": {"protocol": "v2"}})),
        (
            "kubectl-label",
            sdep(),
            "iris",
            json!({"metadata": {"labels": {"seldon-model/model": "mine"}}}),
        ),
    ] {
        let before = live.get(&kind, name).unwrap()["spec"].clone();
        live.merge_as(manager, &kind, name, &change);
        let run = live.hook("update-status");
        assert!(!run.status.status.contains("blocked"), "{}", status(&run));
        assert_contains(
            &log(&run),
            &[
                &format!("{} {name}", kind.kind),
                &format!("reverts changes by {manager}"),
            ],
        );
        assert_eq!(live.get(&kind, name).unwrap()["spec"], before);
        let versions = live.versions();
        live.hook("update-status");
        assert_eq!(live.versions(), versions, "one hook was enough");
    }
}

#[test]
fn fields_of_kubectl_and_a_program_are_kept() {
    let mut live = Live::new("both-changed");
    live.serves();
    live.merge_as(
        "kubectl-patch",
        &vs(),
        "iris-route",
        &json!({"spec": {"hosts": ["mine.example"]}}),
    );
    live.apply_as(
        "argocd-controller",
        &vs(),
        "iris-route",
        &takes("both-changed/gate", "/theirs/"),
    );
    assert_contains(&live.says(), &["blocked: ", "argocd-controller"]);
}

#[test]
fn manually_deleted_object_is_recreated_and_logged() {
    let mut live = Live::new("deleted");
    live.serves();
    for (kind, name) in [(vs(), "iris-route"), (sdep(), "iris")] {
        live.delete(&kind, name);
        let run = live.hook("update-status");
        assert_contains(&log(&run), &[&format!("applied {} {name}: new object", kind.kind)]);
        assert!(live.get(&kind, name).is_some());
    }
}

#[test]
fn every_write_is_a_strict_apply_without_force() {
    let mut live = Live::new("strict");
    live.hook("config-changed");
    let manager = format!("fieldManager=seldon-model-iris-{}", &live.world.model.uuid[..8]);
    let writes: Vec<String> = audit_addresses(&live.user())
        .into_iter()
        .filter(|request| !["list", "get"].iter().any(|verb| request.starts_with(verb)))
        .filter(|request| !request.contains("selfsubjectaccessreviews") && !request.contains("/events?"))
        .collect();
    assert_eq!(writes.len(), 2, "{writes:#?}");
    for write in writes {
        assert_contains(&write, &["patch /apis/", "fieldValidation=Strict", &manager]);
        assert!(!write.contains("force=true"), "{write}");
    }
}

#[test]
fn foreign_labels_and_annotations_are_kept() {
    let mut live = Live::new("added");
    live.serves();
    live.merge(
        &sdep(),
        "iris",
        &json!({"metadata": {"labels": {"theirs": "1"}, "annotations": {"a": "b"}}}),
    );
    let before = live.versions();
    assert!(live.says().starts_with("active"));
    assert_eq!(live.versions(), before);
    live.config(&[("image", "iris:2")]);
    live.hook("config-changed");
    assert_eq!(live.sdep("iris").unwrap()["metadata"]["labels"]["theirs"], "1");
}

#[test]
fn applications_share_a_gateway_but_no_prefix() {
    let mut one = Live::new("site-one");
    assert!(one.serves().starts_with("active"));
    let mut two = Live::new("site-two");
    two.config(&[("gateway", "site-one/gate")]);
    assert_contains(
        &two.says(),
        &[
            "blocked: iris: prefix taken by another route",
            "/model/iris/: VirtualService site-one/iris-route",
        ],
    );
    assert!(one.says().starts_with("active"));
    two.config(&[("prefix", "/model/second/")]);
    assert!(two.serves().starts_with("active"));
    assert!(one.says().starts_with("active"));
}
