//! The world as Juju's controller holds it: one model, its applications, units and relations, in memory or in one file.
//!
//! What is here is what Juju keeps; nothing runs. [`crate::agent::Agent`] runs hooks over it.

mod application;
mod charm;
mod hook;
mod integrate;
mod options;
mod parameters;
mod relation;
mod secret;
mod status;
mod store;
mod unit;
mod version;

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

pub use application::Application;
pub use charm::{ActionSpec, Charm, Endpoint};
pub use hook::{Hook, RelationEvent};
pub use options::{OptionSpec, OptionType, parse_bool};
pub use parameters::Given;
pub use relation::{Bag, Life, Relation, Side};
pub use secret::{MODEL, Secret, Tracked};
pub use status::{LogLine, Status, now};
pub use store::Store;
pub use unit::{AgentState, Joined, Unit, application_of};
pub use version::Version;

/// The model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Its name, which is also its Kubernetes namespace.
    pub name: String,
    /// Its UUID.
    pub uuid: String,
}

/// Everything Juju knows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct World {
    /// The one model.
    pub model: Model,
    /// The Juju version that is played.
    #[serde(default)]
    pub version: Version,
    /// Applications by name.
    #[serde(default)]
    pub applications: BTreeMap<String, Application>,
    /// Relations by id.
    #[serde(default)]
    pub relations: BTreeMap<u32, Relation>,
    /// The id the next relation gets; Juju never gives one twice.
    #[serde(default)]
    pub next_relation: u32,
    /// The number the next action's task gets.
    #[serde(default)]
    pub next_task: u32,
    /// Secrets by their bare id (20 characters).
    #[serde(default)]
    pub secrets: BTreeMap<String, Secret>,
    /// The log of all units, oldest first, the newest [`World::LOG_LINES`].
    #[serde(default)]
    pub log: Vec<LogLine>,
}

impl World {
    /// How many log lines are kept. A debug log is read for its end; the file is rewritten at each command.
    pub const LOG_LINES: usize = 2_000;

    /// An empty model. The UUID is made from the name, so that tests see the same at each run.
    #[must_use]
    pub fn new(model: &str) -> Self {
        Self {
            model: Model {
                name: model.to_owned(),
                uuid: uuid_of(model),
            },
            version: Version::default(),
            applications: BTreeMap::new(),
            relations: BTreeMap::new(),
            next_relation: 0,
            next_task: 0,
            secrets: BTreeMap::new(),
            log: Vec::new(),
        }
    }

    /// Gives the model a UUID that no other has, where worlds may meet: on a cluster that several sites use.
    pub fn make_unique(&mut self) {
        // Each RandomState has keys of its own from the system's randomness; hashing nothing tells them.
        let random = || std::hash::RandomState::new().build_hasher().finish();
        self.model.uuid = uuid(random(), random());
    }

    /// Adds an application with `units` units; nothing runs yet. A charm's peer relations come with it.
    ///
    /// # Errors
    /// The name is taken.
    pub fn add_application(&mut self, name: &str, charm: Charm, units: u32) -> Result<&mut Application> {
        ensure!(
            !self.applications.contains_key(name),
            "application {name:?} already exists; choose another name, or remove it: site remove-application {name}"
        );
        let peers: Vec<(String, String)> = charm
            .peers
            .iter()
            .map(|(endpoint, spec)| (endpoint.clone(), spec.interface.clone()))
            .collect();
        let mut application = Application {
            name: name.to_owned(),
            charm,
            ..Application::default()
        };
        for _ in 0..units {
            application.add_unit();
        }
        self.applications.insert(name.to_owned(), application);
        for (endpoint, interface) in peers {
            let side = Side {
                application: name.to_owned(),
                endpoint,
            };
            self.insert_relation(&[side.clone(), side], interface);
        }
        self.application_mut(name)
    }

    /// An application.
    ///
    /// # Errors
    /// There is none of that name, in Juju's words.
    pub fn application(&self, name: &str) -> Result<&Application> {
        self.applications
            .get(name)
            .with_context(|| format!("application {name:?} not found"))
    }

    /// An application, to be changed.
    ///
    /// # Errors
    /// As [`World::application`].
    pub fn application_mut(&mut self, name: &str) -> Result<&mut Application> {
        self.applications
            .get_mut(name)
            .with_context(|| format!("application {name:?} not found"))
    }

