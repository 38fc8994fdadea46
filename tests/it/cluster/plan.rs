//! The action `plan`: what it shows of what would be written, and that it writes nothing.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::{Value, json};
use site::juju::Charm;

use super::fixture::{Live, audit_addresses, takes};
use crate::support::has;
use crate::support::kinds::{sdep, secret, vs};

/// What an action answers, or why it fails.
pub fn act(live: &mut Live, action: &str, parameters: &Value) -> Result<BTreeMap<String, Value>, String> {
    let ended = live.act(action, parameters)?;
    match ended.status.as_str() {
        "completed" => Ok(ended.results),
        _ => Err(ended.message),
    }
}

fn plan(live: &mut Live, config: &Value) -> BTreeMap<String, Value> {
    act(live, "plan", &json!({"config": config})).unwrap()
}

fn text<'a>(results: &'a BTreeMap<String, Value>, key: &str) -> &'a str {
    results.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The resource versions of all that is ours.
fn versions(live: &Live) -> Vec<(String, String)> {
    let list = live.wait(live.api(&secret()).list(&ListParams::default())).unwrap();
    let secrets = list.iter().map(|o| (o.name_any(), o.resource_version().unwrap()));
    live.versions().into_iter().chain(secrets).collect()
}

#[test]
fn the_plan_of_other_options_is_a_diff_and_writes_nothing() {
    let mut live = Live::new("planned");
    let first = act(&mut live, "plan", &json!({})).unwrap();
    assert_eq!(text(&first, "summary"), "2 to make, 0 to change, 0 to delete");
    has(
        text(&first, "diff"),
        &[
            "--- /dev/null",
            "+++ SeldonDeployment/iris",
            "+++ VirtualService/iris-route",
        ],
    );
    assert!(live.sdep("iris").is_none() && live.route("iris").is_none());

    assert!(live.serves().starts_with("active"));
    live.says();
    let quiet = act(&mut live, "plan", &json!({})).unwrap();
    assert_eq!(text(&quiet, "summary"), "nothing to change");
    assert_eq!(quiet.get("diff"), None);
    let before = versions(&live);
    let told = plan(
        &mut live,
        &json!({"image": "seldonio/sklearn-iris:0.4", "prefix": "/new/", "labels": {"site": "plant"}}),
    );
    assert_eq!(text(&told, "summary"), "0 to make, 2 to change, 0 to delete");
    assert_eq!(
        text(&told, "changes"),
        "change SeldonDeployment iris: image seldonio/sklearn-iris:0.3 -> seldonio/sklearn-iris:0.4\n\
         change VirtualService iris-route: prefix /model/iris/ -> /new/"
    );
    has(
        text(&told, "diff"),
        &[
            "--- SeldonDeployment/iris\n+++ SeldonDeployment/iris\n@@ -",
            "\n-        - image: seldonio/sklearn-iris:0.3\n+        - image: seldonio/sklearn-iris:0.4\n",
            "\n+    site: plant\n",
            "+        prefix: /new/\n",
        ],
    );
    for kept in ["managedFields", "resourceVersion", "uid: ", "status:"] {
        let diff = text(&told, "diff").replace("ownerReferences", "");
        let owners = kept == "uid: ";
        assert!(owners || !diff.contains(kept), "{kept}: {diff}");
    }
    assert_eq!(versions(&live), before);
    let writes = audit_addresses(&live.user());
    let tried = |line: &&String| line.contains("dryRun=All");
    assert!(writes.iter().filter(tried).count() >= 4);

    // What was planned is what comes.
    live.config(&[
        ("image", "seldonio/sklearn-iris:0.4"),
        ("prefix", "/new/"),
        ("labels", "{site: plant}"),
    ]);
    let again = act(&mut live, "plan", &json!({})).unwrap();
    assert_eq!(again, told);
}

#[test]
fn what_is_no_option_is_refused_with_what_is_meant() {
    let mut live = Live::new("unplanned");
    let why = act(&mut live, "plan", &json!({"config": {"immage": "x"}})).unwrap_err();
    has(
        &why,
        &["\"immage\" is no option of this charm; the nearest known is image"],
    );
    let why = act(&mut live, "plan", &json!({"model": "wine"})).unwrap_err();
    has(&why, &["say which model: model=<one of iris>"]);
}

