//! The embedded API server, held to what a site's would do. The first run builds the programs, which takes minutes.

// Clippy takes only the tests themselves for tests, not what they share.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::env;
use std::fs::{self, File};
use std::future::Future;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::{Duration, Instant};

use http::Request;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Api, Client, Config, Error};
use kube_box::apiserver::{ApiServer, install_crds};
use kube_box::assets::{self, Assets};
use serde_json::{Value, json};

/// The one server of this file. It is never dropped, and ends with the test process all the same.
struct Shared {
    server: ApiServer,
    _alone: File,
}

fn shared() -> &'static RwLock<Shared> {
    static SHARED: OnceLock<RwLock<Shared>> = OnceLock::new();
    SHARED.get_or_init(|| {
        // What is never dropped never tidies up: a folder that the next run takes over, one run at a time.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("apiserver");
        let alone = File::create(folder.with_extension("lock")).unwrap();
        alone.lock().unwrap();
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        let server = wait(async {
            let server = ApiServer::start(&folder, &assets()).await.unwrap();
            let files = assets::crds(&progress).unwrap();
            let client = server.client().unwrap();
            let installed = install_crds(client, &files, &progress).await.unwrap();
            for kind in ["seldondeployments.", "virtualservices.", "gateways."] {
                assert!(installed.iter().any(|name| name.starts_with(kind)));
            }
            server
        });
        RwLock::new(Shared { server, _alone: alone })
    })
}

fn server() -> RwLockReadGuard<'static, Shared> {
    shared().read().unwrap_or_else(PoisonError::into_inner)
}

fn assets() -> Assets {
    assets::find(&progress).unwrap()
}

fn progress(line: &str) {
    eprintln!("{line}");
}

fn wait<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(what)
}

/// Whether a process runs: not one that has ended and only waits to be collected by the process that started it.
fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// What is killed is gone a moment later.
fn assert_gone(pids: &[u32]) {
    let start = Instant::now();
    while pids.iter().any(|pid| runs(*pid)) {
        assert!(start.elapsed() < Duration::from_secs(10), "{pids:?} stay");
        thread::sleep(Duration::from_millis(20));
    }
}

fn code(error: &Error) -> u16 {
    match error {
        Error::Api(status) => status.code,
        other => panic!("not the server's answer: {other}"),
    }
}

fn seldon_deployments(client: Client, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("machinelearning.seldon.io", "v1", "SeldonDeployment");
    Api::namespaced_with(client, namespace, &ApiResource::from_gvk(&kind))
}

/// Creates an object as a dry run with strict validation, for which kube has no parameter.
async fn create_strictly(client: &Client, object: &Value) -> Result<Value, Error> {
    let path = "/apis/machinelearning.seldon.io/v1/namespaces/default/seldondeployments";
    let request = Request::post(format!("{path}?dryRun=All&fieldValidation=Strict"))
        .header("content-type", "application/json")
        .body(serde_json::to_vec(object).unwrap())
        .unwrap();
    client.request(request).await
}

async fn client_of(kubeconfig: Kubeconfig) -> Client {
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    Client::try_from(config).unwrap()
}

async fn make_account(client: &Client, namespace: &str, name: &str) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let object = serde_json::from_value(json!({ "metadata": { "name": namespace } })).unwrap();
    namespaces.create(&PostParams::default(), &object).await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let object = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
    accounts.create(&PostParams::default(), &object).await.unwrap();
}

#[test]
fn it_is_the_kubernetes_that_was_asked_for() {
    let shared = server();
    wait(async {
        let version = shared.server.client().unwrap().apiserver_version().await.unwrap();
        if env::var_os("KUBEBUILDER_ASSETS").is_none() {
            let ours = [assets::KUBERNETES, assets::ENVTEST].map(|version| format!("v{version}"));
            assert!(ours.contains(&version.git_version), "{}", version.git_version);
        }
        assert_eq!((version.major.as_str(), version.minor.as_str()), ("1", "34"));
    });
}

