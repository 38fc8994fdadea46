//! The container images of a full site, made here from packages at pinned versions, and kept in the cache.
//!
//! Their registry, `site.local`, is nowhere: what is not made here cannot be pulled either.

mod archive;
mod layer;
mod parts;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::assets::{self, PodPrograms};
use crate::build_plan::{self, Load, Part, Progress};
use archive::Image;
use layer::{Layer, Layers, Missing};

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

/// Which models there are images of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Models {
    /// [`IRIS_1`] and [`IRIS_2`], which are built in half the time.
    Iris,
    #[default]
    All,
}

impl Models {
    /// What the name of their archive begins with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Iris => "iris-images-",
            Self::All => "images-",
        }
    }
}

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

/// The names of the parts that others need.
const BASE: &str = "the base image";
const BUILDER: &str = "the image that builds others";
const ENVOY: &str = "Envoy";
const WRAPPER: &str = "Seldon Core's Python wrapper";
const MODEL: &str = "the iris model";
const MLSERVER: &str = "MLServer";
const MLSERVER_MODEL: &str = "the iris model for MLServer";
const TENSORFLOW: &str = "the TensorFlow protocol";
const ALIBI: &str = "alibi";

/// A layer that takes its time: its name, the layers it needs, and how it is made.
type Slow = (&'static str, &'static [&'static str], fn(&Layers<'_>) -> Result<Layer>);

/// Those of the models that every site has, and of the site itself.
const SLOW: [Slow; 5] = [
    (BUILDER, &[], parts::builder),
    (BASE, &[], parts::base),
    (WRAPPER, &[BUILDER], wrapper),
    (ENVOY, &[BUILDER], |layers| {
        parts::envoy(layers, &parts::builder(layers)?)
    }),
    (MODEL, &[WRAPPER], |layers| {
        parts::model(layers, &parts::builder(layers)?, &parts::SELDON, &wrapper(layers)?)
    }),
];

/// Those of the other models.
const SLOW_OF_OTHERS: [Slow; 4] = [
    (MLSERVER, &[BUILDER], mlserver),
    (MLSERVER_MODEL, &[MLSERVER], |layers| {
        let builder = parts::builder(layers)?;
        parts::model(layers, &builder, &parts::MLSERVER, &mlserver(layers)?)
    }),
    (TENSORFLOW, &[BUILDER], |layers| {
        parts::python(layers, &parts::builder(layers)?, &parts::TENSORFLOW)
    }),
    (ALIBI, &[BUILDER], |layers| {
        parts::explainer(layers, &parts::builder(layers)?)
    }),
];

/// What the archive is packed from.
const ALL: [&str; 12] = [
    BUILDER,
    BASE,
    WRAPPER,
    ENVOY,
    MODEL,
    MLSERVER,
    MLSERVER_MODEL,
    TENSORFLOW,
    ALIBI,
    assets::ISTIO_PROGRAMS,
    assets::OPERATOR,
    assets::EXECUTOR,
];

