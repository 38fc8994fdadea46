//! Juju secrets become Kubernetes Secrets: what rolls for them, what deletes them, and that they stay secret.

use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::fixture::Live;
use super::proxy::{ApiFault, Proxy, RequestFilter, WRITES};
use crate::support::kinds::secret;
use crate::support::{assert_contains, log, status};

const REGISTRY: [(&str, &str); 3] = [
    ("registry", "registry.plant.example"),
    ("username", "edge"),
    ("password", "hunter1"),
];
const STORE: [(&str, &str); 2] = [("access-key-id", "edge"), ("secret-access-key", "hunter2")];

/// A serving model whose image and files both need credentials.
fn served(model: &str) -> (Live, String, String) {
    let mut live = Live::new(model);
    let registry = live.secret("registry", &REGISTRY);
    let store = live.secret("store", &STORE);
    live.config(&[
        ("model-uri", "s3://models/iris"),
        ("image-pull-secret", &registry),
        ("storage-secret", &store),
    ]);
    assert_contains(&live.serves(), &["active: iris serves"]);
    (live, id(&registry), id(&store))
}

fn id(uri: &str) -> String {
    uri.strip_prefix("secret:").unwrap().to_owned()
}

/// The names of our Secrets.
fn names(live: &Live) -> Vec<String> {
    let ours = ListParams::default().labels("seldon-model/application=iris");
    let list = live.wait(live.api(&secret()).list(&ours)).unwrap();
    list.iter().map(kube::ResourceExt::name_any).collect()
}

/// The resource versions of all our objects.
fn versions(live: &Live) -> Vec<(String, String)> {
    let list = live.wait(live.api(&secret()).list(&ListParams::default())).unwrap();
    let secrets = list.iter().map(|o| (o.name_any(), o.resource_version().unwrap()));
    live.versions().into_iter().chain(secrets).collect()
}

fn decoded(object: &Value, key: &str) -> String {
    let encoded = object["data"][key].clone();
    let bytes: k8s_openapi::ByteString = serde_json::from_value(encoded).unwrap();
    String::from_utf8(bytes.0).unwrap()
}

fn predictor(live: &Live, at: usize) -> Value {
    live.sdep("iris").unwrap()["spec"]["predictors"][at].clone()
}

fn pull_secret(predictor: &Value) -> &Value {
    &predictor["componentSpecs"][0]["spec"]["imagePullSecrets"]
}

/// The hooks that Juju's agent runs on its own, and the status afterwards.
fn run_pending_hooks(live: &mut Live) -> (Vec<String>, String) {
    let edge = &mut **live;
    let runs = edge.agent.wake_all(&mut edge.world).unwrap();
    assert!(runs.iter().all(|run| run.exit == 0), "{runs:#?}");
    let says = runs.last().map(status).unwrap_or_default();
    (runs.into_iter().map(|run| run.hook).collect(), says)
}

#[test]
fn juju_secret_becomes_owned_kubernetes_secret() {
    let (mut live, registry, store) = served("kept");
    let (pull, storage) = (format!("iris-image-pull-{registry}"), format!("iris-storage-{store}-1"));
    assert_eq!(names(&live), [pull.clone(), storage.clone()]);
    let predictor = predictor(&live, 0);
    assert_eq!(pull_secret(&predictor), &json!([{"name": pull}]));
    assert_eq!(predictor["graph"]["envSecretRefName"], json!(storage));
    let made = live.get(&secret(), &pull).unwrap();
    assert_eq!(made["type"], "kubernetes.io/dockerconfigjson");
    let config: Value = serde_json::from_str(&decoded(&made, ".dockerconfigjson")).unwrap();
    assert_eq!(config["auths"]["registry.plant.example"]["password"], "hunter1");
    let made = live.get(&secret(), &storage).unwrap();
    assert_eq!((&made["type"], &made["immutable"]), (&json!("Opaque"), &json!(true)));
    assert_eq!(decoded(&made, "RCLONE_CONFIG_S3_SECRET_ACCESS_KEY"), "hunter2");
    assert_eq!(decoded(&made, "RCLONE_CONFIG_S3_TYPE"), "s3");
    let uid = live.sdep("iris").unwrap()["metadata"]["uid"].clone();
    for name in names(&live) {
        let metadata = live.get(&secret(), &name).unwrap()["metadata"].clone();
        assert_eq!(metadata["labels"]["seldon-model/model"], "iris");
        let owners = metadata["ownerReferences"].as_array().unwrap();
        assert_eq!(owners.len(), 1);
        assert_eq!(
            (&owners[0]["kind"], &owners[0]["uid"]),
            (&json!("SeldonDeployment"), &uid)
        );
    }
    // A quiet hook finds them unchanged.
    let before = versions(&live);
    let (run, requests) = live.audited("update-status");
    assert_eq!(
        requests,
        [
            "list seldondeployments",
            "get statefulsets",
            "get gateways",
            "list virtualservices",
            "list deployments",
            "list secrets"
        ]
    );
    assert_eq!(run.calls.len(), 9, "and reads none of Juju's");
    assert_eq!(versions(&live), before);
}

