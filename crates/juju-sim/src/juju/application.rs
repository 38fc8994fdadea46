//! An application: its charm, what the operator set, and its units.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::charm::Charm;
use super::relation::Life;
use super::status::Status;
use super::unit::Unit;

/// An application of the model.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Application {
    /// Its name in the model.
    pub name: String,
    /// What it runs.
    pub charm: Charm,
    /// Whether it is on its way out.
    #[serde(default)]
    pub life: Life,
    /// What the operator set, by option.
    #[serde(default)]
    pub config: BTreeMap<String, Value>,
    /// `juju trust --scope=cluster` was given.
    #[serde(default)]
    pub trust: bool,
    /// Its units, by name.
    #[serde(default)]
    pub units: BTreeMap<String, Unit>,
    /// The unit that leads.
    #[serde(default)]
    pub leader: Option<String>,
    /// What the leader set with `status-set --application`.
    #[serde(default)]
    pub status: Option<Status>,
    /// What `application-version-set` told.
    #[serde(default)]
    pub workload_version: String,
    /// What `leader-set` keeps (Juju before 4.0).
    #[serde(default)]
    pub leader_settings: BTreeMap<String, String>,
}

impl Application {
    /// Sets options as `juju config <application> name=value` does: all or none.
    ///
    /// # Errors
    /// An option the charm does not have, or a value of another type, in Juju's words.
    pub fn set_config<'a>(&mut self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<()> {
        let mut read = BTreeMap::new();
        for (name, text) in pairs {
            let spec = self.option(name)?;
            read.insert(name.to_owned(), spec.parse(name, text)?);
        }
        self.config.extend(read);
        Ok(())
    }

    /// Sets one option to a value that a file gave.
    ///
    /// # Errors
    /// As [`Application::set_config`].
    pub fn set_option(&mut self, name: &str, value: &Value) -> Result<()> {
        let accepted = self.option(name)?.accept(name, value)?;
        self.config.insert(name.to_owned(), accepted);
        Ok(())
    }

    /// Gives an option back its default, as `juju config --reset`.
    ///
    /// # Errors
    /// An option the charm does not have.
    pub fn reset_option(&mut self, name: &str) -> Result<()> {
        self.option(name)?;
        self.config.remove(name);
        Ok(())
    }

    fn option(&self, name: &str) -> Result<&super::options::OptionSpec> {
        self.charm
            .options
            .get(name)
            .with_context(|| format!("unknown option {name:?}"))
    }

    /// Every option with its value: what was set, else the default, else null.
    #[must_use]
    pub fn effective_config(&self) -> BTreeMap<String, Value> {
        self.charm
            .options
            .iter()
            .map(|(name, spec)| {
                let set = self.config.get(name).cloned();
                let value = set.or_else(|| spec.default.clone());
                (name.clone(), value.unwrap_or(Value::Null))
            })
            .collect()
    }

    /// What must differ for a config-changed to be due: config, trust, and the unit's address
    /// (juju/juju, internal/worker/uniter/resolver.go).
    #[must_use]
    pub fn config_fingerprint(&self, address: &str) -> String {
        // The text itself: it is small, and unlike a hash it can be read in juju.json.
        serde_json::json!([self.effective_config(), self.trust, address]).to_string()
    }

    /// The address that Juju's Service for it has, of the range of MicroK8s' Services. Nothing listens there.
    #[must_use]
    pub fn address(&self) -> String {
        format!("10.152.183.{}", spread(&self.name) % 200 + 20)
    }

    /// Adds a unit with the lowest free number, as a StatefulSet does, and makes it the leader where there is none.
    pub fn add_unit(&mut self) -> &mut Unit {
        let number = (0..=u32::MAX)
            .find(|number| !self.units.contains_key(&format!("{}/{number}", self.name)))
            .unwrap_or_default();
        let name = format!("{}/{number}", self.name);
        self.leader.get_or_insert_with(|| name.clone());
        let unit = Unit {
            name: name.clone(),
            ..Unit::default()
        };
        let unit = self.units.entry(name).or_insert(unit);
        unit.new_pod();
        unit
    }

    /// Moves leadership to another unit (or to none), which gets `leader-elected` at its next wake.
    pub fn set_leader(&mut self, unit: Option<&str>) {
        self.leader = unit.map(str::to_owned);
        for (name, state) in &mut self.units {
            if Some(name.as_str()) != unit {
                state.knows_it_leads = false;
            }
        }
    }
}

/// A number of a name's own, or nearly.
fn spread(name: &str) -> u32 {
    name.bytes()
        .fold(0, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)))
}

impl Unit {
    /// Gives it the address of a new pod: 10.1.0.0/16 is what Juju's examples and MicroK8s use.
    pub fn new_pod(&mut self) {
        let number = self
            .name
            .rsplit('/')
            .next()
            .and_then(|number| number.parse::<u32>().ok())
            .unwrap_or_default();
        self.pods += 1;
        // The application takes part in the address, or two of them would share one.
        let third = spread(self.application()) % 200;
        let fourth = (number * 16 + self.pods) % 254 + 1;
        self.address = format!("10.1.{third}.{fourth}");
    }
}
