//! The container images of a full site, made here from packages at pinned versions, and kept in the cache.
//!
//! Their registry, `site.local`, is nowhere: what is not made here cannot be pulled either.

mod archive;
mod layer;
mod parts;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::assets::{self, PodPrograms};
use archive::Image;
use layer::{Layer, Layers};

/// What holds a pod's namespaces.
pub const PAUSE: &str = "site.local/pause:1.34.4";
/// Seldon's Python wrapper around a logistic regression on scikit-learn's Iris data set: three probabilities.
pub const IRIS_1: &str = "site.local/iris:1";
/// The same with another classifier, whose answers are seen to be another's.
pub const IRIS_2: &str = "site.local/iris:2";
/// The first of them behind MLServer, which speaks protocol v2.
pub const MLSERVER_IRIS: &str = "site.local/mlserver-iris:1";
/// The first of them behind a small server that speaks the protocol of TensorFlow Serving.
pub const TENSORFLOW_IRIS: &str = "site.local/tensorflow-iris:1";
/// Nodes of a graph that are no models, behind Seldon's wrapper: the variable `STEP` says which, `Scale` (a transformer, from
/// millimetres to centimetres), `Average` (a combiner) or `Way` (a router, by the length of a flower's petals).
pub const STEPS: &str = "site.local/steps:1";
/// Explains the Iris models' answers to protocol seldon, with alibi's `AnchorTabular`.
pub const EXPLAINER: &str = "site.local/explainer:1";
const OPERATOR: &str = "site.local/seldon-core-operator:1.16.0";
const STORAGE_INITIALIZER: &str = "site.local/rclone-storage-initializer:1";
const ISTIOD: &str = "site.local/istiod:1.22-dev";
const PROXY: &str = "site.local/istio-proxyv2:1.22-dev";

/// The images that the site itself needs by name, and the archive that has them all.
#[derive(Clone, Debug)]
pub struct Images {
    /// For `ctr images import`.
    pub archive: PathBuf,
    /// The image under every pod.
    pub pause: &'static str,
    /// Seldon Core's controller.
    pub operator: &'static str,
    /// What stands before a model in its pod.
    pub executor: &'static str,
    /// What copies a model's files into its pod.
    pub storage_initializer: &'static str,
    /// What explains a model's answers, where a `SeldonDeployment` names no image for it.
    pub explainer: &'static str,
    /// Istio's control plane.
    pub istiod: &'static str,
    /// Istio's agent with Envoy.
    pub proxy: &'static str,
}

/// Makes what the cache does not have.
///
/// # Errors
/// When a package cannot be had, or what is made of it cannot be written.
pub fn all(programs: &PodPrograms, progress: &dyn Fn(&str)) -> Result<Images> {
    let folder = assets::cache()?.join("images");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let _lock = assets::lock(&folder, "the images", progress)?;
    let layers = Layers {
        folder: &folder,
        progress,
    };

    let base = parts::base(&layers)?;
    let builder = parts::builder(&layers)?;
    let envoy = parts::envoy(&layers, &builder)?;
    let (executor, executor_layers) = parts::executor(&layers, &base)?;

    let mut images = vec![
        single(PAUSE, parts::pause(&layers)?, "/pause"),
        Image {
            layers: executor_layers,
            ..single(executor, base.clone(), "/executor")
        },
        single(
            OPERATOR,
            parts::program(&layers, "manager", &programs.operator)?,
            "/manager",
        ),
        single(
            ISTIOD,
            parts::program(&layers, "pilot-discovery", &programs.istiod)?,
            "/pilot-discovery",
        ),
        Image {
            reference: PROXY,
            layers: vec![base.clone(), envoy, parts::pilot_agent(&layers, &programs.pilot_agent)?],
            command: words(&["/usr/local/bin/pilot-agent"]),
            environment: Vec::new(),
        },
        Image {
            reference: STORAGE_INITIALIZER,
            layers: vec![base.clone(), parts::initializer(&layers)?],
            command: words(&["/initialize-model"]),
            environment: Vec::new(),
        },
    ];
    images.extend(of_models(&layers, &base, &builder)?);
    Ok(Images {
        archive: archive::write(&folder, &images, progress)?,
        pause: PAUSE,
        operator: OPERATOR,
        executor,
        storage_initializer: STORAGE_INITIALIZER,
        explainer: EXPLAINER,
        istiod: ISTIOD,
        proxy: PROXY,
    })
}

