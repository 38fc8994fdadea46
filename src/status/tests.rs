#![allow(clippy::needless_pass_by_value, reason = "data is taken as it is written")]

use std::cell::Cell;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::*;
use crate::changes;
use crate::config::{self, Config};
use crate::gateway::GatewayKind;
use crate::gateway::GatewayName;
use crate::gateway::claims::ClaimReader;
use crate::identity::Identity;
use crate::inputs::gateway::Provider;
use crate::labels::{self, ObjectKind};
use crate::plan::{Environment, PlannedRoute, plan};

mod fleet;
mod fuzzed;
mod others;
mod reasons;
mod stalls;
mod statuses;

thread_local! {
    /// The verbs of the messages of this test.
    static JUJU: Cell<JujuCli> = const { Cell::new(JujuCli::V3) };
}

/// A site and its configuration: each test changes one thing.
struct Scene {
    config: Config,
    gateway: RelatedGateway,
    observed: Observed,
    rejected: BTreeMap<String, ApiError>,
    wrote: bool,
}

fn gateway_name() -> GatewayName {
    GatewayName {
        namespace: "istio".into(),
        name: "gate".into(),
    }
}

fn identity() -> Identity {
    Identity {
        application: "iris".into(),
        model_uuid: "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee".into(),
        namespace: "edge".into(),
    }
}

impl Scene {
    /// Everything that is configured exists and serves.
    fn serving(options: Value) -> Self {
        let mut scene = Self {
            config: config::parse("iris", options.as_object().unwrap()),
            gateway: RelatedGateway::Known {
                gateway: gateway_name(),
                up: true,
                by: Provider::new("istio-pilot", GatewayKind::Istio),
            },
            observed: Observed::default(),
            rejected: BTreeMap::new(),
            wrote: false,
        };
        scene.observed.gateways.insert(gateway_name(), Listeners::default());
        for planned in scene.plan().models {
            scene.add(&planned, planned.model.server.replicas);
        }
        scene
    }

    fn iris() -> Self {
        Self::serving(json!({"image": "iris:1"}))
    }

    /// Routes that are not created yet are younger than all others.
    fn without_routes(mut self) -> Self {
        self.observed.virtual_services.clear();
        self
    }

    fn plan(&self) -> Plan {
        let owner: Option<OwnerReference> = None;
        plan(
            &self.config,
            &Environment {
                identity: identity(),
                gateway: self.gateway.clone(),
                tracing: None,
                owner,
            },
            &self.observed,
        )
        .unwrap()
    }

    fn add(&mut self, planned: &PlannedModel, replicas: u16) {
        let applied = |object: Value, status: Value| -> DynamicObject {
            let mut object = object;
            object["metadata"]["managedFields"] = json!([
                {"manager": identity().manager(), "operation": "Apply", "fieldsV1": {}, "time": "2026-01-01T00:00:00Z"}
            ]);
            object["status"] = status;
            serde_json::from_value(object).unwrap()
        };
        let name = &planned.model.name;
        let state = if replicas == 0 { "Creating" } else { "Available" };
        let mut made = serde_json::to_value(&planned.deployment).unwrap();
        made["metadata"]["uid"] = json!(format!("uid-of-{name}"));
        self.observed
            .seldon_deployments
            .push(applied(made, json!({"state": state})));
        if let PlannedRoute::VirtualService(route) = &planned.route {
            self.observed
                .virtual_services
                .push(applied(serde_json::to_value(route).unwrap(), json!({})));
        }
        self.observed.deployments.push(
            serde_json::from_value(json!({
                "metadata": {
                    "name": format!("{name}-default-0-{name}"),
                    "generation": 3,
                    "labels": {labels::MODEL: name, labels::PREDICTOR: "default"},
                    "annotations": {labels::SPEC_HASH: planned.predictors[0].hash},
                    "ownerReferences": [{
                        "apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment", "name": name,
                        "uid": format!("uid-of-{name}"), "controller": true,
                    }],
                },
                "spec": {"replicas": replicas},
                "status": {
                    "observedGeneration": 3, "replicas": replicas,
                    "updatedReplicas": replicas, "availableReplicas": replicas,
                },
            }))
            .unwrap(),
        );
    }

    /// The one pod of iris, of the configured spec, with this status.
    fn pod(&mut self, status: Value) -> &mut Self {
        let hash = self.plan().models[0].predictors[0].hash.clone();
        self.observed.pods.push(
            serde_json::from_value(json!({
                "metadata": {
                    "name": "iris-default-0-iris-7d9f-x2x",
                    "labels": {labels::MODEL: "iris", labels::PREDICTOR: "default"},
                    "annotations": {labels::SPEC_HASH: hash},
                },
                "spec": {"containers": [{"name": "iris", "resources": {"limits": {"memory": "64Mi"}}}]},
                "status": status,
            }))
            .unwrap(),
        );
        self.deployment(json!({"availableReplicas": 0}))
    }

