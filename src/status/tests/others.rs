//! Problems outside a model, and which of several is reported.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::{Scene, assert_contains, gateway_name, identity};
use crate::api_error::ApiError;
use crate::gateway::listeners::Listeners;
use crate::inputs::gateway::RelatedGateway;
use crate::labels;
use crate::observed::Observed;
use crate::permissions::REQUIRED;
use crate::status::{ApplicationProblem, is_tool_failure, messages, needs_pods, removal_incomplete};
use juju_hooks::{HookTools, State, Status};

/// Another owner's VirtualService, older than all others.
fn route(namespace: &str, name: &str, http: Value) -> kube::api::DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService",
        "metadata": {"namespace": namespace, "name": name, "creationTimestamp": "2020-01-01T00:00:00Z"},
        "spec": {"hosts": ["*"], "gateways": ["istio/gate"], "http": http},
    }))
    .unwrap()
}

#[test]
fn foreign_text_is_no_part_of_a_command() {
    let hostile = "$(touch x)";
    // Hosts of a gateway: only what is a host is repeated.
    let mut scene = Scene::serving(json!({"image": "iris:1", "hosts": "a.example"}));
    let server = |hosts: Value| json!({"servers": [{"port": {"number": 80, "protocol": "HTTP"}, "hosts": hosts}]});
    for (hosts, command) in [
        (json!([hostile, "b.example"]), "juju config iris hosts=b.example"),
        (json!([hostile]), "juju config iris gateway=…"),
    ] {
        let listeners = Listeners::read(&server(hosts), "istio", "edge");
        scene.observed.gateways = [(gateway_name(), listeners)].into();
        let says = scene.says();
        assert_contains(&says, &["blocked: ", command]);
        assert!(!says.contains(hostile), "{says}");
    }
    // What stands for what served before: only options are, and only what this application has written itself.
    let record = |words: Value, manager: &str| {
        let mut scene = Scene::iris();
        let live = &mut scene.observed.seldon_deployments[0];
        let owned = json!({"f:metadata": {"f:annotations": {(format!("f:{}", labels::SERVES)): {}}}});
        let entry = json!({"manager": manager, "operation": "Apply", "fieldsV1": owned});
        live.metadata.managed_fields = serde_json::from_value(json!([entry])).unwrap();
        live.metadata.annotations = Some([(labels::SERVES.to_owned(), words.to_string())].into());
        scene.plan().models.remove(0).rollback_options
    };
    let ours = identity().manager();
    let words = json!({"image": "iris:0"});
    assert_eq!(record(words.clone(), &ours).map(Value::Object), Some(words.clone()));
    assert_eq!(record(words, "kubectl-patch"), None);
    for words in [
        json!({hostile: "x"}),
        json!({"image": "iris:0", "-m": "x"}),
        json!([hostile]),
        json!({"image": "a\0b"}),
    ] {
        assert_eq!(record(words.clone(), &ours), None, "{words}");
    }
}

#[test]
fn conflicting_owner_is_named_with_a_fix() {
    let mut scene = Scene::iris();
    scene.observed.seldon_deployments[0].metadata.labels = Some([("app.juju.is/created-by".into(), "x".into())].into());
    assert_contains(
        &scene.says(),
        &[
            "blocked: iris: name taken by another SeldonDeployment. Run: juju run iris/leader diagnose (",
            "rename the model or delete it",
        ],
    );
    assert_contains(
        &scene.logged(),
        &["Run: kubectl -n edge delete seldondeployment iris ("],
    );

    let mut scene = Scene::iris().without_routes();
    let taken = json!([{"match": [{"uri": {"prefix": "/model/"}}]}]);
    scene.share_gateway(&route("other", "theirs", taken));
    assert_contains(
        &scene.says(),
        &[
            "blocked: iris: prefix taken by another route. Run: juju config iris prefix=… (",
            "/model/iris/: VirtualService other/theirs on the same gateway",
        ],
    );

    let mut scene = Scene::serving(json!({"image": "iris:1", "grpc-host": "iris.example"})).without_routes();
    let taken = json!([{"match": [{"authority": {"regex": "iris[.]example(:[0-9]+)?"}}]}]);
    scene.share_gateway(&route("other", "theirs", taken));
    assert_contains(
        &scene.says(),
        &[
            "blocked: iris: grpc-host taken by another route. Run: juju config iris grpc-host=… (",
            "iris.example: VirtualService other/theirs on the same gateway",
        ],
    );

    let mut scene = Scene::iris().without_routes();
    scene.share_gateway(&route("other", "all", json!([{}])));
    scene.observed.capabilities.catch_all_last = true;
    assert!(!scene.says().contains("other/all"), "{}", scene.says());
    scene.observed.capabilities.catch_all_last = false;
    assert_contains(
        &scene.says(),
        &[
            "blocked: iris: shadowed by a catch-all route. Run: juju run iris/leader diagnose (",
            "VirtualService other/all is older",
        ],
    );
    assert_contains(&scene.logged(), &["Run: kubectl -n other delete virtualservice all ("]);
}

