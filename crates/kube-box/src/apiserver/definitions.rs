//! The kinds that Seldon, Istio and the Gateway API bring, installed as their own definitions say.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client, Error};
use serde::Deserialize as _;

use crate::build_plan::Progress;

/// The groups of the kinds that the charm writes; Istio's file has more of them, and every one costs memory.
const GROUPS: [&str; 4] = [
    "machinelearning.seldon.io",
    "networking.istio.io",
    "security.istio.io",
    "gateway.networking.k8s.io",
];
/// How long the server may take to serve a new kind. It takes a second or two.
const SERVED: Duration = Duration::from_secs(60);
/// Between two looks at whether it does.
const POLL: Duration = Duration::from_millis(100);

/// Installs the definitions of Seldon's kinds, of Istio's kinds for routes and access, and of the Gateway API's from YAML files (see
/// [`crate::assets::crds`]) and waits until the server serves them. Those that are there already are left alone. The
/// names of those that were installed are returned.
///
/// # Errors
/// When a file is not YAML, or the server refuses a definition or does not serve it within a minute.
pub async fn install_crds(client: Client, files: &[PathBuf], progress: Progress<'_>) -> Result<Vec<String>> {
    let mut wanted = Vec::new();
    for file in files {
        wanted.extend(read(file)?);
    }
    let kind = ApiResource::erase::<CustomResourceDefinition>(&());
    let all: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
    let there: Vec<String> = all
        .list_metadata(&ListParams::default())
        .await
        .context("the server does not tell which kinds it has")?
        .items
        .into_iter()
        .filter_map(|of| of.metadata.name)
        .collect();

    let mut installed = Vec::new();
    for definition in wanted {
        let name = definition.metadata.name.clone().unwrap_or_default();
        if there.contains(&name) {
            continue;
        }
        match all.create(&PostParams::default(), &definition).await {
            Ok(_) => installed.push(name),
            // Somebody else installs them at the same time.
            Err(Error::Api(status)) if status.is_already_exists() => {}
            Err(error) => {
                return Err(error).with_context(|| format!("the server refuses {name}"));
            }
        }
    }
    if !installed.is_empty() {
        progress(&format!("installed {} kinds", installed.len()));
    }
    for name in &installed {
        served(&client, name).await?;
    }
    Ok(installed)
}

/// The definitions of a file that are ours to install.
fn read(file: &PathBuf) -> Result<Vec<DynamicObject>> {
    let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let mut definitions = Vec::new();
    for document in serde_yaml::Deserializer::from_str(&text) {
        let value =
            serde_json::Value::deserialize(document).with_context(|| format!("{} is not YAML", file.display()))?;
        // Generated files begin with comments, which make an empty document.
        if value.get("kind").and_then(|kind| kind.as_str()) != Some("CustomResourceDefinition") {
            continue;
        }
        let group = value.pointer("/spec/group").and_then(|group| group.as_str());
        if group.is_some_and(|group| GROUPS.contains(&group)) {
            definitions.push(serde_json::from_value(value)?);
        }
    }
    if definitions.is_empty() {
        bail!("{} has no definition of {}", file.display(), GROUPS.join(" or "));
    }
    Ok(definitions)
}

/// Waits until the server says that it serves a kind, and does.
async fn served(client: &Client, name: &str) -> Result<()> {
    let all: Api<CustomResourceDefinition> = Api::all(client.clone());
    let start = Instant::now();
    let definition = loop {
        let definition = all.get(name).await?;
        if condition(&definition, "Established") == Some("True") {
            break definition;
        }
        if condition(&definition, "NamesAccepted") == Some("False") || start.elapsed() > SERVED {
            let status = serde_json::to_string(&definition.status)?;
            bail!("the server does not take up {name}; its status is {status}");
        }
        tokio::time::sleep(POLL).await;
    };
    // The handler of the new path comes up a moment after the condition is written.
    let version = definition
        .spec
        .versions
        .iter()
        .find(|version| version.served)
        .with_context(|| format!("{name} serves no version"))?;
    let kind = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk(&definition.spec.group, &version.name, &definition.spec.names.kind),
        &definition.spec.names.plural,
    );
    let objects: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
    while let Err(error) = objects.list(&ListParams::default().limit(1)).await {
        if start.elapsed() > SERVED {
            return Err(error).with_context(|| format!("the server does not serve {name}"));
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

fn condition<'a>(definition: &'a CustomResourceDefinition, kind: &str) -> Option<&'a str> {
    let conditions = definition.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|of| of.type_ == kind)?;
    Some(found.status.as_str())
}