    /// A unit.
    ///
    /// # Errors
    /// There is none of that name, in Juju's words.
    pub fn unit(&self, name: &str) -> Result<&Unit> {
        self.applications
            .get(application_of(name))
            .and_then(|application| application.units.get(name))
            .with_context(|| format!("unit {name:?} not found"))
    }

    /// The unit that an operator means by `iris/0`, or by `iris/leader`.
    ///
    /// # Errors
    /// There is none of that name, or no leader, in Juju's words (juju/juju, apiserver/facades/client/action/run.go).
    pub fn unit_named(&self, name: &str) -> Result<&Unit> {
        let Some(application) = name.strip_suffix("/leader") else {
            return self.unit(name);
        };
        let leader = self.application(application)?.leader.as_deref();
        self.unit(leader.with_context(|| format!("could not determine leader for {application:?}"))?)
    }

    /// A unit, to be changed.
    ///
    /// # Errors
    /// As [`World::unit`].
    pub fn unit_mut(&mut self, name: &str) -> Result<&mut Unit> {
        self.applications
            .get_mut(application_of(name))
            .and_then(|application| application.units.get_mut(name))
            .with_context(|| format!("unit {name:?} not found"))
    }

    /// A relation, to be changed.
    ///
    /// # Errors
    /// There is none of that id.
    pub fn relation_mut(&mut self, id: u32) -> Result<&mut Relation> {
        self.relations
            .get_mut(&id)
            .with_context(|| format!("relation {id} not found"))
    }

    /// Sets one option of an application, as `juju config` does.
    ///
    /// # Errors
    /// No such application or option, or a value of another type.
    pub fn set_config(&mut self, application: &str, name: &str, text: &str) -> Result<()> {
        self.application_mut(application)?.set_config([(name, text)])
    }

    /// `juju config <application> --reset <option>`. From 4.0 on no config-changed follows: the charm sees the default in whichever hook
    /// comes next (seen with 4.0.15).
    ///
    /// # Errors
    /// No such application or option.
    pub fn reset_config(&mut self, application: &str, option: &str) -> Result<()> {
        let silent = self.version.at_least(4, 0, 0);
        let application = self.application_mut(application)?;
        let before = application.clone();
        application.reset_option(option)?;
        if silent {
            let after = application.clone();
            for unit in application.units.values_mut() {
                if unit.config_seen.as_ref() == Some(&before.config_fingerprint(&unit.address)) {
                    unit.config_seen = Some(after.config_fingerprint(&unit.address));
                }
            }
        }
        Ok(())
    }

    /// Writes to a bag of a relation, as the other side's `relation-set` would.
    ///
    /// # Errors
    /// There is no relation of that id.
    pub fn write_bag(&mut self, id: u32, owner: &str, pairs: &[(&str, &str)]) -> Result<()> {
        self.relation_mut(id)?.write(owner, pairs.iter().copied());
        Ok(())
    }

    /// Adds lines to the log and drops the oldest beyond [`World::LOG_LINES`].
    pub fn append_log(&mut self, lines: impl IntoIterator<Item = LogLine>) {
        self.log.extend(lines);
        let surplus = self.log.len().saturating_sub(Self::LOG_LINES);
        self.log.drain(..surplus);
    }
}

/// A UUID that follows from a name: two FNV-1a hashes with the version and variant bits of a random UUID (version 4) set, since charms may
/// check for them.
fn uuid_of(name: &str) -> String {
    let hash = |seed: u64| {
        name.bytes().fold(seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    };
    uuid(hash(0xcbf2_9ce4_8422_2325), hash(0x8422_2325_cbf2_9ce4))
}

/// Two numbers as a UUID.
fn uuid(high: u64, low: u64) -> String {
    let high = high & 0xffff_ffff_ffff_0fff | 0x4000;
    let low = low & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
    let text = format!("{high:016x}{low:016x}");
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-{}-{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32)
    )
}

#[cfg(test)]
mod tests {
    use super::World;

    #[test]
    fn a_model_has_a_uuid_of_the_common_form() {
        let uuid = World::new("edge").model.uuid;
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(uuid.chars().nth(14), Some('4'));
        assert_ne!(uuid, World::new("other").model.uuid);
        let mut unique = World::new("edge");
        unique.make_unique();
        assert_ne!(uuid, unique.model.uuid);
        assert_eq!(unique.model.uuid.len(), 36);
    }
}