#[test]
fn competing_routes_are_noted_while_the_model_serves() {
    let with_header = json!([{"match": [{"uri": {"prefix": "/model/iris/"}, "headers": {"x": {"exact": "y"}}}]}]);
    let same_prefix = json!([{"match": [{"uri": {"prefix": "/model/iris/"}}]}]);
    let catch_all = json!([{}]);
    let other_prefix = json!([{"match": [{"uri": {"prefix": "/other/"}}]}]);
    for (http, age, noted) in [
        (&with_header, "2020", Some("may take some of its requests")),
        // Ours is older, and comes first as long as it exists.
        (&same_prefix, "2030", Some("claims its requests too, and comes later")),
        (&with_header, "2030", None),
        (&catch_all, "2020", None),
        (&other_prefix, "2020", None),
    ] {
        let mut scene = Scene::iris();
        for own in &mut scene.observed.virtual_services {
            own.metadata.creation_timestamp = Some(Time("2025-01-01T00:00:00Z".parse().unwrap()));
        }
        let mut theirs = route("other", "theirs", http.clone());
        theirs.metadata.creation_timestamp = Some(Time(format!("{age}-01-01T00:00:00Z").parse().unwrap()));
        scene.share_gateway(&theirs);
        let says = scene.says();
        match noted {
            Some(noted) => {
                let note = format!("iris: VirtualService other/theirs {noted}");
                let expected =
                    "active: iris serves; shares requests with other routes. Run: juju run iris/leader diagnose (";
                assert_contains(&says, &[expected, "iris: VirtualService other/theirs"]);
                assert_eq!(scene.report().notes, [note]);
            }
            None => assert!(says.starts_with("active: iris serves iris:1 at"), "{says}"),
        }
    }
}

#[test]
fn removed_models_are_reported_removed_routes_not() {
    let mut scene = Scene::serving(json!({"image": "iris:1", "models": "{iris: {}, old: {}}"}));
    scene.config.models.retain(|model| model.name == "iris");
    assert_contains(
        &scene.says(),
        &["old: removed from the configuration; not deleted yet, will retry"],
    );

    let mut scene = Scene::iris();
    scene.gateway = RelatedGateway::None;
    let problems = scene.logged();
    assert!(!problems.contains("removed from the configuration"), "{problems}");
}

#[test]
fn worst_and_then_nearest_problem_is_reported() {
    let crash = json!({"containerStatuses": [{"name": "iris", "state": {"terminated": {"exitCode": 1}}}]});
    let down = |scene: &mut Scene| {
        if let RelatedGateway::Known { up, .. } = &mut scene.gateway {
            *up = false;
        }
    };
    let mut scene = Scene::iris();
    scene.pod(crash);
    down(&mut scene);
    assert_contains(&scene.says(), &["blocked: iris: container crashes. Run: kubectl "]);

    let mut scene = Scene::iris();
    scene.deployment(json!({"availableReplicas": 0}));
    down(&mut scene);
    assert_contains(&scene.says(), &["waiting: waiting for gateway istio/gate to be up"]);
}

