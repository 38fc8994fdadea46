//! When Juju secrets are read: each read leaves objects behind on Juju before 3.6.23, so none is read needlessly, and none that may
//! have changed is missed.

use std::time::Duration;

use juju_sim::agent::{Fault, Hook, HookRun};
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::Value;

use super::fixture::Live;
use super::proxy::{ApiFault, Proxy, RequestFilter, WRITES};
use crate::support::kinds::secret;
use crate::support::{assert_contains, status};

const BEFORE: [(&str, &str); 3] = [("registry", "r.example"), ("username", "edge"), ("password", "hunter1")];
const AFTER: [(&str, &str); 3] = [("registry", "r.example"), ("username", "edge"), ("password", "hunter2")];

/// A serving model with an image from a private registry, and a Juju secret.
fn served(model: &str) -> (Live, String) {
    let mut live = Live::new(model);
    let uri = live.secret("registry", &BEFORE);
    live.config(&[("image-pull-secret", &uri)]);
    assert_contains(&live.serves(), &["active: iris serves"]);
    assert_eq!(password(&live, &uri), "hunter1");
    (live, uri)
}

fn id(uri: &str) -> &str {
    uri.strip_prefix("secret:").unwrap()
}

fn name(uri: &str) -> String {
    format!("iris-image-pull-{}", id(uri))
}

/// The password that nodes have.
fn password(live: &Live, uri: &str) -> String {
    let made = live.get(&secret(), &name(uri)).unwrap();
    let bytes: k8s_openapi::ByteString = serde_json::from_value(made["data"][".dockerconfigjson"].clone()).unwrap();
    let config: Value = serde_json::from_slice(&bytes.0).unwrap();
    config["auths"]["r.example"]["password"].as_str().unwrap().to_owned()
}

fn changed(uri: &str) -> Hook {
    Hook::Secret {
        event: "changed".into(),
        id: uri.to_owned(),
        label: String::new(),
        revision: None,
    }
}

/// The URIs that were read in a hook.
fn read(run: &HookRun) -> Vec<String> {
    run.calls_of("secret-get").map(|call| call.args()[0].clone()).collect()
}

#[test]
fn quiet_hook_reads_no_secret() {
    let (mut live, uri) = served("unread");
    let before = live.get(&secret(), &name(&uri));
    for hook in [
        "update-status",
        "config-changed",
        "cluster-changed",
        "start",
        "leader-settings-changed",
    ] {
        let run = live.hook(hook);
        assert_eq!(read(&run), [""; 0], "{hook}");
        assert_contains(&status(&run), &["active: iris serves"]);
    }
    for action in ["list-models", "diagnose", "endpoints"] {
        let run = live.run(Hook::action(action, std::collections::BTreeMap::new()));
        assert_eq!(read(&run), [""; 0], "{action}");
    }
    assert_eq!(live.get(&secret(), &name(&uri)), before);
}

#[test]
fn only_the_secret_that_changed_is_read() {
    let (mut live, uri) = served("changed-secret");
    let store = live.secret("store", &[("access-key-id", "edge"), ("secret-access-key", "hunter3")]);
    live.config(&[("model-uri", "s3://models/iris"), ("storage-secret", &store)]);
    // The new URI has no Secret yet; the existing one is not read.
    assert_eq!(read(&live.hook("config-changed")), [store.as_str()]);
    live.seldon_serves("iris");
    assert_contains(&status(&live.hook("update-status")), &["active"]);
    live.world.update_secret("registry", &AFTER).unwrap();
    assert_eq!(read(&live.hook(changed(&uri))), [uri.as_str()]);
    assert_eq!(password(&live, &uri), "hunter2");
    assert_eq!(read(&live.hook("update-status")), [""; 0]);
}

#[test]
fn secret_of_a_new_uri_is_read() {
    let (mut live, uri) = served("replaced");
    let other = live.secret("other", &AFTER);
    live.config(&[("image-pull-secret", &other)]);
    assert_eq!(read(&live.hook("config-changed")), [other.as_str()]);
    assert_eq!(password(&live, &other), "hunter2");
    // Back to the first while its Secret still exists: it may have changed while unused.
    live.world.update_secret("registry", &AFTER).unwrap();
    live.config(&[("image-pull-secret", &uri)]);
    assert_eq!(read(&live.hook("config-changed")), [uri.as_str()]);
    assert_eq!(password(&live, &uri), "hunter2");
}

#[test]
fn deleted_kubernetes_secret_is_read_and_put_back() {
    let (mut live, uri) = served("deleted-secret");
    live.delete(&secret(), &name(&uri));
    assert_eq!(read(&live.hook("update-status")), [uri.as_str()]);
    assert_eq!(password(&live, &uri), "hunter1");
    assert_eq!(read(&live.hook("update-status")), [""; 0]);
}

