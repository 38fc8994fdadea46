//! A cluster that lacks something, rejects requests, or becomes unreachable.

use std::collections::BTreeMap;
use std::time::Duration;

use juju_sim::agent::{Fault, Hook};
use kube::api::ApiResource;
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use super::fixture::{Live, runtime, start, takes};
use crate::support::kinds::vs;
use crate::support::{assert_contains, status};

#[test]
fn missing_seldon_blocks_or_waits() {
    let server = start("bare", false);
    let mut live = Live::on(&server, "bare");
    live.trust(true);
    assert_contains(
        &live.says(),
        &[
            "blocked: Seldon Core is not installed",
            "juju deploy seldon-core --trust",
        ],
    );
    live.world
        .integrate("iris:seldon-core", "seldon-core:juju-info")
        .unwrap();
    assert_contains(&live.says(), &["waiting: waiting for seldon-core to be installed"]);
    live.world.unit_mut("iris/0").unwrap().life = juju_sim::juju::Life::Dying;
    live.hook("remove");
}

#[test]
fn unreachable_api_is_waited_for_and_recovers() {
    let mut server = start("away", true);
    let mut live = Live::trusted_on(&server, "away");
    assert!(live.serves().starts_with("active"));
    server.stop_apiserver().unwrap();
    let run = live.hook("update-status");
    assert_contains(&status(&run), &["waiting: Kubernetes API unreachable; will retry ("]);
    assert!(run.wall < Duration::from_secs(25), "{:?}", run.wall);
    live.config(&[("replicas", "-1")]);
    assert_contains(&live.says(), &["blocked: option replicas: "]);
    live.config(&[("replicas", "1")]);
    runtime().block_on(server.restart_apiserver()).unwrap();
    assert!(live.says().starts_with("active: iris serves"));
}

fn all(live: &Live, group: &str, version: &str, kind: &str, name: &str, object: &Value) {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let api: kube::Api<kube::api::DynamicObject> = kube::Api::all_with(live.client.clone(), &resource);
    let mut object = object.clone();
    object["apiVersion"] = json!(resource.api_version);
    object["kind"] = json!(kind);
    object["metadata"] = json!({"name": name});
    let parameters = kube::api::PatchParams::apply("admin").force();
    live.wait(api.patch(name, &parameters, &kube::api::Patch::Apply(&object)))
        .unwrap();
}

