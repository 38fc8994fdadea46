//! bundle.yaml: the part of it a site deploys (juju/charm@v12:bundledata.go).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use juju_sim::juju::{Charm, World};

/// The name of our charm in a store.
const OURS: &str = "seldon-model";

/// A bundle as written.
#[derive(Debug, Deserialize)]
pub struct Bundle {
    /// `kubernetes`, or absent.
    #[serde(default, rename = "bundle")]
    kind: Option<String>,
    /// The applications by name.
    pub applications: BTreeMap<String, Entry>,
    /// Pairs of `application:endpoint`.
    #[serde(default)]
    pub relations: Vec<Vec<String>>,
    /// Refused on Kubernetes.
    #[serde(default)]
    machines: Option<Value>,
}

/// An application in a bundle. Keys that a site has no use for (base, resources, constraints, …) are passed over.
#[derive(Debug, Deserialize)]
pub struct Entry {
    /// A store name, or a path that begins with `./`, `../` or `/`.
    pub charm: String,
    /// The store's channel.
    #[serde(default)]
    pub channel: Option<String>,
    /// The store's revision.
    #[serde(default)]
    pub revision: Option<u64>,
    /// How many units.
    #[serde(default)]
    scale: Option<u32>,
    /// The same.
    #[serde(default)]
    num_units: Option<u32>,
    /// Whether it needs the cluster's rights.
    #[serde(default)]
    pub trust: bool,
    /// Its options.
    #[serde(default)]
    pub options: BTreeMap<String, Value>,
}

impl Entry {
    /// How many units: `scale`, or `num_units`, or one.
    #[must_use]
    pub fn units(&self) -> u32 {
        self.scale.or(self.num_units).unwrap_or(1)
    }

    /// The directory of a charm that is ours; `None` for one that runs no code here.
    fn directory(&self, bundle: &Path, ours: &Path) -> Option<PathBuf> {
        if self.charm == OURS {
            return Some(ours.to_owned());
        }
        if !self.charm.starts_with(['.', '/']) {
            return None;
        }
        // A packed charm (./seldon-model_amd64.charm) need not have been packed: its sources are what runs here.
        if Path::new(&self.charm)
            .extension()
            .is_some_and(|ending| ending == "charm")
        {
            return Some(ours.to_owned());
        }
        Some(bundle.parent().unwrap_or(Path::new(".")).join(&self.charm))
    }
}

impl Bundle {
    /// Reads a bundle file. A second document in it would be an overlay; it is refused.
    ///
    /// # Errors
    /// The file cannot be read or is not of its form.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the bundle {}; is the path right?", path.display()))?;
        let bundle = Self::parse(&text);
        bundle.with_context(|| format!("cannot deploy bundle {}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let bundle: Self = serde_yaml::from_str(text).context("the bundle is not of its form")?;
        ensure!(
            !bundle.applications.is_empty(),
            "at least one application must be specified"
        );
        ensure!(
            bundle.kind.as_deref().is_none_or(|kind| kind == "kubernetes"),
            "bundle type {:?} is not for Kubernetes; write: bundle: kubernetes",
            bundle.kind.as_deref().unwrap_or_default()
        );
        ensure!(
            bundle.machines.is_none(),
            "bundle machines not valid for Kubernetes bundles"
        );
        for (name, entry) in &bundle.applications {
            ensure!(
                entry.scale.is_none() || entry.num_units.is_none(),
                "cannot specify both scale and num_units for application {name:?}"
            );
            ensure!(
                entry.revision.is_none() || entry.channel.is_some(),
                "application {name:?} with a revision requires a channel for future upgrades, please use channel"
            );
        }
        for pair in &bundle.relations {
            ensure!(
                pair.len() == 2,
                "relation {pair:?} has {} endpoint(s), not 2",
                pair.len()
            );
        }
        Ok(bundle)
    }

    /// The applications that need `--trust` at the deploy command as well: the operator's consent.
    #[must_use]
    pub fn needing_trust(&self) -> Vec<&str> {
        let needing = self.applications.iter().filter(|(_, entry)| entry.trust);
        needing.map(|(name, _)| name.as_str()).collect()
    }

    /// Puts the applications and relations into the world; nothing runs yet. What is there already is left, and its
    /// options are set, as Juju does with a bundle that is deployed again. `ours` is the directory of our charm.
    ///
    /// # Errors
    /// An option our charm does not have or of another type; an endpoint that is not there. The world is then left as it
    /// was.
    pub fn deploy(&self, world: &mut World, path: &Path, ours: &Path) -> Result<()> {
        let mut new = world.clone();
        for (name, entry) in &self.applications {
            let directory = entry.directory(path, ours);
            if !new.applications.contains_key(name) {
                let channel = entry.channel.as_deref().unwrap_or("stable");
                let charm = match &directory {
                    Some(directory) => Charm::read(directory)?,
                    None => Charm::fake(&entry.charm, channel),
                };
                new.add_application(name, charm, entry.units())?;
            }
            let application = new.application_mut(name)?;
            application.trust |= entry.trust;
            for (option, value) in &entry.options {
                // The options of a fake are only partly known, so those are not looked at.
                if application.charm.fake {
                    application.charm.options.entry(option.clone()).or_default();
                    application.config.insert(option.clone(), value.clone());
                } else {
                    application
                        .set_option(option, value)
                        .with_context(|| format!("cannot deploy application {name:?}"))?;
                }
            }
        }
        for pair in &self.relations {
            let [first, second] = pair.as_slice() else { continue };
            if new.is_related(first, second) {
                continue;
            }
            new.integrate(first, second)
                .with_context(|| format!("cannot add relation between {first:?} and {second:?}"))?;
        }
        *world = new;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Bundle;

    #[test]
    fn faults_are_named() {
        for (text, why) in [
            ("applications: {}", "at least one application must be specified"),
            (
                "bundle: machine\napplications: {a: {charm: b}}",
                "is not for Kubernetes",
            ),
            (
                "applications: {a: {charm: b, scale: 1, num_units: 1}}",
                "both scale and num_units",
            ),
            ("applications: {a: {charm: b, revision: 3}}", "requires a channel"),
            (
                "machines: {'0': {}}\napplications: {a: {charm: b}}",
                "machines not valid",
            ),
            ("applications: {a: {charm: b}}\nrelations: [[a]]", "1 endpoint"),
        ] {
            let error = Bundle::parse(text).unwrap_err();
            assert!(format!("{error:#}").contains(why), "{text}: {error:#}");
        }
    }

    #[test]
    fn trust_needs_consent() {
        let bundle = Bundle::parse("bundle: kubernetes\ndefault-base: ubuntu@22.04\napplications: {a: {charm: x, trust: true, scale: 2}, b: {charm: y}}").unwrap();
        assert_eq!(bundle.needing_trust(), ["a"]);
        assert_eq!(bundle.applications["a"].units(), 2);
        assert_eq!(bundle.applications["b"].units(), 1);
    }
}