    /// Changes the status of the one Deployment.
    fn deployment(&mut self, change: Value) -> &mut Self {
        let mut deployment = serde_json::to_value(&self.observed.deployments[0]).unwrap();
        for (key, value) in change.as_object().unwrap() {
            deployment["status"][key] = value.clone();
        }
        self.observed.deployments[0] = serde_json::from_value(deployment).unwrap();
        self
    }

    /// Adds a VirtualService of another namespace.
    fn share_gateway(&mut self, route: &DynamicObject) -> &mut Self {
        let requests: Vec<_> = self
            .plan()
            .models
            .iter()
            .filter_map(|planned| planned.requests("edge"))
            .collect();
        let claim = ClaimReader::new(&requests, &self.observed.gateways).read_object(ObjectKind::VirtualService, route);
        self.observed.other_routes.push(claim);
        self
    }

    fn seldon_reports(&mut self, status: Value) -> &mut Self {
        self.observed.seldon_deployments[0].data["status"] = status;
        self
    }

    fn report(&self) -> Report {
        self.with_input(&self.changes(), evaluate)
    }

    fn changes(&self) -> ChangeSet {
        changes::change_set(&self.plan(), &self.observed, &identity()).unwrap()
    }

    fn with_input<T>(&self, changes: &ChangeSet, then: impl FnOnce(&StatusInput) -> T) -> T {
        then(&StatusInput {
            application: "iris",
            namespace: "edge",
            juju: JUJU.get(),
            manager: &identity().manager(),
            errors: &self.config.errors,
            gateway: &self.gateway,
            plan: &self.plan(),
            observed: &self.observed,
            changes,
            rejected: &self.rejected,
            wrote: self.wrote,
        })
    }

    /// All problems, whole.
    fn logged(&self) -> String {
        let report = self.report();
        let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
        problems.join(" ")
    }

    fn says(&self) -> String {
        self.report().status.to_string()
    }
}

#[track_caller]
fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[test]
fn model_serving_its_current_spec_is_active() {
    assert_eq!(Scene::iris().says(), "active: iris serves iris:1 at /model/iris/");
}

#[test]
fn unfinished_rollout_is_never_active() {
    for change in [
        json!({"observedGeneration": 2}),
        json!({"updatedReplicas": 0}),
        json!({"availableReplicas": 0}),
        json!({"replicas": 2}),
    ] {
        let mut scene = Scene::iris();
        assert_contains(&scene.deployment(change.clone()).says(), &["waiting: iris"]);
    }
    for state in ["", "Creating", "Failed"] {
        let mut scene = Scene::iris();
        let says = scene.seldon_reports(json!({"state": state})).says();
        assert!(!says.starts_with("active"), "{state}: {says}");
    }
    let mut scene = Scene::iris();
    scene.observed.deployments.clear();
    assert_contains(&scene.says(), &["waiting: iris: starting iris:1"]);
}

#[test]
fn model_being_deleted_is_not_active() {
    let mut scene = Scene::iris();
    let object = &mut scene.observed.seldon_deployments[0];
    object.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    assert_eq!(
        scene.says(),
        "waiting: iris: being deleted by another client; will be recreated"
    );
}

#[test]
fn available_state_of_older_spec_is_not_active() {
    let mut scene = Scene::iris();
    scene.config = config::parse("iris", json!({"image": "iris:2"}).as_object().unwrap());
    // The new spec has been applied, and Seldon has not looked since.
    let plan = scene.plan();
    scene.observed.seldon_deployments[0].data["spec"] = plan.models[0].deployment["spec"].clone();
    assert_eq!(
        scene.says(),
        "waiting: iris: rolling out iris:2; the previous version keeps serving"
    );
}

#[test]
fn stopped_model_is_active() {
    let mut scene = Scene::serving(json!({"image": "iris:1", "replicas": 0}));
    assert_eq!(scene.says(), "active: iris is stopped (replicas=0)");
    let says = scene.deployment(json!({"replicas": 1, "availableReplicas": 1})).says();
    assert_eq!(says, "waiting: iris: stopping (replicas=0)");
}

