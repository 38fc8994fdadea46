//! `report`: what is configured, what serves, since when, and the versions, as JSON for programs.
//!
//! The format is stable: within one number of [`FORMAT`] keys are added, and none is removed or gets another meaning.

mod document;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use k8s_openapi::jiff::Timestamp;
use tracing::debug;

use super::gateway_endpoints;
use super::{ActionContext, Failure, Results, is_key, select_model};
use crate::api::pods::is_ready;
use crate::inputs::Inputs;
use crate::reconcile::secrets;
use crate::reconcile::snapshot::{Snapshot, unobserved};
use crate::status::Report;
use crate::status::pod_failures::EXECUTOR;
use crate::text::clean;
use document::{Document, Entry, Header, Versions, pages, serving};
use juju_hooks::tool::LONGEST_RESULT;

/// The number of the format.
const FORMAT: u32 = 1;
/// The last page that can be requested.
const MOST_PAGES: u32 = 9999;
/// In bytes; the charm's version has some forty.
const LONGEST_VERSION: u64 = 200;

pub async fn run(call: &ActionContext<'_>) -> Result<Results, Failure> {
    let parameters = call.parameters()?;
    let page = parameters.whole("page", &(1..=MOST_PAGES))?.unwrap_or(1);
    let mut inputs = Inputs::read(call.tools, call.context, call.identity)?;
    let desired = parameters.text("model")?;
    let only = desired.map(|desired| Ok::<_, Failure>(select_model(&inputs, Some(desired))?.name.clone()));
    let only = only.transpose()?;
    let (snapshot, report, has_pods) = observe(call, &mut inputs).await?;
    let mut entries = entries(&inputs, snapshot.as_ref(), &report, has_pods);
    let serving = entries.iter().filter(|entry| entry.serves == Some(true)).count();
    let models = entries.len();
    entries.retain(|entry| only.as_ref().is_none_or(|only| entry.name == *only));
    let header = Header {
        format: FORMAT,
        application: &call.context.application,
        juju_model: &call.context.model_name,
        juju_model_uuid: &call.context.model_uuid,
        unit: &call.context.unit,
        time: Timestamp::now(),
        status: (&report.status).into(),
        versions: versions(call, snapshot.as_ref()).await,
        models,
        serving: snapshot.is_some().then_some(serving),
    };
    let pages = pages(&header, &entries, LONGEST_RESULT);
    let index = usize::try_from(page - 1).unwrap_or(usize::MAX);
    let entries = pages
        .get(index)
        .ok_or_else(|| format!("parameter page: must be at most {}, such as page=1", pages.len()))?;
    let document = Document {
        header,
        page,
        pages: pages.len(),
        entries,
    };
    let text = serde_json::to_string(&document).map_err(|error| error.to_string())?;
    Ok(vec![("report".to_owned(), text)])
}

/// The snapshot if the cluster can be observed, the status in any case, and whether the pods could be listed.
async fn observe(call: &ActionContext<'_>, inputs: &mut Inputs) -> Result<(Option<Snapshot>, Report, bool), Failure> {
    match secrets::snapshot_for_action(call.tools, call.context, inputs).await? {
        Ok(mut snapshot) => {
            let listed = snapshot.cluster.observe_pods(&mut snapshot.observed).await;
            if let Err(error) = &listed {
                debug!("failed to list pods: {error}");
            }
            // What the API server rejected in a hook, it rejects again.
            let rejected = snapshot.dry_run().await;
            let report = snapshot.report(inputs, &rejected, false);
            Ok((Some(snapshot), report, listed.is_ok()))
        }
        Err(error) => {
            inputs.read_cause_of(call.tools, call.context, &error)?;
            Ok((None, unobserved(inputs, &error), false))
        }
    }
}

/// The models by name. An invalid name is in the status only.
fn entries(inputs: &Inputs, snapshot: Option<&Snapshot>, report: &Report, has_pods: bool) -> Vec<Entry> {
    let Some(snapshot) = snapshot else {
        let mut models: Vec<Entry> = inputs.config.models.iter().map(Entry::unobserved).collect();
        models.sort_by(|a, b| a.name.cmp(&b.name));
        return models;
    };
    let statuses = report.models.iter().filter(|status| is_key(&status.model));
    statuses
        .map(|status| {
            let name = &status.model;
            let serving = has_pods.then(|| serving(name, &snapshot.observed));
            Entry::observed(status, snapshot.plan.model(name), &snapshot.observed, serving)
        })
        .collect()
}