#[test]
fn unavailable_webhook_is_waited_for() {
    let mut live = Live::new("hooked");
    all(
        &live,
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingWebhookConfiguration",
        "hooked",
        &json!({"webhooks": [{
            "name": "v1.vseldondeployment.kb.io",
            "clientConfig": {"url": "https://127.0.0.1:1/validate"},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "hooked"}},
            "rules": [{"apiGroups": ["machinelearning.seldon.io"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["seldondeployments"]}],
            "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        }]}),
    );
    assert_contains(
        &live.says(),
        &[
            "waiting: iris: waiting for Seldon Core's webhook; will retry (v1.vseldondeployment.kb.io: connection refused",
            "seldon-core",
        ],
    );
    assert!(live.sdep("iris").is_none() && live.route("iris").is_none());
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingWebhookConfiguration",
    ));
    let api: kube::Api<kube::api::DynamicObject> = kube::Api::all_with(live.client.clone(), &resource);
    live.wait(api.delete("hooked", &kube::api::DeleteParams::default()))
        .unwrap();
    assert!(live.serves().starts_with("active"));
}

#[test]
fn admission_denial_is_reported_with_reason() {
    let mut live = Live::new("policed");
    all(
        &live,
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicy",
        "policed",
        &json!({"spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{"apiGroups": ["machinelearning.seldon.io"], "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"], "resources": ["seldondeployments"]}]},
            "validations": [{"expression": "false", "message": "models come from the registry of the factory"}],
        }}),
    );
    all(
        &live,
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicyBinding",
        "policed",
        &json!({"spec": {"policyName": "policed", "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "policed"}}}}}),
    );
    // The API server takes a moment to enforce a policy; until then it admits the object.
    let says = (0..100)
        .map(|n| {
            live.config(&[("image", &format!("iris:{n}"))]);
            live.says()
        })
        .find(|says| says.starts_with("blocked"))
        .unwrap();
    assert_contains(
        &says,
        &[
            "blocked: iris: SeldonDeployment rejected by Kubernetes. Run: juju config iris (",
            "models come from the registry of the factory",
        ],
    );
    // Actions give the same verdict.
    let mut act = |action: &str| live.hook(Hook::action(action, BTreeMap::new())).action.unwrap().results;
    assert_eq!(act("list-models")["iris"]["state"], "blocked");
    let message = act("list-models")["iris"]["message"].to_string();
    assert_contains(&message, &["rejected by Kubernetes", "registry of the factory"]);
    assert_eq!(act("diagnose")["status"], *says);
}

#[test]
fn terminating_namespace_is_reported() {
    let mut live = Live::new("going");
    // A finalizer keeps it from being deleted at once; nothing can be created in it any more.
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace"));
    let api: kube::Api<kube::api::DynamicObject> = kube::Api::all_with(live.client.clone(), &resource);
    live.wait(api.delete("going", &kube::api::DeleteParams::default()))
        .unwrap();
    assert_contains(&live.says(), &["waiting: namespace going is being deleted"]);
}

#[test]
fn exceeded_quota_is_reported_with_numbers() {
    let mut live = Live::new("small");
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ResourceQuota"));
    let hard = json!({"count/seldondeployments.machinelearning.seldon.io": "0"});
    live.create(&resource, "few", &json!({"spec": {"hard": hard}}));
    // What the quota controller would write.
    let used = json!({"count/seldondeployments.machinelearning.seldon.io": "0"});
    live.merge_status(&resource, "few", &json!({"hard": hard, "used": used}));
    // The API server caches a namespace's quotas for a moment.
    let says = (0..100)
        .map(|n| {
            live.config(&[("models", &format!("{{m{n}: {{}}}}"))]);
            live.says()
        })
        .find(|says| says.starts_with("blocked"))
        .unwrap();
    assert_contains(
        &says,
        &[
            "quota exceeded. Run: juju config iris ",
            "exceeded quota: few, requested: count/seldondeployments",
        ],
    );
}

#[test]
fn field_missing_in_old_crd_blocks() {
    let server = start("older", true);
    let mut live = Live::trusted_on(&server, "older");
    edit_definition(&live, "seldondeployments.machinelearning.seldon.io", |version| {
        let path = "/schema/openAPIV3Schema/properties/spec/properties";
        let spec = version.pointer_mut(path).unwrap().as_object_mut().unwrap();
        spec.remove("protocol").unwrap();
    });
    // The API server takes a moment to serve the changed definition; until then it accepts the field.
    let (model, says) = (0..100)
        .map(|n| {
            let model = format!("m{n}");
            live.config(&[("models", &format!("{{{model}: {{protocol: seldon}}}}"))]);
            (model, live.says())
        })
        .find(|(_, says)| says.starts_with("blocked"))
        .unwrap();
    let rejected = format!("blocked: {model}: SeldonDeployment rejected by Kubernetes");
    assert_contains(
        &says,
        &[&rejected, "protocol", "spec.protocol: unknown to the installed CRD"],
    );
    assert!(live.sdep(&model).is_none() && live.route(&model).is_none());
    live.config(&[("models", "")]);
    assert!(live.serves().starts_with("active"));
}

#[test]
fn metrics_unsupported_by_old_seldon_are_omitted() {
    let server = start("older-metrics", true);
    let mut live = Live::trusted_on(&server, "metrics");
    edit_definition(&live, "seldondeployments.machinelearning.seldon.io", |version| {
        let path = "/schema/openAPIV3Schema/properties/spec/properties/predictors/items/properties/componentSpecs/items/properties/hpaSpec/properties";
        let fields = version.pointer_mut(path).unwrap().as_object_mut().unwrap();
        fields.remove("metricsv2").unwrap();
    });
    let metric = "{type: Pods, pods: {metric: {name: queue}, target: {type: AverageValue, averageValue: '10'}}}";
    live.config(&[
        ("resources", "{requests: {cpu: 100m}}"),
        ("autoscale", &format!("{{max: 3, cpu: 80, metrics: [{metric}]}}")),
    ]);
    assert_contains(
        &live.serves(),
        &[
            "active: iris serves seldonio/sklearn-iris:0.3, not autoscaled by metrics",
            "Run: juju refresh seldon-core (autoscale.metrics needs Seldon Core 1.15",
        ],
    );
    let hpa = live.sdep("iris").unwrap()["spec"]["predictors"][0]["componentSpecs"][0]["hpaSpec"].clone();
    assert_eq!(hpa["metrics"][0]["resource"]["targetAverageUtilization"], 80);
    assert_eq!(hpa.get("metricsv2"), None);
}

/// Changes every version of a kind's definition.
fn edit_definition(live: &Live, name: &str, edit: impl Fn(&mut Value)) {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
    ));
    let api: kube::Api<kube::api::DynamicObject> = kube::Api::all_with(live.client.clone(), &resource);
    let mut definition = live.wait(api.get(name)).unwrap();
    definition.data["spec"]["versions"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .for_each(edit);
    definition.metadata.managed_fields = None;
    live.wait(api.replace(name, &kube::api::PostParams::default(), &definition))
        .unwrap();
}

#[test]
fn older_catch_all_route_blocks_old_istio() {
    let server = start("old-istio", true);
    let mut live = Live::trusted_on(&server, "old");
    // The CRD of an Istio before 1.15 has no directResponse.
    edit_definition(&live, "virtualservices.networking.istio.io", |version| {
        let path = "/schema/openAPIV3Schema/properties/spec/properties/http/items/properties";
        let route = version.pointer_mut(path).unwrap().as_object_mut().unwrap();
        route.remove("directResponse").unwrap();
    });
    live.create(&vs(), "dashboard", &takes("old/gate", "/"));
    assert_contains(
        &live.says(),
        &[
            "blocked: iris: shadowed by a catch-all route. Run: juju run iris/leader diagnose (",
            "VirtualService old/dashboard is older",
        ],
    );
    assert!(live.sdep("iris").is_none());
    live.delete(&vs(), "dashboard");
    assert!(live.serves().starts_with("active"));
    live.create(&vs(), "zz-dashboard", &takes("old/gate", "/"));
    assert!(
        live.says().starts_with("active"),
        "recreated, it comes last: {}",
        live.says()
    );
}

#[test]
fn unknown_leadership_counts_as_follower() {
    let mut live = Live::new("headless");
    live.error(
        "is-leader",
        Fault::Exit(1, "ERROR leadership status unknown: timeout\n".into()),
    );
    assert_contains(
        &live.says(),
        &["waiting: hook tool failed; will retry (Juju's is-leader failed: leadership status unknown: timeout)"],
    );
    assert!(live.sdep("iris").is_none());
}