#[test]
fn obstacles_faults_and_what_would_go_are_told_in_the_words_of_the_status() {
    let mut live = Live::new("hindered");
    live.config(&[("models", "{a: {}, b: {}}")]);
    assert!(live.serves().starts_with("active"));
    let told = plan(&mut live, &json!({"models": {"a": {"replicas": 2}}}));
    assert_eq!(text(&told, "summary"), "0 to make, 1 to change, 2 to delete");
    assert_eq!(
        text(&told, "changes").lines().skip(1).collect::<Vec<_>>(),
        [
            "delete VirtualService b-route: it is no longer asked for",
            "delete SeldonDeployment b: it is no longer asked for",
        ]
    );
    has(text(&told, "diff"), &["-    replicas: 1\n+    replicas: 2\n"]);

    live.create(&vs(), "theirs", &takes("hindered/gate", "/theirs/"));
    let told = plan(
        &mut live,
        &json!({"models": {"a": {"prefix": "/theirs/x/"}, "b": {"replicas": -1}, "c": {}}}),
    );
    has(
        text(&told, "obstacles"),
        &["a: prefix /theirs/x/ is taken by VirtualService hindered/theirs on the same gateway"],
    );
    has(
        text(&told, "faults"),
        &["models: b: replicas=-1: must be a whole number from 0 to 100"],
    );
    assert_eq!(
        text(&told, "summary"),
        "2 to make, 0 to change, 0 to delete",
        "{told:?}"
    );
    let only = act(&mut live, "plan", &json!({"model": "a", "config": {"image": "iris:2"}})).unwrap();
    assert_eq!(text(&only, "summary"), "0 to make, 1 to change, 0 to delete");
    assert!(!text(&only, "diff").contains("SeldonDeployment/b"));
}

#[test]
fn what_the_api_server_would_refuse_is_an_obstacle() {
    let mut live = Live::new("refused");
    assert!(live.serves().starts_with("active"));
    let theirs = json!({"spec": {"hosts": ["helm.example"]}});
    live.apply_as("helm", &vs(), "iris-route", &theirs);
    let before = versions(&live);
    let told = act(&mut live, "plan", &json!({})).unwrap();
    has(
        text(&told, "obstacles"),
        &[
            "helm has set spec.hosts of VirtualService iris-route",
            "kubectl -n refused delete",
        ],
    );
    has(
        text(&told, "changes"),
        &["change VirtualService iris-route", "it would be refused"],
    );
    has(text(&told, "diff"), &["-  - helm.example\n+  - '*'\n"]);
    assert_eq!(versions(&live), before);
}

#[test]
fn what_a_person_changed_is_planned_to_be_put_back() {
    let mut live = Live::new("byhand");
    assert!(live.serves().starts_with("active"));
    let change = json!({"spec": {"protocol": "tensorflow"}});
    live.merge_as("kubectl-edit", &sdep(), "iris", &change);
    let before = versions(&live);
    let told = act(&mut live, "plan", &json!({})).unwrap();
    has(
        text(&told, "changes"),
        &["it was changed by kubectl-edit, and is put back"],
    );
    has(text(&told, "diff"), &["\n-  protocol: tensorflow"]);
    assert_eq!(versions(&live), before);
}

#[test]
fn a_plan_shows_nothing_of_a_secret() {
    let mut live = Live::new("plansecret");
    let content = [("registry", "r.example"), ("username", "edge"), ("password", "hunter1")];
    let uri = live.secret("registry", &content);
    let mut told = plan(&mut live, &json!({"image-pull-secret": uri}));
    assert_eq!(text(&told, "summary"), "3 to make, 0 to change, 0 to delete");
    has(
        text(&told, "changes"),
        &["make Secret iris-image-pull-", "its content is not shown"],
    );
    live.config(&[("image-pull-secret", &uri)]);
    live.serves();
    let content = [("registry", "r.example"), ("username", "edge"), ("password", "hunter2")];
    live.world.update_secret("registry", &content).unwrap();
    let before = versions(&live);
    let changed = act(&mut live, "plan", &json!({})).unwrap();
    has(text(&changed, "changes"), &["change Secret iris-image-pull-"]);
    assert_eq!(versions(&live), before);
    told.extend(changed.into_iter().map(|(key, value)| (format!("{key}-again"), value)));
    let told = format!("{told:?}");
    assert!(
        !told.contains("hunter") && !told.contains("aHVudGVy") && !told.contains("dockerconfigjson\": "),
        "{told}"
    );
}

#[test]
fn a_plan_without_rights_or_without_seldon_says_what_to_type() {
    let mut live = Live::untrusted("planless");
    let why = act(&mut live, "plan", &json!({})).unwrap_err();
    has(
        &why,
        &[
            "juju trust iris --scope=cluster",
            "list/create/patch/delete seldondeployments",
        ],
    );
    // Two gateways at once: the route is not known, the model is.
    live.trust(true);
    live.world
        .add_application("istio-gateway", Charm::stand_in("istio-gateway", "1.28/stable"), 1)
        .unwrap();
    let told = act(&mut live, "plan", &json!({})).unwrap();
    has(text(&told, "obstacles"), &[]);
    assert_eq!(text(&told, "summary"), "2 to make, 0 to change, 0 to delete");
}