#[test]
fn new_leader_reads_and_applies_what_changed() {
    let (mut live, uri) = served("elected");
    live.world.application_mut("iris").unwrap().add_unit();
    // The new leader has read nothing so far.
    live.world.update_secret("registry", &AFTER).unwrap();
    live.world.application_mut("iris").unwrap().set_leader(Some("iris/1"));
    let run = live.run_on("iris/1", "leader-elected");
    assert_eq!(read(&run), [uri.as_str()], "{run:#?}");
    assert_eq!(password(&live, &uri), "hunter2");
    assert_eq!(read(&live.run_on("iris/1", "update-status")), [""; 0]);
}

#[test]
fn hook_after_a_failed_tool_reads_again() {
    for tool in ["secret-get", "config-get", "relation-ids"] {
        let (mut live, uri) = served(&format!("failed-{tool}"));
        live.world.update_secret("registry", &AFTER).unwrap();
        live.error(tool, Fault::Exit(1, "ERROR the controller is away\n".into()));
        assert_contains(
            &status(&live.hook(changed(&uri))),
            &[&format!("waiting: hook tool failed; will retry (Juju's {tool} failed")],
        );
        live.agent.faults.clear();
        let run = live.hook("update-status");
        assert_eq!(read(&run), [uri.as_str()], "{tool}");
        assert_contains(&status(&run), &["active: iris serves"]);
        assert_eq!(password(&live, &uri), "hunter2");
        assert_eq!(read(&live.hook("update-status")), [""; 0], "{tool}");
    }
}

#[test]
fn unusable_content_stays_blocked_until_replaced() {
    let (mut live, uri) = served("unusable");
    live.world.update_secret("registry", &[("username", "edge")]).unwrap();
    assert_contains(
        &status(&live.hook(changed(&uri))),
        &["blocked: ", "missing key `registry`"],
    );
    for hook in ["update-status", "config-changed"] {
        let run = live.hook(hook);
        assert_contains(&status(&run), &["blocked: ", "missing key `registry`"]);
        assert_eq!(read(&run), [uri.as_str()], "{hook}");
    }
    assert_eq!(password(&live, &uri), "hunter1", "the previous version keeps serving");
    live.world.update_secret("registry", &AFTER).unwrap();
    assert_contains(&status(&live.hook(changed(&uri))), &["active: iris serves"]);
    assert_eq!(password(&live, &uri), "hunter2");
    assert_eq!(read(&live.hook("update-status")), [""; 0]);
}

#[test]
fn granted_secret_is_read_by_next_hook() {
    for version in ["3.6.1", "4.0.15"] {
        let mut live = Live::new(&format!("grant-{}", version.replace('.', "-")));
        live.world.version = version.parse().unwrap();
        let uri = live.world.add_secret("registry", &BEFORE).unwrap();
        live.config(&[("image-pull-secret", &uri)]);
        live.world.application_mut("iris").unwrap().add_unit();
        let grant = format!("is not granted. Run: juju grant-secret {uri} iris");
        for unit in ["iris/0", "iris/1"] {
            assert_contains(&status(&live.run_on(unit, "config-changed")), &["blocked: ", &grant]);
            assert_contains(&status(&live.run_on(unit, "update-status")), &["blocked: ", &grant]);
        }
        live.world.grant_secret("registry", "iris").unwrap();
        assert_eq!(read(&live.hook("update-status")), [uri.as_str()]);
        assert_eq!(password(&live, &uri), "hunter1");
    }
}

#[test]
fn rejected_secret_write_is_retried_later() {
    let (mut live, uri) = served("rejected-write");
    let proxy = Proxy::in_front_of(&mut live, 2000..2100);
    let on_secrets = RequestFilter {
        matches: |method, path| method != "GET" && path.contains("/secrets/"),
        ..WRITES
    };
    proxy.inject(on_secrets, ApiFault::error(500, "InternalError", "etcd is away"));
    live.world.update_secret("registry", &AFTER).unwrap();
    let run = live.hook(changed(&uri));
    assert_contains(&status(&run), &["waiting: ", &format!("; not applied yet: {uri}")]);
    assert_eq!(password(&live, &uri), "hunter1");
    proxy.clear();
    let run = live.hook("update-status");
    assert_eq!(read(&run), [uri.as_str()]);
    assert_contains(&status(&run), &["active: iris serves"]);
    assert_eq!(password(&live, &uri), "hunter2");
    assert_eq!(read(&live.hook("update-status")), [""; 0]);
}

#[test]
fn secret_changed_without_api_is_applied_later() {
    let (mut live, uri) = served("away");
    let kubeconfig = live.agent.kubeconfig.take();
    live.world.update_secret("registry", &AFTER).unwrap();
    live.hook(changed(&uri));
    let run = live.hook("update-status");
    assert_contains(
        &status(&run),
        &[
            "waiting: Kubernetes API unreachable; will retry (",
            &format!("; not applied yet: {uri}"),
        ],
    );
    assert_eq!(read(&run), [""; 0], "nothing would come of it");
    live.agent.kubeconfig = kubeconfig;
    assert_contains(&status(&live.hook("update-status")), &["active: iris serves"]);
    assert_eq!(password(&live, &uri), "hunter2");
}