#[test]
fn storage_secret_rolls_pods_pull_secret_does_not() {
    let (mut live, registry, store) = served("rolled");
    run_pending_hooks(&mut live);
    let (pull, old, new) = (
        format!("iris-image-pull-{registry}"),
        format!("iris-storage-{store}-1"),
        format!("iris-storage-{store}-2"),
    );
    let before = live.sdep("iris").unwrap()["metadata"]["generation"].clone();
    live.world
        .update_secret("registry", &[REGISTRY[0], REGISTRY[1], ("password", "hunter3")])
        .unwrap();
    let (hooks, says) = run_pending_hooks(&mut live);
    assert_eq!(hooks, ["secret-changed"]);
    assert_contains(&says, &["active: iris serves"]);
    assert_eq!(live.sdep("iris").unwrap()["metadata"]["generation"], before, "it rolls");
    assert_eq!(names(&live), [pull.clone(), old.clone()]);
    assert_contains(
        &decoded(&live.get(&secret(), &pull).unwrap(), ".dockerconfigjson"),
        &["hunter3"],
    );

    live.world
        .update_secret("store", &[STORE[0], ("secret-access-key", "hunter4")])
        .unwrap();
    let (hooks, says) = run_pending_hooks(&mut live);
    assert_eq!(hooks, ["secret-changed"]);
    assert_contains(&says, &["waiting: iris: rolling out "]);
    assert_eq!(predictor(&live, 0)["graph"]["envSecretRefName"], json!(new));
    assert_eq!(
        names(&live),
        [pull.clone(), old, new.clone()],
        "pods of before may start again"
    );
    live.seldon_serves("iris");
    assert_contains(&live.says(), &["active: iris serves"]);
    assert_eq!(names(&live), [pull, new], "which they no longer do");
    let before = versions(&live);
    live.hook("update-status");
    assert_eq!(versions(&live), before);
}

#[test]
fn unreadable_secret_freezes_only_its_model() {
    let mut live = Live::new("withheld");
    let uri = live.secret("registry", &REGISTRY);
    let models = format!("{{a: {{image-pull-secret: '{uri}'}}, b: {{}}}}");
    live.config(&[("image", "iris:1"), ("models", &models)]);
    assert_contains(&live.serves(), &["active: 2 models serve"]);
    let of_a = (live.sdep("a"), live.route("a"), names(&live));
    live.world.remove_secret("registry").unwrap();
    let models = format!("{{a: {{image: 'iris:2', image-pull-secret: '{uri}'}}, b: {{image: 'iris:2'}}}}");
    live.config(&[("models", &models)]);
    // Juju sends no event for a removal; a new pod notices it at the latest.
    assert_contains(
        &status(&live.hook("upgrade-charm")),
        &["blocked: 0 of 2 serve; models: a: image-pull-secret: does not exist. Run: juju run iris/leader diagnose ("],
    );
    assert_eq!(
        (live.sdep("a"), live.route("a"), names(&live)),
        of_a,
        "what served goes on"
    );
    live.seldon_serves("b");
    assert_contains(&live.says(), &["blocked: 1 of 2 serve; models: a: "]);
    // Added again and not granted yet.
    let uri = live.world.add_secret("registry", &REGISTRY).unwrap();
    let models = format!("{{a: {{image: 'iris:2', image-pull-secret: '{uri}'}}, b: {{image: 'iris:2'}}}}");
    live.config(&[("models", &models)]);
    assert_contains(
        &live.says(),
        &[&format!("is not granted. Run: juju grant-secret {uri} iris")],
    );
    live.world.grant_secret("registry", "iris").unwrap();
    assert_contains(&live.serves(), &["active: 2 models serve"]);
}

