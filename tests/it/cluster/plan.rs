//! The action `plan`: it shows what would be written, and writes nothing.

use std::collections::BTreeMap;

use juju_sim::juju::Charm;
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::fixture::{Live, audit_addresses, takes};
use crate::support::assert_contains;
use crate::support::kinds::{sdep, secret, vs};

/// The results of an action, or its failure.
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

/// The resource versions of all our objects.
fn versions(live: &Live) -> Vec<(String, String)> {
    let list = live.wait(live.api(&secret()).list(&ListParams::default())).unwrap();
    let secrets = list.iter().map(|o| (o.name_any(), o.resource_version().unwrap()));
    live.versions().into_iter().chain(secrets).collect()
}

#[test]
fn plan_shows_a_diff_and_writes_nothing() {
    let mut live = Live::new("planned");
    let first = act(&mut live, "plan", &json!({})).unwrap();
    assert_eq!(text(&first, "summary"), "2 to create, 0 to change, 0 to delete");
    assert_contains(
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
    let results = plan(
        &mut live,
        &json!({"image": "seldonio/sklearn-iris:0.4", "prefix": "/new/", "labels": {"site": "plant"}}),
    );
    assert_eq!(text(&results, "summary"), "0 to create, 2 to change, 0 to delete");
    assert_eq!(
        text(&results, "changes"),
        "change SeldonDeployment iris: image seldonio/sklearn-iris:0.3 -> seldonio/sklearn-iris:0.4\n\
         change VirtualService iris-route: prefix /model/iris/ -> /new/"
    );
    assert_contains(
        text(&results, "diff"),
        &[
            "--- SeldonDeployment/iris\n+++ SeldonDeployment/iris\n@@ -",
            "\n-        - image: seldonio/sklearn-iris:0.3\n+        - image: seldonio/sklearn-iris:0.4\n",
            "\n+    site: plant\n",
            "+        prefix: /new/\n",
        ],
    );
    for kept in ["managedFields", "resourceVersion", "uid: ", "status:"] {
        let diff = text(&results, "diff").replace("ownerReferences", "");
        let owners = kept == "uid: ";
        assert!(owners || !diff.contains(kept), "{kept}: {diff}");
    }
    assert_eq!(versions(&live), before);
    let writes = audit_addresses(&live.user());
    let tried = |line: &&String| line.contains("dryRun=All");
    assert!(writes.iter().filter(tried).count() >= 4);

    // The plan stays the same once the options are set.
    live.config(&[
        ("image", "seldonio/sklearn-iris:0.4"),
        ("prefix", "/new/"),
        ("labels", "{site: plant}"),
    ]);
    let again = act(&mut live, "plan", &json!({})).unwrap();
    assert_eq!(again, results);
}

#[test]
fn unknown_option_is_rejected_with_a_suggestion() {
    let mut live = Live::new("unplanned");
    let why = act(&mut live, "plan", &json!({"config": {"immage": "x"}})).unwrap_err();
    assert_contains(&why, &["config: unknown option `immage`, did you mean `image`?"]);
    let why = act(&mut live, "plan", &json!({"model": "wine"})).unwrap_err();
    assert_contains(&why, &["parameter model: unknown model `wine`, expected iris"]);
}

#[test]
fn plan_reports_conflicts_errors_and_deletions() {
    let mut live = Live::new("hindered");
    live.config(&[("models", "{a: {}, b: {}}")]);
    assert!(live.serves().starts_with("active"));
    let results = plan(&mut live, &json!({"models": {"a": {"replicas": 2}}}));
    assert_eq!(text(&results, "summary"), "0 to create, 1 to change, 2 to delete");
    assert_eq!(
        text(&results, "changes").lines().skip(1).collect::<Vec<_>>(),
        [
            "delete VirtualService b-route: removed from the configuration",
            "delete SeldonDeployment b: removed from the configuration",
        ]
    );
    assert_contains(text(&results, "diff"), &["-    replicas: 1\n+    replicas: 2\n"]);

    live.create(&vs(), "theirs", &takes("hindered/gate", "/theirs/"));
    let results = plan(
        &mut live,
        &json!({"models": {"a": {"prefix": "/theirs/x/"}, "b": {"replicas": -1}, "c": {}}}),
    );
    assert_contains(
        text(&results, "conflicts"),
        &[
            "a: prefix taken by another route. Run: ",
            "/theirs/x/: VirtualService hindered/theirs on the same gateway",
        ],
    );
    assert_contains(
        text(&results, "errors"),
        &["models: b: replicas: must be a whole number from 0 to 100"],
    );
    assert_eq!(
        text(&results, "summary"),
        "2 to create, 0 to change, 0 to delete",
        "{results:?}"
    );
    let only = act(&mut live, "plan", &json!({"model": "a", "config": {"image": "iris:2"}})).unwrap();
    assert_eq!(text(&only, "summary"), "0 to create, 1 to change, 0 to delete");
    assert!(!text(&only, "diff").contains("SeldonDeployment/b"));
}

#[test]
fn plan_reports_rejection_by_the_api_server() {
    let mut live = Live::new("refused");
    assert!(live.serves().starts_with("active"));
    let theirs = json!({"spec": {"hosts": ["helm.example"]}});
    live.apply_as("helm", &vs(), "iris-route", &theirs);
    let before = versions(&live);
    let results = act(&mut live, "plan", &json!({})).unwrap();
    assert_contains(
        text(&results, "conflicts"),
        &[
            "iris: its route is managed by helm. Run: kubectl -n refused delete virtualservice iris-route (",
            "VirtualService iris-route: spec.hosts",
        ],
    );
    assert_contains(
        text(&results, "changes"),
        &["change VirtualService iris-route", "would be rejected: "],
    );
    assert_contains(text(&results, "diff"), &["-  - helm.example\n+  - '*'\n"]);
    assert_eq!(versions(&live), before);
}

#[test]
fn plan_reverts_manual_changes() {
    let mut live = Live::new("byhand");
    assert!(live.serves().starts_with("active"));
    let change = json!({"spec": {"protocol": "tensorflow"}});
    live.merge_as("kubectl-edit", &sdep(), "iris", &change);
    let before = versions(&live);
    let results = act(&mut live, "plan", &json!({})).unwrap();
    assert_contains(text(&results, "changes"), &["reverts changes by kubectl-edit"]);
    assert_contains(text(&results, "diff"), &["\n-  protocol: tensorflow"]);
    assert_eq!(versions(&live), before);
}

#[test]
fn plan_shows_no_secret_content() {
    let mut live = Live::new("plansecret");
    let content = [("registry", "r.example"), ("username", "edge"), ("password", "hunter1")];
    let uri = live.secret("registry", &content);
    let mut results = plan(&mut live, &json!({"image-pull-secret": uri}));
    assert_eq!(text(&results, "summary"), "3 to create, 0 to change, 0 to delete");
    assert_contains(
        text(&results, "changes"),
        &["create Secret iris-image-pull-", "content not shown"],
    );
    live.config(&[("image-pull-secret", &uri)]);
    live.serves();
    let content = [("registry", "r.example"), ("username", "edge"), ("password", "hunter2")];
    live.world.update_secret("registry", &content).unwrap();
    let before = versions(&live);
    let changed = act(&mut live, "plan", &json!({})).unwrap();
    assert_contains(text(&changed, "changes"), &["change Secret iris-image-pull-"]);
    assert_eq!(versions(&live), before);
    results.extend(changed.into_iter().map(|(key, value)| (format!("{key}-again"), value)));
    let results = format!("{results:?}");
    assert!(
        !results.contains("hunter") && !results.contains("aHVudGVy") && !results.contains("dockerconfigjson\": "),
        "{results}"
    );
}

#[test]
fn plan_without_permissions_names_the_command() {
    let mut live = Live::untrusted("planless");
    let why = act(&mut live, "plan", &json!({})).unwrap_err();
    assert_contains(
        &why,
        &[
            "juju trust iris --scope=cluster",
            "list/create/patch/delete seldondeployments",
        ],
    );
    // A second gateway application that is not related is no conflict.
    live.trust(true);
    live.world
        .add_application("istio-gateway", Charm::fake("istio-gateway", "1.28/stable"), 1)
        .unwrap();
    let results = act(&mut live, "plan", &json!({})).unwrap();
    assert_contains(text(&results, "conflicts"), &[]);
    assert_eq!(text(&results, "summary"), "2 to create, 0 to change, 0 to delete");
}