#[test]
fn secret_of_an_invalid_model_is_applied_later() {
    let (mut live, uri) = served("invalid-model");
    live.config(&[("resources", "many")]);
    assert_contains(&live.says(), &["blocked: option resources: "]);
    live.world.update_secret("registry", &AFTER).unwrap();
    live.hook(changed(&uri));
    let run = live.hook("update-status");
    assert_contains(
        &status(&run),
        &["blocked: option resources: ", &format!("; not applied yet: {uri}")],
    );
    assert_eq!(read(&run), [""; 0]);
    live.config(&[("resources", "")]);
    assert_contains(&live.says(), &["active: iris serves"]);
    assert_eq!(password(&live, &uri), "hunter2");
    assert_eq!(read(&live.hook("update-status")), [""; 0]);
}

#[test]
fn plan_names_new_secrets_and_missing_grants() {
    let (mut live, _) = served("planned-secret");
    let granted = live.secret("granted", &AFTER);
    let answer = live
        .act("plan", &serde_json::json!({"config": {"image-pull-secret": granted}}))
        .unwrap();
    assert_contains(
        &answer.results["changes"].to_string(),
        &[&format!("create Secret {}", name(&granted))],
    );
    let other = live.world.add_secret("other", &AFTER).unwrap();
    let answer = live
        .act("plan", &serde_json::json!({"config": {"image-pull-secret": other}}))
        .unwrap();
    assert_contains(
        &answer.results["errors"].to_string(),
        &[&format!("juju grant-secret {other} iris")],
    );
}

#[test]
fn action_leaves_secret_change_to_a_hook() {
    let (mut live, uri) = served("peeked");
    let edge = &mut *live;
    edge.agent.wake_all(&mut edge.world).unwrap();
    live.world.update_secret("registry", &AFTER).unwrap();
    let answer = live.act("plan", &serde_json::json!({})).unwrap();
    assert_contains(
        &answer.results["changes"].to_string(),
        &[&format!("change Secret {}", name(&uri))],
    );
    let edge = &mut *live;
    let runs = edge.agent.wake_all(&mut edge.world).unwrap();
    let hooks: Vec<&str> = runs.iter().map(|run| run.hook.as_str()).collect();
    assert_eq!(hooks, ["secret-changed"]);
    assert_eq!(password(&live, &uri), "hunter2");
}

#[test]
fn secret_changed_alongside_ungranted_one_is_applied() {
    let (mut live, uri) = served("beside");
    let store = live.secret("store", &[("access-key-id", "edge"), ("secret-access-key", "hunter3")]);
    live.config(&[("model-uri", "s3://models/iris"), ("storage-secret", &store)]);
    live.serves();
    live.world.update_secret("registry", &AFTER).unwrap();
    live.world.secrets.get_mut(id(&store)).unwrap().granted.clear();
    assert_contains(
        &status(&live.hook("upgrade-charm")),
        &["blocked: ", "juju grant-secret"],
    );
    live.world.grant_secret("store", "iris").unwrap();
    assert_contains(&status(&live.hook("update-status")), &["active: iris serves"]);
    assert_eq!(password(&live, &uri), "hunter2");
    assert_eq!(read(&live.hook("update-status")), [""; 0]);
}

#[test]
fn watcher_with_secret_triggers_only_on_change() {
    const SOON: Duration = Duration::from_secs(10);
    let mut live = Live::new("secretly");
    live.agent.listen().unwrap();
    let uri = live.secret("registry", &BEFORE);
    live.config(&[("image-pull-secret", &uri)]);
    assert_contains(&live.serves(), &["active: iris serves"]);
    live.hook("update-status");
    // Whatever triggers a probe, the outcome equals that of the hook.
    let triggered = |live: &mut Live, limit| {
        let edge = &mut **live;
        edge.agent
            .answer(&mut edge.world, limit, |_, runs| !runs.is_empty())
            .unwrap()
    };
    live.delete(&crate::support::kinds::vs(), "iris-route");
    let runs = triggered(&mut live, SOON);
    assert_eq!(runs.len(), 1);
    assert_eq!(read(&runs[0]), [""; 0]);
    assert!(triggered(&mut live, Duration::from_secs(2)).is_empty());
    // It watches no Secrets, but notices a missing one at the next other change.
    live.delete(&secret(), &name(&uri));
    live.merge(
        &crate::support::kinds::sdep(),
        "iris",
        &serde_json::json!({"metadata": {"annotations": {"theirs": "1"}}}),
    );
    let runs = triggered(&mut live, SOON);
    assert_eq!(read(&runs[0]), [uri.as_str()]);
    assert_eq!(password(&live, &uri), "hunter1");
    let made = live.wait(live.api(&secret()).list(&ListParams::default())).unwrap();
    assert_eq!(
        made.iter().map(kube::ResourceExt::name_any).collect::<Vec<_>>(),
        [name(&uri)]
    );
    assert!(made.items[0].labels().contains_key("seldon-model/model"));
}