#[test]
fn unset_secrets_are_deleted_and_no_longer_listed() {
    let (mut live, ..) = served("unset");
    live.config(&[("image-pull-secret", ""), ("storage-secret", "kubernetes:mine")]);
    assert_contains(&live.says(), &["waiting: iris: rolling out "]);
    assert_eq!(names(&live).len(), 2);
    assert_eq!(predictor(&live, 0)["graph"]["envSecretRefName"], "mine");
    assert_eq!(pull_secret(&predictor(&live, 0)), &Value::Null);
    live.seldon_serves("iris");
    assert_contains(&live.says(), &["active: iris serves"]);
    assert_eq!(names(&live), Vec::<String>::new());
    live.hook("update-status");
    let before = versions(&live);
    let (run, requests) = live.audited("update-status");
    assert_eq!((requests.len(), run.calls.len()), (5, 9), "{requests:?}");
    assert_eq!(versions(&live), before);
    assert_contains(&status(&run), &["active"]);
}

#[test]
fn removed_model_deletes_its_secrets() {
    let mut live = Live::new("delisted");
    let uri = live.secret("registry", &REGISTRY);
    let with = format!("{{image-pull-secret: '{uri}'}}");
    live.config(&[("image", "iris:1"), ("models", &format!("{{a: {with}, b: {{}}}}"))]);
    live.serves();
    assert_eq!(names(&live).len(), 1);
    live.config(&[("models", "{b: {}}")]);
    let run = live.hook("config-changed");
    let deleted: Vec<&str> = run.logged("INFO").filter(|line| line.starts_with("deleted")).collect();
    let kinds: Vec<&str> = deleted.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(kinds, ["VirtualService", "SeldonDeployment", "Secret"]);
    assert_eq!(names(&live), Vec::<String>::new());
}

#[test]
fn canary_has_its_own_credentials_until_promoted() {
    let (mut live, _, first) = served("own");
    let other = live.secret("other", &[("access-key-id", "edge"), ("secret-access-key", "hunter5")]);
    let second = id(&other);
    let canary = format!("{{model-uri: 's3://models/iris-2', storage-secret: '{other}', weight: 10}}");
    live.config(&[("canary", &canary)]);
    live.hook("config-changed");
    live.seldon_serves("iris");
    assert_contains(&live.says(), &["active"]);
    let referred = |live: &Live, at| predictor(live, at)["graph"]["envSecretRefName"].clone();
    assert_eq!(referred(&live, 0), json!(format!("iris-storage-{first}-1")));
    assert_eq!(referred(&live, 1), json!(format!("iris-storage-{second}-1")));
    assert_eq!(pull_secret(&predictor(&live, 0)), pull_secret(&predictor(&live, 1)));
    // Promoted, and deleted once it serves.
    live.config(&[
        ("canary", ""),
        ("model-uri", "s3://models/iris-2"),
        ("storage-secret", &other),
    ]);
    live.hook("config-changed");
    assert_eq!(names(&live).len(), 3, "the one of before may start again");
    live.seldon_serves("iris");
    assert_contains(&live.says(), &["active"]);
    assert_eq!(referred(&live, 0), json!(format!("iris-storage-{second}-1")));
    live.seldon_serves("iris");
    live.hook("update-status");
    assert_eq!(names(&live).len(), 2, "{:?}", names(&live));
}

#[test]
fn killed_before_any_write_it_converges() {
    let mut kills = 0;
    loop {
        let (mut live, registry, store) = served(&format!("felled-{kills}"));
        let proxy = Proxy::in_front_of(&mut live, 2000..2100);
        let one = RequestFilter {
            after: kills,
            times: 1,
            ..WRITES
        };
        proxy.inject(one, ApiFault::Kill);
        live.world
            .update_secret("store", &[STORE[0], ("secret-access-key", "hunter3")])
            .unwrap();
        live.world
            .update_secret("registry", &[REGISTRY[0], REGISTRY[1], ("password", "hunter4")])
            .unwrap();
        let mut whole = live.run("secret-changed").exit == 0;
        if !whole {
            // Juju retries a failed hook.
            live.hook("secret-changed");
        }
        live.hook("update-status");
        live.seldon_serves("iris");
        whole &= live.run("update-status").exit == 0;
        proxy.clear();
        live.hook("update-status");
        assert_contains(&live.says(), &["active"]);
        let (pull, storage) = (format!("iris-image-pull-{registry}"), format!("iris-storage-{store}-2"));
        assert_eq!(
            names(&live),
            [pull.clone(), storage.clone()],
            "killed before write {kills}"
        );
        assert_eq!(predictor(&live, 0)["graph"]["envSecretRefName"], json!(storage));
        assert_contains(
            &decoded(&live.get(&secret(), &pull).unwrap(), ".dockerconfigjson"),
            &["hunter4"],
        );
        if whole {
            break;
        }
        kills += 1;
    }
    // Two Secrets and the model are written, one Secret is deleted, and both hooks write a Kubernetes event.
    assert_eq!(kills, 6);
}