#[test]
fn own_gateway_of_a_model_is_evaluated_separately() {
    let mut scene = Scene::serving(json!({"image": "iris:1", "gateway": "istio/gate"}));
    if let RelatedGateway::Known { up, .. } = &mut scene.gateway {
        *up = false;
    }
    assert_contains(&scene.says(), &["active: "]);
    let scene = Scene::serving(json!({"image": "iris:1", "gateway": "istio/gaet"}));
    assert_contains(&scene.says(), &["blocked: iris: Istio Gateway not found"]);
}

#[test]
fn pods_are_listed_only_for_unready_models() {
    let mut scene = Scene::iris();
    assert!(!needs_pods(&scene.plan(), &scene.observed));
    assert!(!needs_pods(&scene.plan(), &Observed::default()));
    scene.deployment(json!({"availableReplicas": 0}));
    assert!(needs_pods(&scene.plan(), &scene.observed));
}

#[test]
fn only_scheduling_failures_are_reported_as_such() {
    for condition in [
        json!({"type": "PodScheduled", "status": "True", "reason": "Scheduled"}),
        json!({"type": "PodScheduled", "status": "False", "reason": "SchedulerError"}),
        json!({"type": "PodScheduled", "status": "True", "reason": "Unschedulable"}),
        json!({"type": "Ready", "status": "False", "reason": "Unschedulable"}),
    ] {
        let mut scene = Scene::iris();
        scene.pod(json!({"conditions": [condition]}));
        assert_eq!(scene.says(), "waiting: iris: starting iris:1", "{condition}");
    }
    let mut scene = Scene::iris();
    let progressing = json!({"type": "Progressing", "status": "True", "message": "fine"});
    scene.deployment(json!({"availableReplicas": 0, "conditions": [progressing]}));
    assert_eq!(scene.says(), "waiting: iris: starting iris:1");
}

#[test]
fn unstartable_container_names_the_cause() {
    let mut scene = Scene::iris();
    let waiting = json!({"reason": "CreateContainerConfigError", "message": "secret \"key\" not found. Retrying."});
    let says = scene
        .pod(json!({"containerStatuses": [{"name": "iris", "state": {"waiting": waiting}}]}))
        .says();
    assert_contains(
        &says,
        &[
            "blocked: iris: pod cannot start. Run: kubectl -n edge describe pod ",
            "(container iris: CreateContainerConfigError: secret \"key\" not found)",
        ],
    );
}

#[test]
fn most_telling_missing_permissions_come_first() {
    let mut scene = Scene::iris();
    let error = ApiError::Forbidden {
        why: String::new(),
        missing: REQUIRED.to_vec(),
    };
    scene.rejected.insert("iris".into(), error);
    let said = scene.logged();
    let position = |word: &str| said.find(word).unwrap_or_else(|| panic!("{word} is not in {said:?}"));
    assert!(position("seldondeployments") < position(" pods"), "{said}");
    assert!(position("virtualservices") < position(" pods"), "{said}");
    assert!(
        position("virtualservices in all namespaces") < position(" pods"),
        "{said}"
    );
}

#[test]
fn failed_hook_tool_is_recognized_across_a_refresh() {
    let error = HookTools.config_get().unwrap_err().to_string();
    let commands = identity();
    let commands = commands.commands(None);
    let failure = messages::of_application(&commands, &ApplicationProblem::HookTool(error));
    for message in [
        failure.to_string(),
        // As earlier revisions of the charm worded it.
        "Juju's secret-get failed: no answer; tried again at the next hook".to_owned(),
    ] {
        assert!(
            is_tool_failure(&Status::new(State::Waiting, message.clone())),
            "{message}"
        );
    }
    let other = Status::new(State::Waiting, "Kubernetes API unreachable; will retry");
    assert!(!is_tool_failure(&other));
}

#[test]
fn incomplete_removal_names_remaining_objects() {
    assert_eq!(
        removal_incomplete(&["iris".into(), "iris-route".into()]),
        "Kubernetes is still deleting iris, iris-route; it continues on its own"
    );
}
