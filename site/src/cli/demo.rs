//! `site demo`: what a user would type, one command after the other.

use std::path::Path;

use ::site::agent::workspace;
use ::site::juju::Version;
use anyhow::{Context as _, Result, ensure};

use super::site::{Home, MODEL, Site};
use super::{consented, diff, objects, status};

const APPLICATION: &str = "iris";
const OPTION: (&str, &str) = ("image", "seldonio/sklearn-iris:0.4");

/// Runs the demonstration in a site of its own, and takes it down again also when a step fails.
pub fn demo(mut home: Home) -> Result<()> {
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

    step("site up");
    let mut site = Site::up(home.clone(), MODEL, Version::default())?;
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
    step(&format!("site config {APPLICATION} {name}={value}"));
    site.world.set_config(APPLICATION, name, value)?;
    site.settle()?;
    note("What that changed in the objects:");
    print!("{}", diff::diff(&before, &objects::yaml(&site.objects(None)?)?));
    print_status(site);

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

fn print_status(site: &Site) {
    step("site status");
    print!("{}", status::table(&site.world));
}

fn step(command: &str) {
    println!("\n$ {command}");
}

fn note(line: &str) {
    println!("# {line}");
}
