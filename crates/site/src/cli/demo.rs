//! `site demo`: what a user would type, one command after the other.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ::site::full::Full;
use anyhow::{Context as _, Result, bail, ensure};
use juju_sim::juju::Version;
use juju_sim::target_directory::workspace;
use kube_box::build_plan;
use kube_box::images::{self, Models};
use kube_box::node::Found;
use serde_json::Value;

use super::cluster::{Size, kubeconfig};
use super::site::{Home, MODEL, Site};
use super::{consented, diff, objects, progress, status};

const APPLICATION: &str = "iris";
/// How long a model may take until it serves: its probes begin after 20 s.
const READY: Duration = Duration::from_secs(180);
/// One iris: the lengths and widths of its sepals and petals, in centimetres.
const FLOWER: &str = r#"{"data": {"ndarray": [[5.1, 3.5, 1.4, 0.2]]}}"#;
const OPTION: (&str, &str) = ("image", "seldonio/sklearn-iris:0.4");

/// What the user requested to run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// The full site where this machine can run it, else the small one.
    Fullest,
    Small,
    Full,
}

/// What the demonstration runs on, and why it is not the full site.
#[derive(Debug, PartialEq, Eq)]
struct Chosen {
    size: Size,
    why: Option<String>,
}

/// Chooses from the request, whether `KUBECONFIG` names a cluster, and what this machine lacks for a full site.
fn choose(request: Request, kubeconfig: bool, missing: Option<&str>) -> Result<Chosen> {
    let chosen = |size, why| Ok(Chosen { size, why });
    match (request, missing) {
        (Request::Small | Request::Full, _) if kubeconfig => {
            bail!("KUBECONFIG is set, so the demonstration would run on that cluster; for a site of its own, unset it")
        }
        (Request::Small, _) => chosen(Size::Small, None),
        (Request::Fullest, _) if kubeconfig => chosen(Size::Small, None),
        (Request::Fullest, Some(missing)) => chosen(
            Size::Small,
            Some(format!(
                "A full site, on which the model answers, needs {missing}. This is the small one."
            )),
        ),
        (Request::Full, Some(missing)) => bail!("a full site needs {missing}"),
        (Request::Fullest | Request::Full, None) => chosen(Size::Full(Models::Iris), None),
    }
}

/// Runs the demonstration in a site of its own, and takes it down again also when a step fails.
pub fn demo(mut home: Home, request: Request) -> Result<()> {
    let missing = Found::here()?.missing();
    let Chosen { size, why } = choose(request, kubeconfig().is_some(), missing.as_deref())?;
    if !home.named {
        // Beside the usual one, which may hold the user's own work.
        home.directory.set_file_name("seldon-model-site-demo");
    }
    ensure!(
        Site::open(home.clone())?.is_none(),
        "there is a site in {0}; end it first: site --dir {0} down",
        home.directory.display()
    );
    let here = Path::new("bundle.yaml");
    let bundle = if here.exists() {
        here.to_owned()
    } else {
        workspace()?.join(here)
    };
    let read = consented(&bundle, true)?;

    if let Some(why) = why {
        note(&why);
    }
    step(match size {
        Size::Small => "site up",
        Size::Full(_) => "site up --full",
    });
    let mut parts = Vec::from_iter(home.charm_part());
    parts.extend(size.parts(&progress)?);
    build_plan::run(parts, &progress)?;
    let mut site = Site::up(home, MODEL, Version::default(), size)?;
    let shown = show(&mut site, |site| {
        step("site deploy ./bundle.yaml --trust");
        site.deploy(&read, &bundle)?;
        tour(site)
    });
    step("site down");
    let ended = site.down();
    shown?;
    ended?;
    println!("Everything the demonstration made is gone.");
    Ok(())
}

fn show(site: &mut Site, steps: impl FnOnce(&mut Site) -> Result<()>) -> Result<()> {
    steps(site).context("the demonstration broke off")
}

fn tour(site: &mut Site) -> Result<()> {
    if let Some(gateway) = site.full().map(Full::gateway) {
        return answers(site, &format!("http://{gateway}/model/{APPLICATION}"));
    }
    print_status(site);
    if site.is_small() {
        note(
            "This small site is a Kubernetes API without a Seldon controller and without nodes: nothing runs the model's",
        );
        note("pods here, so the charm does not say active. The objects below are real: a real API server took them.");
    }
    step("site objects");
    let before = objects::yaml(&site.objects(None)?)?;
    print!("{before}");

    let (name, value) = OPTION;
    configure(site, name, value)?;
    note("What that changed in the objects:");
    print!("{}", diff::diff(&before, &objects::yaml(&site.objects(None)?)?));
    print_status(site);
    remove(site)
}

