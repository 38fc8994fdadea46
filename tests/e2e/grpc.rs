//! gRPC calls, which have no path of the model, and the page that tries a model out in a browser.
//!
//! The clients are those of `examples/clients`. Each runs in the file system of a model's container, which has the packages it needs,
//! but from this machine and through its one port, as any client.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use kube_box::images::{IRIS_2, MLSERVER_IRIS, TENSORFLOW_IRIS};
use serde_json::json;

use crate::fixture::{FLOWER, Model, SERVES, full};
use crate::ingress::behind_ingress;
use crate::load::{Answer, get, send, send_as};
use crate::support::assert_contains;
use crate::support::kinds::pod;

/// A client of `examples/clients`, with the folder of the packages it needs in the image of a model of its protocol.
struct Client {
    script: &'static str,
    packages: &'static str,
}

const SELDON: Client = Client {
    script: "predict_seldon.py",
    packages: "/opt/seldon",
};
const V2: Client = Client {
    script: "predict_v2.py",
    packages: "/opt/mlserver",
};
const TENSORFLOW: Client = Client {
    script: "predict_tensorflow.py",
    packages: "/opt/tensorflow:/opt/seldon",
};

impl Client {
    /// Its output for a model, or its error.
    fn says(&self, model: &Model, arguments: &[&str]) -> Result<String, String> {
        let script = format!("{}/examples/clients/{}", env!("CARGO_MANIFEST_DIR"), self.script);
        let mut client = Command::new("chroot")
            .arg(root(model))
            .args(["/usr/bin/env", &format!("PYTHONPATH={}", self.packages), "python3", "-"])
            .arg(full().gateway().to_string())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        client
            .stdin
            .take()
            .unwrap()
            .write_all(&fs::read(script).unwrap())
            .unwrap();
        let output = client.wait_with_output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

/// The file system of the container of a model, by one of its processes.
fn root(model: &Model) -> PathBuf {
    let pods = model.objects(&pod());
    let containers = pods
        .iter()
        .flat_map(|pod| pod["status"]["containerStatuses"].as_array().unwrap());
    let container = containers
        .filter(|container| container["name"] == "iris")
        .find_map(|container| container["containerID"].as_str()?.strip_prefix("containerd://"))
        .unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let of_it = |process: &PathBuf| {
        let groups = fs::read_to_string(process.join("cgroup")).unwrap_or_default();
        groups.contains(container)
    };
    processes.into_iter().find(of_it).unwrap().join("root")
}

#[track_caller]
fn nobody_takes(said: Result<String, String>) {
    let why = said.unwrap_err();
    assert!(why.contains("StatusCode.UNIMPLEMENTED"), "{why}");
}

pub fn seldon_client_is_routed_by_headers_or_host() {
    seldon_client_is_routed(Model::new("calls"));
}

pub fn seldon_client_is_routed_behind_istio_ingress_k8s() {
    let mut model = Model::new("calls-http");
    behind_ingress(&mut model);
    seldon_client_is_routed(model);
}

fn seldon_client_is_routed(mut model: Model) {
    let name = model.model();
    let host = format!("{name}.plant.example");
    let host_with_port = format!("{host}:8080");
    model.configure(&[
        ("grpc-host", &host),
        (
            "canary",
            &format!("{{image: '{IRIS_2}', weight: 50, match: {{x-canary: 'yes'}}}}"),
        ),
    ]);
    model.until_says(SERVES, &["active: "]);
    let by_headers = ["--model", "iris", "--namespace", &name];
    let by_host = ["--host", &host];
    let by_host_with_port = ["--host", &host_with_port];
    for by in [&by_headers[..], &by_host, &by_host_with_port] {
        let said = SELDON.says(&model, &[by, &["--times", "40"]].concat()).unwrap();
        assert!(said.lines().all(|line| line.contains("'shape': [1, 3]")), "{said}");
        let of_2 = said.lines().filter(|line| line.starts_with("2 ")).count();
        // Of forty; outside of this range once in ten thousand times.
        assert!((7..=33).contains(&of_2), "{of_2} of 40: {said}");
    }
    for other in [
        &["--model", "iris", "--namespace", "elsewhere"][..],
        &["--model", "wine", "--namespace", &name],
        &["--host", "iris.plant.example"],
        &["--host", "calls2plant.example"],
    ] {
        nobody_takes(SELDON.says(&model, other));
    }

    let page = get(&model.url(&format!("/model/{name}/api/v1.0/doc/")));
    assert_eq!(page.status, 200, "{page:?}");
    assert_contains(&page.body, &["seldon.json"]);
    let document = get(&model.url(&format!("/model/{name}/api/v1.0/doc/seldon.json"))).json();
    assert_eq!(
        document.get("servers"),
        None,
        "requests go to the host that the page is from"
    );
    let paths = document["paths"].as_object().unwrap();
    let path = paths.keys().find(|path| path.ends_with("/predictions")).unwrap();
    assert_eq!(path, &format!("/seldon/{name}/iris/api/v1.0/predictions"));
    let answer = send(&model.url(path), FLOWER);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        send(
            &model.url(&format!("/seldon/{name}/other/api/v1.0/predictions")),
            FLOWER
        )
        .status,
        404
    );
}

pub fn v2_client_is_routed_by_headers_or_host() {
    let mut model = Model::new("calls-v2");
    model.configure(&[
        ("image", MLSERVER_IRIS),
        ("protocol", "v2"),
        ("grpc-host", "calls-v2.plant.example"),
    ]);
    model.until_says(SERVES, &["active: "]);
    for by in [["--namespace", "calls-v2"], ["--host", "calls-v2.plant.example"]] {
        let said = V2.says(&model, &[&["--model", "iris"], &by[..]].concat()).unwrap();
        assert_contains(&said, &["iris predict [0]"]);
    }
    nobody_takes(V2.says(&model, &["--model", "iris", "--namespace", "elsewhere"]));

    let page = model.url("/model/calls-v2/v2/docs/");
    let document = get(&format!("{page}dataplane.yaml"));
    assert_contains(&document.body, &["/v2/models/{model_name}/infer"]);
    let request = json!({"inputs": [
        {"name": "flower", "shape": [1, 4], "datatype": "FP64", "data": [[5.1, 3.5, 1.4, 0.2]]},
    ]});
    let tried = |from: &str| -> Answer {
        send_as(
            &model.url("/v2/models/iris/infer"),
            &request.to_string(),
            &[("referer", from)],
        )
    };
    assert_eq!(tried(&page).status, 200);
    assert_eq!(tried(&model.url("/model/other/v2/docs/")).status, 404);
}

pub fn tensorflow_client_is_routed_by_headers_or_host() {
    let mut model = Model::new("calls-tf");
    model.configure(&[
        ("image", TENSORFLOW_IRIS),
        ("protocol", "tensorflow"),
        ("grpc-host", "calls-tf.plant.example"),
    ]);
    model.until_says(SERVES, &["active: "]);
    for by in [["--namespace", "calls-tf"], ["--host", "calls-tf.plant.example"]] {
        let said = TENSORFLOW
            .says(&model, &[&["--model", "iris"], &by[..]].concat())
            .unwrap();
        assert_contains(&said, &["iris probabilities [0.98"]);
    }
    nobody_takes(TENSORFLOW.says(&model, &["--model", "iris", "--namespace", "elsewhere"]));
    let request = json!({"instances": [[5.1, 3.5, 1.4, 0.2]]});
    let answer = send(
        &model.url("/model/calls-tf/v1/models/iris:predict"),
        &request.to_string(),
    );
    assert_eq!(answer.status, 200, "{answer:?}");
}
