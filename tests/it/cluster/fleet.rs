//! `examples/fleet/`: releases in waves, on five small sites with an API server each. They run no pods, so the test does for each what
//! Seldon's operator and Kubernetes would; `juju` is the site's own command line.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use kube_box::apiserver::ApiServer;
use kube_box::assets;
use serde_json::{Value, json};

use super::fixture::Live;
use crate::support::assert_contains;
use crate::support::kinds::{deployment, pod};

const SITES: [&str; 5] = ["plant-1", "plant-2", "plant-3", "plant-4", "plant-5"];
const OLD: &str = "registry.example/iris:1";
const NEW: &str = "registry.example/iris:2";
const BUNDLE: &str = "
bundle: kubernetes
applications:
  istio-pilot: {charm: istio-pilot, channel: 1.28/stable, scale: 1, trust: true}
  iris: {charm: ./seldon-model_amd64.charm, scale: 1, trust: true, options: {image: 'registry.example/iris:1'}}
relations:
- [iris:gateway-info, istio-pilot:gateway-info]
";

struct Fleet {
    home: PathBuf,
    sites: Vec<Live>,
    /// The site whose registry lacks the new image.
    lacking: Option<usize>,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for server in SITES.map(|site| self.server(site)).into_iter().flatten() {
            let _ = server.stop();
        }
        let _ = fs::remove_dir_all(&self.home);
    }
}

impl Fleet {
    fn new() -> Self {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fleet-{}", std::process::id()));
        fs::create_dir_all(home.join("bin")).unwrap();
        fs::write(home.join("bundle.yaml"), BUNDLE).unwrap();
        fs::write(
            home.join("sites.txt"),
            "# All plants.\n\n".to_owned() + &SITES.map(|site| format!("{site}:edge\n")).concat(),
        )
        .unwrap();
        // `juju VERB -m plant-1:edge …` is a command of the site plant-1.
        let juju = format!(
            "#!/bin/sh\nverb=$1 site=${{3%%:*}}\nshift 3\nexec '{}' --quiet --dir '{}'/$site --dispatch '{}' \"$verb\" \"$@\"\n",
            site::programs::site_binary().unwrap().display(),
            home.display(),
            env!("CARGO_BIN_EXE_dispatch"),
        );
        let program = home.join("bin/juju");
        fs::write(&program, juju).unwrap();
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut fleet = Self {
            home,
            sites: Vec::new(),
            lacking: None,
        };
        fleet.on_all(&["up"]);
        for site in SITES {
            let server = fleet.server(site).unwrap();
            fleet.sites.push(Live::unregistered(&server, "edge"));
        }
        fleet.on_all(&["deploy", "./bundle.yaml", "--trust"]);
        for index in 0..SITES.len() {
            fleet.serve(index);
        }
        fleet
    }

    /// The API server of a site, while it runs.
    fn server(&self, site: &str) -> Option<ApiServer> {
        ApiServer::attach(&self.home.join(site).join("kubernetes")).unwrap()
    }