#[test]
fn each_gateway_state_has_its_message() {
    let mut scene = Scene::iris();
    scene.gateway = RelatedGateway::None;
    let says = scene.says();
    assert_contains(
        &says,
        &[
            "blocked: iris: no gateway. Run: juju integrate iris:gateway-info istio-pilot (or ",
            "juju config iris gateway=…",
        ],
    );

    scene.gateway = RelatedGateway::Pending(Provider::new("istio-pilot", GatewayKind::Istio));
    assert!(
        scene
            .says()
            .starts_with("waiting: waiting for istio-pilot to name its gateway")
    );

    scene.gateway = RelatedGateway::Ambiguous(["a", "b"].map(|name| Provider::new(name, GatewayKind::Istio)).into());
    assert_contains(
        &scene.says(),
        &[
            "blocked: two gateways are related, one is supported. Run: juju remove-relation iris:gateway-info a (or ",
            "juju config iris gateway=…",
        ],
    );

    let mut scene = Scene::iris();
    scene.gateway = RelatedGateway::Known {
        gateway: gateway_name(),
        up: false,
        by: Provider::new("istio-pilot", GatewayKind::Istio),
    };
    assert!(
        scene
            .says()
            .starts_with("waiting: waiting for gateway istio/gate to be up")
    );

    let mut scene = Scene::iris();
    scene.observed.gateways.clear();
    assert!(
        scene
            .says()
            .starts_with("waiting: waiting for gateway istio/gate (istio-pilot creates it)")
    );

    let mut scene = Scene::serving(json!({"image": "iris:1", "gateway": "istio/gaet"}));
    scene.gateway = RelatedGateway::None;
    assert_contains(
        &scene.says(),
        &["blocked: iris: Istio Gateway not found. Run: juju config iris gateway=… (istio/gaet)"],
    );
}

#[test]
fn every_api_error_blocks_or_waits() {
    let rejected = |error: ApiError| {
        let mut scene = Scene::iris();
        scene.rejected.insert("iris".into(), error);
        scene.says()
    };
    let why = || "why".to_owned();
    for error in [
        ApiError::Unreachable { why: why() },
        ApiError::Untrusted {
            why: why(),
            time: false,
        },
        ApiError::DeadlineExceeded,
        ApiError::Throttled {
            after: std::time::Duration::ZERO,
        },
        ApiError::ServerError { why: why() },
        ApiError::Unauthorized,
        ApiError::NoToken { why: why() },
        ApiError::Terminating,
        ApiError::WebhookDown {
            name: "v1".into(),
            why: why(),
        },
    ] {
        assert!(rejected(error.clone()).starts_with("waiting: "), "{error:?}");
    }
    for (error, parts) in [
        (
            ApiError::Untrusted { why: why(), time: true },
            vec!["check the clock. Run: sudo microk8s refresh-certs -e server.crt (why"],
        ),
        (
            ApiError::Forbidden {
                why: why(),
                missing: crate::permissions::REQUIRED.to_vec(),
            },
            vec![
                "juju trust iris --scope=cluster",
                "rbac.yaml",
                "list/create/patch/delete seldondeployments",
            ],
        ),
        (
            ApiError::Conflict {
                object: "VirtualService iris-route".into(),
                manager: "kubectl-edit".into(),
                fields: vec!["spec.http".into()],
            },
            vec![
                "iris: its route is managed by kubectl-edit. Run: juju run iris/leader diagnose (",
                "VirtualService iris-route: spec.http",
            ],
        ),
        (
            ApiError::CrdMissing {
                kind: "SeldonDeployment".into(),
            },
            vec!["juju deploy seldon-core --trust"],
        ),
        (
            ApiError::CrdMissing {
                kind: "VirtualService".into(),
            },
            vec!["juju deploy istio-pilot --trust"],
        ),
        (
            ApiError::Invalid {
                object: "SeldonDeployment iris".into(),
                why: why(),
            },
            vec!["iris: SeldonDeployment rejected by Kubernetes. Run: juju config iris (why)"],
        ),
        (
            ApiError::Quota {
                why: "exceeded quota: x".into(),
            },
            vec!["iris: quota exceeded. Run: juju config iris resources=… (exceeded quota: x)"],
        ),
    ] {
        let says = rejected(error);
        assert!(says.starts_with("blocked: "), "{says}");
        assert_contains(&says, &parts);
    }
}

#[test]
fn errors_block_while_previous_version_serves() {
    let mut scene = Scene::iris();
    scene.config = config::parse("iris", json!({"image": "iris:1", "replicas": -1}).as_object().unwrap());
    let report = scene.report();
    assert_contains(
        &report.status.to_string(),
        &["blocked: option replicas: must be a whole number from 0 to 100. Run: juju config iris replicas=1"],
    );
    assert_contains(
        &report.models[0].message,
        &["iris: invalid configuration; the previous version keeps serving"],
    );
}

#[test]
fn follower_reports_pending_work_of_leader() {
    let mut scene = Scene::iris();
    scene.observed.virtual_services.clear();
    assert_eq!(
        scene.says(),
        "waiting: iris: waiting for the leader unit to apply the new configuration"
    );
}