/// The images that a model may be made of.
fn of_models(layers: &Layers<'_>, base: &Layer, builder: &Layer) -> Result<Vec<Image>> {
    let seldon = parts::python(layers, builder, &parts::SELDON)?;
    let mlserver = parts::python(layers, builder, &parts::MLSERVER)?;
    let model = parts::model(layers, builder, &parts::SELDON, &seldon)?;
    let model_of_mlserver = parts::model(layers, builder, &parts::MLSERVER, &mlserver)?;
    let tensorflow = parts::python(layers, builder, &parts::TENSORFLOW)?;

    let iris = |reference, version: &str| Image {
        reference,
        layers: vec![base.clone(), seldon.clone(), model.clone()],
        command: words(&[
            "python3",
            "/opt/seldon/bin/seldon-core-microservice",
            "IrisClassifier",
            "--service-type=MODEL",
            // One process, and threads enough for a load test: a model of these weighs next to nothing.
            "--workers=1",
            "--threads=8",
            "--grpc-workers=1",
        ]),
        environment: vec![
            "PYTHONPATH=/opt/seldon:/model".to_owned(),
            format!("MODEL_VERSION={version}"),
        ],
    };
    Ok(vec![
        iris(IRIS_1, "1"),
        iris(IRIS_2, "2"),
        Image {
            command: words(&[
                "/bin/sh",
                "-c",
                "exec python3 /opt/seldon/bin/seldon-core-microservice steps.$STEP --workers=1 --threads=8 --grpc-workers=1",
            ]),
            ..python(
                STEPS,
                &[base, &seldon, &parts::steps(layers)?],
                &[],
                &["PYTHONPATH=/opt/seldon:/steps"],
            )
        },
        python(
            EXPLAINER,
            &[base, &seldon, &parts::explainer(layers, builder)?],
            &["/explainer/explainer.py"],
            &["PYTHONPATH=/opt/seldon:/opt/alibi"],
        ),
        python(
            MLSERVER_IRIS,
            &[base, &mlserver, &model_of_mlserver],
            &["/opt/mlserver/bin/mlserver", "start", "/tmp"],
            &[
                "PYTHONPATH=/opt/mlserver",
                "MLSERVER_MODEL_IMPLEMENTATION=mlserver_sklearn.SKLearnModel",
                "MLSERVER_MODEL_URI=/model/1.joblib",
                "MLSERVER_PARALLEL_WORKERS=0",
            ],
        ),
        python(
            TENSORFLOW_IRIS,
            &[base, &seldon, &model, &tensorflow, &parts::tensorflow_server(layers)?],
            &["/opt/serve_tensorflow.py"],
            &["PYTHONPATH=/opt/tensorflow:/opt/seldon"],
        ),
    ])
}

/// An image that runs Python.
fn python(reference: &'static str, layers: &[&Layer], command: &[&str], environment: &[&str]) -> Image {
    Image {
        reference,
        layers: layers.iter().map(|layer| (*layer).clone()).collect(),
        command: words(&[&["python3"], command].concat()),
        environment: words(environment),
    }
}

/// An image of one program.
fn single(reference: &'static str, layer: Layer, program: &str) -> Image {
    Image {
        reference,
        layers: vec![layer],
        command: words(&[program]),
        environment: Vec::new(),
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The text of a path, for a command.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
