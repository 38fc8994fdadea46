//! `site demo`: what a user would type, one command after the other.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ::site::full::Full;
use anyhow::{Context as _, Result, ensure};
use juju_sim::juju::Version;
use juju_sim::target_directory::workspace;
use kube_box::images;

use super::site::{Home, MODEL, Site};
use super::{consented, diff, objects, status};

const APPLICATION: &str = "iris";
/// How long a model may take until it serves: its probes begin after 20 s.
const READY: Duration = Duration::from_secs(180);
/// One iris: the lengths and widths of its sepals and petals, in centimetres.
const FLOWER: &str = r#"{"data": {"ndarray": [[5.1, 3.5, 1.4, 0.2]]}}"#;
const OPTION: (&str, &str) = ("image", "seldonio/sklearn-iris:0.4");

/// Runs the demonstration in a site of its own, and takes it down again also when a step fails.
pub fn demo(mut home: Home, full: bool) -> Result<()> {
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

    step(if full { "site up --full" } else { "site up" });
    let mut site = Site::up(home.clone(), MODEL, Version::default(), full)?;
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
    let versions = [images::IRIS_1, images::IRIS_2];
    let predict = format!("{address}/api/v0.1/predictions");
    for image in versions {
        configure(site, "image", image)?;
        step(&format!("site wait-for application {APPLICATION}"));
        site.wait_for(APPLICATION, "active", READY)?;
        print_status(site);
        curl(&predict)?;
    }
    remove(site)?;
    curl(&predict)
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
        "curl -s -w '%{{http_code}}' {address} -H 'Content-Type: application/json' -d '{FLOWER}'"
    ));
    let output = Command::new("curl")
        .args(["-s", "-w", "%{http_code}\n", address])
        .args(["-H", "Content-Type: application/json", "-d", FLOWER])
        .output()
        .context("there is no curl on this machine; type: apt-get install curl")?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    ensure!(output.status.success(), "curl got no answer from {address}");
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