#[test]
fn it_listens_on_loopback_alone_and_keeps_its_keys_private() {
    let shared = server();
    assert!(shared.server.url().starts_with("https://127.0.0.1:"));
    let kubeconfig = shared.server.admin_kubeconfig();
    assert_eq!(kubeconfig.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    for folder in ["etcd", "pki"] {
        let folder = kubeconfig.parent().unwrap().join(folder);
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[test]
fn its_certificate_is_verified() {
    let shared = server();
    wait(async {
        let kubeconfig = Kubeconfig::read_from(shared.server.admin_kubeconfig()).unwrap();
        client_of(kubeconfig.clone()).await.apiserver_version().await.unwrap();

        let mut distrusting = kubeconfig;
        let cluster = distrusting.clusters[0].cluster.as_mut().unwrap();
        cluster.certificate_authority_data = None;
        let error = client_of(distrusting).await.apiserver_version().await.unwrap_err();
        let text = format!("{:?}", anyhow::Error::from(error));
        assert!(text.contains("UnknownIssuer"), "{text}");
    });
}

#[test]
fn a_service_account_without_rights_may_not_see_seldon_deployments() {
    let shared = server();
    wait(async {
        make_account(&shared.server.client().unwrap(), "rights", "nobody").await;
        let text = shared
            .server
            .service_account_kubeconfig("rights", "nobody")
            .await
            .unwrap();
        let client = client_of(Kubeconfig::from_yaml(&text).unwrap()).await;
        assert_eq!(client.default_namespace(), "rights");
        let error = seldon_deployments(client, "rights")
            .list(&ListParams::default())
            .await
            .unwrap_err();
        assert_eq!(code(&error), 403);
        assert!(error.to_string().contains("system:serviceaccount:rights:nobody"));
    });
}

#[test]
fn there_is_no_token_for_an_account_that_does_not_exist() {
    let shared = server();
    let error = wait(shared.server.service_account_kubeconfig("default", "missing")).unwrap_err();
    assert!(format!("{error:#}").contains("default/missing"), "{error:#}");
}

#[test]
fn its_kinds_take_an_example_and_refuse_a_field_they_do_not_know() {
    let shared = server();
    wait(async {
        let client = shared.server.client().unwrap();
        let mut example = json!({
            "apiVersion": "machinelearning.seldon.io/v1",
            "kind": "SeldonDeployment",
            "metadata": { "name": "iris" },
            "spec": { "name": "iris", "predictors": [{
                "name": "default",
                "replicas": 1,
                "componentSpecs": [{ "spec": { "containers": [
                    { "name": "classifier", "image": "seldonio/sklearn-iris:0.4" },
                ] } }],
                "graph": { "name": "classifier", "type": "MODEL" },
            }] },
        });
        create_strictly(&client, &example).await.unwrap();

        example["spec"]["predictors"][0]["replica"] = json!(2);
        let error = create_strictly(&client, &example).await.unwrap_err();
        assert_eq!(code(&error), 400);
        let text = error.to_string();
        assert!(text.contains("predictors[0].replica"), "{text}");

        // Applied, the same fault is called the server's own: a 500 that no second try mends.
        let apply = PatchParams::apply("test").validation_strict();
        let error = seldon_deployments(client, "default")
            .patch("iris", &apply, &Patch::Apply(&example))
            .await
            .unwrap_err();
        assert_eq!(code(&error), 500);
        let text = error.to_string();
        assert!(text.contains("field not declared in schema"), "{text}");
    });
}

#[test]
fn kinds_that_are_there_are_left_alone() {
    let shared = server();
    let files = assets::crds(&progress).unwrap();
    let installed = wait(async {
        let client = shared.server.client().unwrap();
        install_crds(client, &files, &progress).await.unwrap()
    });
    assert!(installed.is_empty());
}

#[test]
fn objects_survive_an_outage_and_the_address_stays() {
    let mut shared = shared().write().unwrap_or_else(PoisonError::into_inner);
    wait(async {
        let client = shared.server.client().unwrap();
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
        let object = serde_json::from_value(json!({ "metadata": { "name": "kept" } })).unwrap();
        maps.create(&PostParams::default(), &object).await.unwrap();
        let (url, pids) = (shared.server.url().to_owned(), shared.server.pids());

        shared.server.stop_apiserver().unwrap();
        assert_gone(&pids[1..]);
        assert!(client.apiserver_version().await.is_err());

        shared.server.restart_apiserver().await.unwrap();
        assert_eq!(shared.server.url(), url);
        assert_eq!(shared.server.pids()[0], pids[0], "etcd went on");
        maps.get("kept").await.unwrap();
    });
}

#[test]
fn nothing_is_left_when_it_is_dropped_and_its_data_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    wait(async {
        let server = ApiServer::start(folder.path(), &assets()).await.unwrap();
        let pids = server.pids();
        assert!(pids.len() == 2 && pids.iter().all(|pid| runs(*pid)));
        let busy = ApiServer::start(folder.path(), &assets()).await.unwrap_err();
        assert!(busy.to_string().contains("another folder"), "{busy}");
        let url = server.url().to_owned();
        make_account(&server.client().unwrap(), "kept", "kept").await;
        drop(server);
        assert!(!pids.iter().any(|pid| runs(*pid)));

        let server = ApiServer::start(folder.path(), &assets()).await.unwrap();
        assert_eq!(server.url(), url);
        server.service_account_kubeconfig("kept", "kept").await.unwrap();
    });
}

/// Tells the process that is to be killed which folder to use, so that somebody is left to delete it.
const HELD: &str = "SELDON_MODEL_SITE_HELD";

#[test]
fn nothing_is_left_when_its_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut held = Command::new(env::current_exe().unwrap())
        .env(HELD, folder.path())
        .args(["--exact", "held_by_another_process", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(held.stdout.take().unwrap()).lines();
    let pids: Vec<u32> = lines
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("pids:")?.1.to_owned()))
        .unwrap()
        .split_ascii_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect();
    assert!(pids.len() == 2 && pids.iter().all(|pid| runs(*pid)));
    held.kill().unwrap();
    held.wait().unwrap();
    assert_gone(&pids);
}

#[test]
#[ignore = "not a test: what another test kills"]
fn held_by_another_process() {
    let folder = env::var_os(HELD).unwrap();
    let server = wait(ApiServer::start(Path::new(&folder), &assets())).unwrap();
    let pids: Vec<String> = server.pids().iter().map(u32::to_string).collect();
    println!("pids:{}", pids.join(" "));
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_detached_server_is_found_again_until_it_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    assert!(ApiServer::attach(folder.path()).unwrap().is_none());
    wait(async {
        let server = ApiServer::start_detached(folder.path(), &assets()).await.unwrap();
        let pids = server.pids();
        drop(server);
        let busy = ApiServer::start_detached(folder.path(), &assets()).await.unwrap_err();
        assert!(busy.to_string().contains("already"), "{busy}");

        let mut server = ApiServer::attach(folder.path()).unwrap().unwrap();
        assert_eq!(server.pids(), pids);
        server.client().unwrap().apiserver_version().await.unwrap();
        server.restart_apiserver().await.unwrap();
        let pids = server.pids();
        server.stop().unwrap();
        assert!(ApiServer::attach(folder.path()).unwrap().is_none());
        assert_gone(&pids);
    });
}

#[test]
fn a_process_that_took_over_a_number_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let mut bystander = Command::new("sleep").arg("60").spawn().unwrap();
    for name in ["etcd", "kube-apiserver"] {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let text = format!("{} 1 {boot}", bystander.id());
        fs::write(folder.path().join(format!("{name}.pid")), text).unwrap();
    }
    assert!(ApiServer::attach(folder.path()).unwrap().is_none());
    assert!(bystander.try_wait().unwrap().is_none());
    assert!(!folder.path().join("etcd.pid").exists());
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}