#[test]
fn foreign_secret_is_left_alone() {
    let mut live = Live::new("theirs");
    let uri = live.secret("registry", &REGISTRY);
    let name = format!("iris-image-pull-{}", id(&uri));
    live.create(&secret(), &name, &json!({"stringData": {"theirs": "x"}}));
    let before = live.get(&secret(), &name);
    live.config(&[("image-pull-secret", &uri)]);
    assert_contains(
        &live.says(),
        &[
            "blocked: iris: name taken by another Secret. Run: juju run iris/leader diagnose (",
            &format!("Secret {name} is not of this application"),
        ],
    );
    assert_eq!(live.get(&secret(), &name), before);
    assert!(live.sdep("iris").is_none());
    live.delete(&secret(), &name);
    assert_contains(&live.serves(), &["active"]);
}

#[test]
fn manually_changed_secret_is_restored() {
    let (mut live, registry, store) = served("meddled");
    let pull = format!("iris-image-pull-{registry}");
    let empty = json!({"data": {".dockerconfigjson": "e30="}});
    live.merge_as("kubectl-edit", &secret(), &pull, &empty);
    let run = live.hook("update-status");
    assert_contains(&log(&run), &["reverts changes by kubectl-edit"]);
    assert_contains(
        &decoded(&live.get(&secret(), &pull).unwrap(), ".dockerconfigjson"),
        &["hunter1"],
    );
    // A field set by a program is reported and left alone.
    live.merge_as("sync", &secret(), &pull, &empty);
    assert_contains(
        &live.says(),
        &[
            "blocked: iris: it is managed by sync. Run: ",
            &format!("Secret {pull}: data"),
        ],
    );
    live.delete(&secret(), &pull);
    live.hook("config-changed");
    // Pods may have started with the deleted one, so the next one has another name.
    live.delete(&secret(), &format!("iris-storage-{store}-1"));
    live.hook("update-status");
    assert_eq!(names(&live), [pull, format!("iris-storage-{store}-2")]);
    live.seldon_serves("iris");
    assert_contains(&live.says(), &["active"]);
}

#[test]
fn secret_content_appears_in_no_other_output() {
    let (mut live, ..) = served("discreet");
    let mut outputs = Vec::new();
    let mut collect = |run: &juju_sim::agent::HookRun| {
        let arguments: Vec<String> = run.calls.iter().map(|call| format!("{call:?}")).collect();
        let calls = arguments.iter().filter(|call| !call.contains("secret-get"));
        let calls: Vec<&String> = calls.collect();
        outputs.extend([
            status(run),
            run.stdout.clone(),
            run.stderr.clone(),
            log(run),
            format!("{calls:?}"),
        ]);
    };
    for content in [
        vec![STORE[0], ("secret-access-key", "hunter6")],
        vec![("secret-access-key", "hunter7")],
        vec![("password", "hunter8")],
    ] {
        live.world.update_secret("store", &content).unwrap();
        collect(&live.hook("secret-changed"));
    }
    live.world
        .update_secret(
            "registry",
            &[
                ("registry", "hunter 9"),
                ("username", "hunter9"),
                ("password", "hunter9"),
            ],
        )
        .unwrap();
    collect(&live.hook("secret-changed"));
    collect(&live.hook(juju_sim::agent::Hook::action(
        "list-models",
        std::collections::BTreeMap::new(),
    )));
    for object in [live.sdep("iris"), live.route("iris")] {
        outputs.push(object.unwrap().to_string());
    }
    let outputs = outputs.join("\n");
    assert!(!outputs.contains("hunter"), "{outputs}");
    // Nor encoded.
    assert!(!outputs.contains("aHVudGVy"), "{outputs}");
}
