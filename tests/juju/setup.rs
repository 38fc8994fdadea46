//! What the tests run on, from the environment.

use std::env::{self, VarError};
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::client::Juju;
use crate::cluster::Cluster;
use crate::packed;

/// The controller, as the `juju` client reads it too.
pub const CONTROLLER: &str = "JUJU_CONTROLLER";
/// The Istio Gateway at which models answer, as `namespace/name`.
const GATEWAY: &str = "JUJU_TEST_GATEWAY";
/// Two versions of the iris model, separated by a blank.
const IMAGES: &str = "JUJU_TEST_IMAGES";
/// A charm that was packed before.
const CHARM: &str = "JUJU_TEST_CHARM";
const DEFAULT_IMAGES: &str = "seldonio/sklearn-iris:0.3 seldonio/sklearn-iris:0.4";

/// Why there is nothing to run on.
#[derive(Debug)]
pub enum Missing {
    /// Nobody asked for it.
    NotRequested(String),
    /// It was asked for, so the tests fail.
    Unusable(String),
}

pub struct Setup {
    pub juju: Juju,
    pub cluster: Cluster,
    /// Namespace and name.
    pub gateway: (String, String),
    /// The first and the second version of the iris model.
    pub images: [String; 2],
}

static SETUP: OnceLock<Setup> = OnceLock::new();

/// Of a test that runs, which it does only after [`read`].
pub fn setup() -> &'static Setup {
    SETUP.get().expect("no test runs without a controller")
}

/// The packed charm. Packing takes minutes, so the first test that needs it does so for all.
pub fn charm() -> &'static PathBuf {
    static CHARM_FILE: OnceLock<PathBuf> = OnceLock::new();
    CHARM_FILE.get_or_init(|| match env::var_os(CHARM) {
        Some(path) => std::fs::canonicalize(path).expect(CHARM),
        None => packed::pack(packed::NATIVE),
    })
}

pub fn read() -> Result<(), Missing> {
    // Never the controller that happens to be the current one: it may be in production.
    let controller = env::var(CONTROLLER)
        .map_err(|_| Missing::NotRequested(format!("{CONTROLLER} names no controller (see CONTRIBUTING.md)")))?;
    let Some(version) = Juju::version_installed() else {
        return Err(Missing::NotRequested("there is no `juju` client".to_owned()));
    };
    let setup = with_controller(Juju::new(controller, version)).map_err(Missing::Unusable)?;
    assert!(SETUP.set(setup).is_ok(), "the environment is read once");
    Ok(())
}

fn with_controller(juju: Juju) -> Result<Setup, String> {
    juju.check()?;
    let gateway = required(GATEWAY)?;
    let (namespace, name) = gateway
        .split_once('/')
        .ok_or_else(|| format!("{GATEWAY} must be namespace/name, not {gateway:?}"))?;
    let images = env::var(IMAGES).unwrap_or_else(|_| DEFAULT_IMAGES.to_owned());
    let [first, second] = images.split_whitespace().collect::<Vec<_>>()[..] else {
        return Err(format!("{IMAGES} must name two images, not {images:?}"));
    };
    let cluster = Cluster::connect().map_err(|error| format!("its Kubernetes (KUBECONFIG): {error:#}"))?;
    Ok(Setup {
        juju,
        cluster,
        gateway: (namespace.to_owned(), name.to_owned()),
        images: [first.to_owned(), second.to_owned()],
    })
}

fn required(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error: VarError| format!("{name}: {error}"))
}