    fn command(&self, program: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .current_dir(&self.home)
            .env("PATH", format!("{}:{path}", self.home.join("bin").display()))
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command of Juju on every site at once.
    fn on_all(&self, words: &[&str]) {
        let start = |site: &str| {
            let [verb, words @ ..] = words else {
                panic!("no verb");
            };
            let mut juju = self.command("juju");
            juju.arg(verb).args(["-m", &format!("{site}:edge")]).args(words);
            juju.stderr(Stdio::piped()).spawn().unwrap()
        };
        let running: Vec<Child> = SITES.into_iter().map(start).collect();
        for child in running {
            let ended = child.wait_with_output().unwrap();
            assert!(
                ended.status.success(),
                "{words:?}: {}",
                String::from_utf8_lossy(&ended.stderr)
            );
        }
    }

    fn image(&self, index: usize) -> String {
        let option = ["config", "-m", &format!("{}:edge", SITES[index]), "iris", "image"];
        let output = self.command("juju").args(option).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Does what Seldon and Kubernetes would with the SeldonDeployment of a site, if there is anything to do.
    fn serve(&self, index: usize) {
        let live = &self.sites[index];
        let Some(sdep) = live.sdep("iris") else {
            return;
        };
        let predictor = &sdep["spec"]["predictors"][0];
        let hash = |object: &Value| object["annotations"]["seldon-model/spec-hash"].clone();
        let served = live.get(&deployment(), "iris-default-0-iris");
        if served.is_some_and(|served| hash(&served["metadata"]) == hash(predictor)) {
            return;
        }
        let image = predictor.pointer("/componentSpecs/0/spec/containers/0/image");
        if self.lacking != Some(index) || image != Some(&json!(NEW)) {
            return live.seldon_serves("iris");
        }
        if live.get(&pod(), "iris-new").is_some() {
            return;
        }
        let mut labels = predictor["labels"].clone();
        let own = sdep["metadata"]["labels"].as_object().unwrap().clone();
        labels.as_object_mut().unwrap().extend(own);
        let metadata = json!({"labels": labels, "annotations": predictor["annotations"]});
        let containers = json!([{"name": "iris", "image": NEW}]);
        live.create(
            &pod(),
            "iris-new",
            &json!({"metadata": metadata, "spec": {"containers": containers}}),
        );
        let waiting = json!({"reason": "ErrImagePull", "message": format!("{NEW}: not found")});
        let container = json!({"name": "iris", "image": NEW, "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": waiting}});
        live.merge_status(&pod(), "iris-new", &json!({"containerStatuses": [container]}));
    }

    /// Runs a script of the page while the clusters work. Returns whether it succeeded, and what it printed.
    fn run(&self, script: &str, arguments: &[&str]) -> (bool, String) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("examples/fleet")
            .join(script);
        let mut command = self.command(script.to_str().unwrap());
        command
            .args(arguments)
            .envs([("WAVES", "1 2"), ("SOAK", "1"), ("TIMEOUT", "120"), ("PAUSE", "0.1")]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        while child.try_wait().unwrap().is_none() {
            for index in 0..SITES.len() {
                self.serve(index);
            }
            thread::sleep(Duration::from_millis(50));
        }
        let ended = child.wait_with_output().unwrap();
        (ended.status.success(), String::from_utf8(ended.stdout).unwrap())
    }
}

#[test]
fn wave_stops_at_a_bad_site_and_leaves_the_others_untouched() {
    if assets::on_path("jq").is_none() {
        assets::install(&["jq"], &|line| eprintln!("{line}")).unwrap();
    }
    let mut fleet = Fleet::new();
    fleet.lacking = Some(2);
    let before: Vec<_> = fleet.sites.iter().map(Live::versions).collect();
    let release = ["sites.txt", "image=registry.example/iris:2"];
    let (succeeded, printed) = fleet.run("roll-out.sh", &release);
    assert!(!succeeded, "{printed}");
    assert_contains(
        &printed,
        &[
            "== 1 of 5 sites\nplant-1:edge iris: iris serves registry.example/iris:2 at /model/iris/\n== 2 of 5 sites\n",
            "plant-2:edge iris: iris serves registry.example/iris:2",
            "STOPPED: plant-3:edge iris is blocked: iris: image cannot be pulled. Run: juju config iris image=… (",
            "; the previous version keeps serving\nchanged:\n    plant-1:edge iris\n    plant-2:edge iris\n    plant-3:edge iris\nnot changed:\n",
            "not changed:\n    plant-4:edge iris\n    plant-5:edge iris\n",
        ],
    );
    assert!(!printed.contains("== 3"), "{printed}");
    for index in 3..SITES.len() {
        assert_eq!(fleet.image(index), OLD);
        assert_eq!(fleet.sites[index].versions(), before[index], "{}", SITES[index]);
    }

    // The same from the failed site on.
    let (succeeded, printed) = fleet.run("roll-out.sh", &release);
    assert!(!succeeded, "{printed}");
    assert_contains(
        &printed,
        &["STOPPED: plant-3:edge iris is not active, and was not changed: blocked: "],
    );

    // The image has come to the registry of the site.
    fleet.lacking = None;
    fleet.sites[2].delete(&pod(), "iris-new");
    fleet.serve(2);
    let (succeeded, printed) = fleet.run("roll-out.sh", &release);
    assert!(succeeded, "{printed}");
    assert_contains(&printed, &["All 5 sites serve: image=registry.example/iris:2"]);
    let (succeeded, printed) = fleet.run("report.sh", &["sites.txt"]);
    assert!(succeeded, "{printed}");
    for (line, site) in printed.lines().zip(SITES) {
        assert!(line.starts_with(&format!("{site}:edge\tiris\tactive\t")), "{printed}");
    }
    assert_eq!(printed.lines().count(), SITES.len());
}