/// What is missing of the images, with the programs in them.
///
/// # Errors
/// When there is no place for a cache.
pub fn parts(models: Models, progress: Progress<'_>) -> Result<Vec<Part<'_>>> {
    if cached(models)?.is_some() {
        return Ok(Vec::new());
    }
    let folder = folder()?;
    let mut slow = SLOW.to_vec();
    if models == Models::All {
        slow.extend(SLOW_OF_OTHERS);
    }
    let looking = Layers {
        folder: &folder,
        missing: Missing::Fail,
        progress,
    };
    let mut missing: Vec<Part<'_>> = slow
        .into_iter()
        .filter(|(_, _, make)| make(&looking).is_err())
        .map(|(name, needs, make)| {
            let folder = folder.clone();
            Part::new(name, needs, Load::Network, move || {
                let layers = Layers {
                    folder: &folder,
                    missing: Missing::Make,
                    progress,
                };
                make(&layers).map(drop)
            })
        })
        .collect();
    missing.extend(assets::pod_parts(progress)?);
    missing.push(Part::new("the archive of images", &ALL, Load::Network, move || {
        collect(models, Missing::Make, progress).map(drop)
    }));
    Ok(missing)
}

/// The images, after what the cache does not have was made.
///
/// # Errors
/// When a package cannot be had, or what is made of it cannot be written.
pub fn find(models: Models, progress: Progress<'_>) -> Result<Images> {
    if let Some(images) = cached(models)? {
        return Ok(images);
    }
    build_plan::run(parts(models, progress)?, progress)?;
    collect(models, Missing::Fail, progress)
}

/// The images, where the cache has all that they are made of. An archive with more models does as well.
fn cached(models: Models) -> Result<Option<Images>> {
    folder()?;
    let cached = |models| collect(models, Missing::Fail, &|_| ()).ok();
    Ok(cached(models).or_else(|| cached(Models::All)))
}

fn folder() -> Result<PathBuf> {
    let folder = assets::cache()?.join("images");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(folder)
}

fn wrapper(layers: &Layers<'_>) -> Result<Layer> {
    parts::python(layers, &parts::builder(layers)?, &parts::SELDON)
}

fn mlserver(layers: &Layers<'_>) -> Result<Layer> {
    parts::python(layers, &parts::builder(layers)?, &parts::MLSERVER)
}

/// The images and their archive.
fn collect(models: Models, missing: Missing, progress: Progress<'_>) -> Result<Images> {
    let folder = folder()?;
    let layers = Layers {
        folder: &folder,
        missing,
        progress,
    };
    let programs = assets::pod_programs()?;
    let base = parts::base(&layers)?;
    let (executor, executor_layers) = parts::executor(&layers, &base, &programs.executor)?;
    let executor_image = Image {
        layers: executor_layers,
        ..single(executor, base.clone(), "/executor")
    };
    let mut images = vec![single(PAUSE, parts::pause(&layers)?, "/pause"), executor_image];
    images.extend(of_the_site(&layers, &programs, &base)?);
    images.extend(of_iris(&layers, &base)?);
    if models == Models::All {
        images.extend(of_other_models(&layers, &base)?);
    }
    Ok(Images {
        archive: archive::write(&layers, models.prefix(), &images)?,
        pause: PAUSE,
        operator: OPERATOR,
        executor,
        storage_initializer: STORAGE_INITIALIZER,
        explainer: EXPLAINER,
        istiod: ISTIOD,
        proxy: PROXY,
    })
}

/// The images of Seldon Core and of Istio.
fn of_the_site(layers: &Layers<'_>, programs: &PodPrograms, base: &Layer) -> Result<Vec<Image>> {
    let envoy = parts::envoy(layers, &parts::builder(layers)?)?;
    Ok(vec![
        single(
            OPERATOR,
            parts::program(layers, "manager", &programs.operator)?,
            "/manager",
        ),
        single(
            ISTIOD,
            parts::program(layers, "pilot-discovery", &programs.istiod)?,
            "/pilot-discovery",
        ),
        Image {
            reference: PROXY,
            layers: vec![base.clone(), envoy, parts::pilot_agent(layers, &programs.pilot_agent)?],
            command: words(&["/usr/local/bin/pilot-agent"]),
            environment: Vec::new(),
        },
        Image {
            reference: STORAGE_INITIALIZER,
            layers: vec![base.clone(), parts::initializer(layers)?],
            command: words(&["/initialize-model"]),
            environment: Vec::new(),
        },
    ])
}

/// The iris model in its two versions.
fn of_iris(layers: &Layers<'_>, base: &Layer) -> Result<[Image; 2]> {
    let seldon = wrapper(layers)?;
    let model = parts::model(layers, &parts::builder(layers)?, &parts::SELDON, &seldon)?;
    Ok([(IRIS_1, "1"), (IRIS_2, "2")].map(|(reference, version)| Image {
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
    }))
}

/// The images of the other models.
fn of_other_models(layers: &Layers<'_>, base: &Layer) -> Result<Vec<Image>> {
    let builder = &parts::builder(layers)?;
    let seldon = wrapper(layers)?;
    let mlserver = mlserver(layers)?;
    let model = parts::model(layers, builder, &parts::SELDON, &seldon)?;
    let model_of_mlserver = parts::model(layers, builder, &parts::MLSERVER, &mlserver)?;
    let tensorflow = parts::python(layers, builder, &parts::TENSORFLOW)?;
    Ok(vec![
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
