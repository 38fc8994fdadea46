//! Outages of parts of the site.

use std::fs;
use std::time::Duration;

use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube_box::images::IRIS_2;
use serde_json::{Value, json};

use crate::fixture::{FLOWER, Model, SERVES, SOON, folder, full, runtime, scale, until};
use crate::load::{Load, assert_none_failed, header, revision, send};
use crate::support::assert_contains;
use crate::support::kinds::{deployment, vs};
use crate::watcher::is;

/// Restores what a test stopped, even if it fails: later tests need it.
struct Back<F: FnMut()>(F);

impl<F: FnMut()> Drop for Back<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Scales one of the site's own Deployments to zero until the value is dropped.
fn without(namespace: &'static str, name: &'static str) -> Back<impl FnMut()> {
    scale(namespace, name, 0);
    Back(move || scale(namespace, name, 1))
}

/// Turns Seldon's own routes on or off.
fn seldons_routes(on: bool) {
    scale("seldon-system", "seldon-controller-manager", 0);
    runtime().block_on(async {
        let client = full().server().client().unwrap();
        let api: Api<DynamicObject> = Api::namespaced_with(client, "seldon-system", &deployment());
        let change = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "manager", "env": [{"name": "ISTIO_ENABLED", "value": on.to_string()}]},
        ]}}}});
        api.patch(
            "seldon-controller-manager",
            &PatchParams::default(),
            &Patch::Strategic(&change),
        )
        .await
        .unwrap();
    });
    scale("seldon-system", "seldon-controller-manager", 1);
}

pub fn seldons_own_route_and_ours_coexist() {
    let mut model = Model::serving("both");
    seldons_routes(true);
    let back = Back(|| seldons_routes(false));
    until(SERVES, "Seldon makes its own VirtualService", || {
        let names = model.names(&vs());
        if names.iter().any(|name| name == "iris") {
            Ok(())
        } else {
            Err(format!("{names:?}"))
        }
    });
    let says = model.update_status();
    assert!(says.starts_with("active: "), "{says}");
    assert_eq!(model.predict().status, 200);
    // A change of ours keeps theirs, and takes effect.
    model.configure(&[("image", IRIS_2)]);
    model.until_says(SERVES, &["active: ", IRIS_2]);
    let names = model.names(&vs());
    drop(back);
    assert!(
        names.contains(&"iris".to_owned()) && names.contains(&"iris-route".to_owned()),
        "{names:?}"
    );
    assert_eq!(model.predict().version(), "2");
}

pub fn api_server_outage_is_waited_for_and_recovers() {
    let mut model = Model::serving("cut-off");
    let load = Load::start(&model.predictions("cut-off"), FLOWER, 3);
    full().stop_apiserver().unwrap();
    let back = Back(|| runtime().block_on(full().restart_apiserver()).unwrap());
    let says = model.update_status();
    assert!(says.starts_with("waiting: "), "{says}");
    assert_contains(&says, &["Kubernetes API unreachable"]);
    drop(back);
    model.until_says(SERVES, &["active: "]);
    assert_none_failed(&load.stop(), 50.0);
}

pub fn missing_seldon_controller_is_never_active() {
    let mut model = Model::serving("uncontrolled");
    let back = without("seldon-system", "seldon-controller-manager");
    let says = model.update_status();
    assert!(says.starts_with("active: "), "what serves, serves: {says}");
    model.config(&[("image", IRIS_2)]);
    let mut seen = Vec::new();
    // Its webhook is down too, which rejects every write: the charm must report that, and not as a denial.
    for _ in 0..3 {
        let says = model.says();
        assert!(says.starts_with("waiting: "), "{says}");
        assert_eq!(model.predict().version(), "1");
        seen.push(says);
    }
    drop(back);
    model.until_says(SERVES, &["active: ", IRIS_2]);
    assert_eq!(model.predict().version(), "2");
}

pub fn routes_keep_working_without_istiod() {
    let mut model = Model::serving("undirected");
    let load = Load::start(&model.predictions("undirected"), FLOWER, 3);
    let back = without("istio-system", "istiod");
    let says = model.update_status();
    assert!(says.starts_with("active: "), "what serves, serves: {says}");
    // A new route cannot be validated, so Istio's webhook rejects it.
    let mut second = Model::new("undirected-too");
    let says = second.says();
    assert!(says.starts_with("waiting: "), "{says}");
    drop(back);
    second.until_says(SERVES, &["active: "]);
    until(SOON, "the new route is felt", || match second.predict().status {
        200 => Ok(()),
        other => Err(other.to_string()),
    });
    assert_none_failed(&load.stop(), 50.0);
}