async fn versions(call: &ActionContext<'_>, snapshot: Option<&Snapshot>) -> Versions {
    let mut versions = Versions {
        charm: std::env::var_os("JUJU_CHARM_DIR").and_then(|charm| charm_version(Path::new(&charm))),
        juju: call.context.version.as_ref().map(ToString::to_string),
        ..Versions::default()
    };
    let Some(snapshot) = snapshot else {
        return versions;
    };
    let ready = snapshot.observed.pods.iter().filter(|pod| is_ready(pod));
    let containers = ready.flat_map(|pod| &pod.spec.containers);
    let executors = containers.filter(|container| container.name == EXECUTOR);
    versions.seldon_core = common_tag(executors.map(|container| container.image.as_str()));
    let mut proxies = BTreeMap::new();
    for (gateway, listeners) in &snapshot.observed.gateways {
        let endpoints = gateway_endpoints::find(&snapshot.cluster, gateway, listeners).await;
        let pods = endpoints.pods.into_iter().flatten().filter(|pod| pod.ready);
        proxies.extend(pods.filter_map(|pod| Some((format!("{}/{}", pod.namespace, pod.name), pod.proxy_image?))));
    }
    versions.istio = common_tag(proxies.values().map(String::as_str));
    versions
}

/// The tag that all images have. During an upgrade of the site they differ, and no single version is true.
fn common_tag<'a>(images: impl Iterator<Item = &'a str>) -> Option<String> {
    let tags: BTreeSet<Option<&str>> = images.map(tag).collect();
    let mut tags = tags.into_iter();
    match (tags.next(), tags.next()) {
        (Some(Some(tag)), None) => Some(clean(tag)),
        _ => None,
    }
}

fn tag(image: &str) -> Option<&str> {
    let name = image.split('@').next()?.rsplit('/').next()?;
    name.split_once(':').map(|(_, tag)| tag).filter(|tag| !tag.is_empty())
}

/// The first line of the charm's file `version`, which packing writes.
fn charm_version(charm: &Path) -> Option<String> {
    let mut text = String::new();
    let file = File::open(charm.join("version")).ok()?;
    file.take(LONGEST_VERSION).read_to_string(&mut text).ok()?;
    let line = text.lines().next().unwrap_or_default().trim();
    (!line.is_empty()).then(|| clean(line))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn charm_version_is_the_first_line_of_its_file() {
        let charm = std::env::temp_dir().join(format!("seldon-model-version-{}", std::process::id()));
        fs::create_dir_all(&charm).unwrap();
        assert_eq!(charm_version(&charm), None, "unpacked sources have none");
        fs::write(charm.join("version"), "0.1.0-5d2f0c1a\nmore\n").unwrap();
        assert_eq!(charm_version(&charm).unwrap(), "0.1.0-5d2f0c1a");
        fs::write(charm.join("version"), "\n").unwrap();
        assert_eq!(charm_version(&charm), None);
        fs::remove_dir_all(charm).unwrap();
    }

    #[test]
    fn version_is_the_tag_that_all_images_have() {
        let version = |images: &[&str]| common_tag(images.iter().copied());
        assert_eq!(version(&["docker.io/seldonio/executor:1.17.1"]).unwrap(), "1.17.1");
        let twice = ["registry.plant:5000/proxyv2:1.24.2", "istio/proxyv2:1.24.2@sha256:00"];
        assert_eq!(version(&twice).unwrap(), "1.24.2");
        for unknown in [
            &[][..],
            &["istio/proxyv2:1.24.2", "istio/proxyv2:1.25.0"],
            &["registry.plant:5000/proxyv2"],
            &["proxyv2@sha256:00"],
        ] {
            assert_eq!(version(unknown), None, "{unknown:?}");
        }
    }
}