/// With pods, the model answers, and so does its next version.
fn answers(site: &mut Site, address: &str) -> Result<()> {
    note("The image of bundle.yaml is in a registry on the Internet; the site has images of its own, which it built.");
    for image in [images::IRIS_1, images::IRIS_2] {
        configure(site, "image", image)?;
        step(&format!("site wait-for application {APPLICATION}"));
        site.wait_for(APPLICATION, "active", READY)?;
        print_status(site);
        curl(&format!("{address}/api/v1.0/predictions"))?;
    }
    remove(site)
}

fn configure(site: &mut Site, name: &str, value: &str) -> Result<()> {
    step(&format!("site config {APPLICATION} {name}={value}"));
    site.world.set_config(APPLICATION, name, value)?;
    site.settle()
}

fn remove(site: &mut Site) -> Result<()> {
    step(&format!("site remove-application {APPLICATION}"));
    site.remove_application(APPLICATION)?;
    step("site objects");
    let left = site.objects(None)?;
    ensure!(
        left.is_empty(),
        "the charm left objects behind:\n{}",
        objects::yaml(&left)?
    );
    println!("No objects of the charm found in namespace {}.", site.world.model.name);
    Ok(())
}

/// The request that the model is there for, as a user would make it.
fn curl(address: &str) -> Result<()> {
    step(&format!(
        "curl -s {address} -H 'Content-Type: application/json' -d '{FLOWER}'"
    ));
    let output = Command::new("curl")
        .args(["-s", address, "-H", "Content-Type: application/json", "-d", FLOWER])
        .output()
        .context("there is no curl on this machine; type: apt-get install curl")?;
    let answer = String::from_utf8_lossy(&output.stdout);
    println!("{}", answer.trim_end());
    let read: Value = serde_json::from_str(&answer).unwrap_or_default();
    ensure!(
        read.pointer("/data/ndarray").is_some(),
        "the model at {address} did not answer with a prediction"
    );
    Ok(())
}

fn print_status(site: &Site) {
    step("site status");
    print!("{}", status::table(&site.world, &[]));
}

fn step(command: &str) {
    println!("\n$ {command}");
}

fn note(line: &str) {
    println!("# {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Size = Size::Full(Models::Iris);

    #[test]
    fn full_site_is_shown_where_nothing_is_missing() {
        for request in [Request::Fullest, Request::Full] {
            let chosen = choose(request, false, None).unwrap();
            assert_eq!(chosen, Chosen { size: FULL, why: None });
        }
    }

    #[test]
    fn small_site_is_shown_with_what_is_missing_for_the_full_one() {
        let chosen = choose(Request::Fullest, false, Some("root, for its mounts")).unwrap();
        assert_eq!(chosen.size, Size::Small);
        let why = "A full site, on which the model answers, needs root, for its mounts. This is the small one.";
        assert_eq!(chosen.why.as_deref(), Some(why));
    }

    #[test]
    fn small_site_is_shown_without_a_reason_where_it_is_asked_for() {
        for missing in [None, Some("root")] {
            let chosen = choose(Request::Small, false, missing).unwrap();
            assert_eq!(
                chosen,
                Chosen {
                    size: Size::Small,
                    why: None
                }
            );
        }
    }

    #[test]
    fn full_site_that_was_asked_for_fails_with_what_is_missing() {
        let error = choose(Request::Full, false, Some("control groups")).unwrap_err();
        assert_eq!(error.to_string(), "a full site needs control groups");
    }

    #[test]
    fn own_site_is_not_shown_on_the_cluster_of_kubeconfig() {
        for request in [Request::Small, Request::Full] {
            let error = choose(request, true, None).unwrap_err().to_string();
            assert!(error.ends_with("for a site of its own, unset it"), "{error}");
        }
    }

    #[test]
    fn cluster_of_kubeconfig_is_used_without_a_full_site() {
        let chosen = choose(Request::Fullest, true, None).unwrap();
        assert_eq!(
            chosen,
            Chosen {
                size: Size::Small,
                why: None
            }
        );
    }
}