pub fn kubelet_outage_does_not_stay_active() {
    let mut model = Model::serving("unattended");
    full().stop_kubelet().unwrap();
    let back = Back(|| runtime().block_on(full().start_kubelet()).unwrap());
    // Kubernetes notices a silent node by its lease, and takes its pods out of service.
    let says = until(Duration::from_secs(120), "it is no longer active", || {
        let says = model.update_status();
        if says.starts_with("active: ") {
            Err(says)
        } else {
            Ok(says)
        }
    });
    assert!(says.starts_with("waiting: "), "{says}");
    drop(back);
    model.until_says(SERVES, &["active: "]);
    until(SOON, "it answers", || match model.predict().status {
        200 => Ok(()),
        other => Err(other.to_string()),
    });
}

pub fn gateway_outage_spoils_no_later_connection() {
    let url = format!("http://{}/", full().gateway());
    let log = folder("e2e").join("gateway-port.log");
    let rejected = || fs::read_to_string(&log).unwrap().matches("refused").count();
    let before = rejected();
    let back = without("istio-system", "istio-ingressgateway");
    until(SERVES, "a client is refused", || {
        let answer = send(&url, FLOWER);
        if rejected() > before {
            Ok(())
        } else {
            Err(format!("{answer:?}"))
        }
    });
    let mut command = full().enter().unwrap();
    let output = command.args(["cat", "/proc/net/nf_conntrack"]).output().unwrap();
    drop(back);
    if !output.status.success() {
        eprintln!("skipped: this kernel does not show its connections");
        return;
    }
    let connections = String::from_utf8_lossy(&output.stdout);
    // A connection whose reply is expected from the node itself never reaches the gateway.
    let stray = connections.lines().find(|line| {
        line.contains("SYN_SENT") && line.contains("dst=192.0.2.1 ") && line.contains("[UNREPLIED] src=192.0.2.1 ")
    });
    assert_eq!(stray, None);
}

/// A route that Istio takes and Envoy rejects, because it cannot read the header's value.
const REJECTED: &str = "theirs";

/// The first failed check of `diagnose`, and its report.
fn diagnosis(model: &mut Model) -> (String, String) {
    let results = model.act("diagnose", &json!({})).unwrap().results;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&results["iris"]["broken"]), text(&results["report"]))
}

/// Whether the charm remembers that the route is not served.
fn is_marked(model: &Model) -> bool {
    let routes = model.objects(&vs());
    let route = routes.iter().find(|route| route["metadata"]["name"] == "iris-route");
    route.unwrap()["metadata"]["annotations"]
        .get("seldon-model/not-served")
        .is_some()
}

pub fn route_that_envoy_rejects_is_noticed() {
    let mut model = Model::inside("frozen");
    model.agent.listen().unwrap();
    model.says();
    model.awaits(SERVES, is("active"));
    assert_eq!(diagnosis(&mut model).0, "nothing");
    let requests = model.requests_counted("default");
    let url = model.url("/model/frozen/");
    let (code, location) = revision(&url);
    assert_eq!(code, "302");
    let shown = location.strip_prefix(&url).unwrap();
    assert_eq!(shown.len(), 16, "{location}");
    assert_eq!(model.requests_counted("default"), requests, "the model got the request");
    for name in ["location", "x-seldon-model-revision"] {
        assert_eq!(header(&model.predictions("frozen"), FLOWER, name), None, "for clients");
    }

    let theirs = json!({"apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService",
        "metadata": {"name": REJECTED}, "spec": {"hosts": ["*"], "gateways": ["istio-system/gate"], "http": [{
        "match": [{"uri": {"prefix": "/theirs/"}}], "headers": {"response": {"set": {"x-load": "a%20b%20c"}}},
        "route": [{"destination": {"host": "elsewhere.local", "port": {"number": 80}}}]}]}});
    let theirs = serde_json::from_value(theirs).unwrap();
    model
        .wait(model.api(&vs()).create(&PostParams::default(), &theirs))
        .unwrap();
    let says = model.configure(&[("timeout", "7s")]);
    assert_eq!(
        says,
        "waiting: iris: waiting for gateway istio-system/gate to serve its route"
    );
    let blocked =
        "blocked: iris: route not served by its gateway. Run: juju run iris/leader diagnose (istio-system/gate: ";
    model.awaits(SOON, is("blocked"));
    assert!(is_marked(&model));
    assert_contains(&model.update_status(), &[blocked]);
    let (broken, report) = diagnosis(&mut model);
    assert_eq!(broken, "served", "{report}");
    assert_contains(
        &report,
        &[
            "gateway istio-system/gate: first route not served: VirtualService frozen/iris-route (written ",
            "iris: gateway istio-system/gate does not serve its current route. Run: kubectl -n istio-system logs -l ",
        ],
    );
    assert_eq!(model.predict().status, 200, "the previous route serves");

    model.delete(&vs(), REJECTED);
    model.awaits(SERVES, is("active"));
    assert_eq!(diagnosis(&mut model).0, "nothing");
    assert!(!is_marked(&model));
}
