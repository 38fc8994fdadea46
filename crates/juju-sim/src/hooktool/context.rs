//! What a hook's tools see and change: a snapshot of the world, made when the hook begins.
//!
//! Reads come from the snapshot, as Juju's agent caches them for the length of a hook. Writes that Juju makes at once
//! (statuses, log, version, leader settings) change it at once; the others wait in [`Pending`] for the hook's exit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use super::value::Node;
use crate::juju::{Life, LogLine, Secret, Status, Tracked, Version};

/// One relation as the unit's agent knows it.
#[derive(Clone, Debug, Default)]
pub struct RelationView {
    /// Our endpoint's name.
    pub endpoint: String,
    /// The application at the other end.
    pub remote_app: String,
    /// The units at the other end that have joined.
    pub units: BTreeSet<String>,
    /// Whether it is on its way out.
    pub life: Life,
    /// Whether it is a peer relation.
    pub peer: bool,
    /// Whether it was removed by force: the agent lists it, the controller has it no more.
    pub forced: bool,
    /// The model the other end is in.
    pub remote_model_uuid: String,
    /// Bags by unit or application name.
    pub bags: BTreeMap<String, BTreeMap<String, String>>,
}

/// A running action.
#[derive(Clone, Debug, Default)]
pub struct ActionView {
    /// Its parameters, a map.
    pub params: Value,
    /// What action-set told, nested at the dots of its keys.
    pub results: serde_json::Map<String, Value>,
    /// The message of action-fail, once called.
    pub failed: Option<String>,
    /// What action-log told.
    pub log: Vec<String>,
}

/// A network interface with the addresses of a binding.
#[derive(Clone, Debug, Default)]
pub struct Interface {
    /// Its hardware address.
    pub mac: String,
    /// Its name.
    pub name: String,
    /// Address and network (CIDR), the latter empty on Kubernetes.
    pub addresses: Vec<(String, String)>,
}

/// The network of an endpoint.
#[derive(Clone, Debug, Default)]
pub struct Binding {
    /// Interfaces with their addresses.
    pub interfaces: Vec<Interface>,
    /// Addresses others reach us at.
    pub ingress: Vec<String>,
    /// Networks our traffic comes from.
    pub egress: Vec<String>,
}

/// Writes that count only when the hook exits 0 (juju/juju, internal/worker/uniter/runner/context/context.go).
#[derive(Clone, Debug, Default)]
pub struct Pending {
    /// Changed keys by relation and bag; an empty value deletes.
    pub relations: BTreeMap<(u32, String), BTreeMap<String, String>>,
    /// The whole state after state-set and state-delete.
    pub state: Option<BTreeMap<String, String>>,
    /// The open ports after open-port and close-port.
    pub ports: Option<BTreeSet<String>>,
    /// The secrets after secret-add, secret-set and secret-grant.
    pub secrets: Option<BTreeMap<String, Secret>>,
}

/// The world of one hook.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The Juju version, for its wording and its set of tools.
    pub version: Version,
    /// The unit, `iris/0`.
    pub unit: String,
    /// The directory the tool was called in; files are relative to it.
    pub cwd: PathBuf,
    /// Whether the unit leads.
    pub leader: bool,
    /// Why leadership cannot be told, when it cannot.
    pub leader_error: Option<String>,
    /// is-leader has answered False, which then stays so (…/context/leader.go).
    pub said_follower: bool,
    /// The relation of a relation hook.
    pub relation: Option<u32>,
    /// `JUJU_REMOTE_UNIT`, when not empty.
    pub remote_unit: Option<String>,
    /// `JUJU_REMOTE_APP`, when not empty.
    pub remote_app: Option<String>,
    /// The action, when this is one.
    pub action: Option<ActionView>,
    /// Options with their values; null for what has none.
    pub config: BTreeMap<String, Value>,
    /// The relations.
    pub relations: BTreeMap<u32, RelationView>,
    /// What state-get reads.
    pub state: BTreeMap<String, String>,
    /// The unit's status.
    pub unit_status: Status,
    /// Whether this hook set the unit's status.
    pub status_was_set: bool,
    /// The application's status, when the leader set one.
    pub application_status: Option<Status>,
    /// The statuses of the application's units.
    pub units_status: BTreeMap<String, Status>,
    /// What application-version-set told in this hook.
    pub workload_version: Option<String>,
    /// Lines logged in this hook.
    pub log: Vec<LogLine>,
    /// The answer of goal-state.
    pub goal_state: Node,
    /// Secrets by bare id.
    pub secrets: BTreeMap<String, Secret>,
    /// What the unit has read of them.
    pub tracked: BTreeMap<String, Tracked>,
    /// Networks by endpoint.
    pub bindings: BTreeMap<String, Binding>,
    /// The pod's address.
    pub private_address: String,
    /// The application's outside address.
    pub public_address: String,
    /// Open ports, as `80/tcp`.
    pub ports: BTreeSet<String>,
    /// leader-get's settings (before 4.0).
    pub leader_settings: BTreeMap<String, String>,
    /// Why leader settings cannot be read, when they cannot.
    pub leader_settings_error: Option<String>,
    /// Resource paths by name.
    pub resources: BTreeMap<String, String>,
    /// Why resources cannot be had, when they cannot.
    pub resource_error: Option<String>,
    /// What the controller answers to writes, when it fails.
    pub api_error: Option<String>,
    /// Writes that wait for the hook's exit.
    pub pending: Pending,
}

impl Context {
    /// The application's name.
    #[must_use]
    pub fn application(&self) -> &str {
        crate::juju::application_of(&self.unit)
    }

    /// Ends the hook: on success the pending writes become real in the snapshot, else they are lost.
    /// Returns what was pending on success.
    pub fn finish(&mut self, success: bool) -> Option<Pending> {
        let pending = std::mem::take(&mut self.pending);
        if !success {
            return None;
        }
        for ((id, owner), pairs) in &pending.relations {
            if let Some(relation) = self.relations.get_mut(id) {
                apply(relation.bags.entry(owner.clone()).or_default(), pairs);
            }
        }
        if let Some(state) = &pending.state {
            self.state.clone_from(state);
        }
        if let Some(ports) = &pending.ports {
            self.ports.clone_from(ports);
        }
        if let Some(secrets) = &pending.secrets {
            self.secrets.clone_from(secrets);
        }
        Some(pending)
    }

    /// A bag with this hook's pending writes in it.
    pub(crate) fn own_bag(&self, id: u32, owner: &str) -> BTreeMap<String, String> {
        let mut bag = self
            .relations
            .get(&id)
            .and_then(|relation| relation.bags.get(owner))
            .cloned()
            .unwrap_or_default();
        if let Some(pairs) = self.pending.relations.get(&(id, owner.to_owned())) {
            apply(&mut bag, pairs);
        }
        bag
    }

    /// The state as this hook sees it.
    pub(crate) fn state_now(&self) -> &BTreeMap<String, String> {
        self.pending.state.as_ref().unwrap_or(&self.state)
    }

    /// The open ports as this hook sees them.
    pub(crate) fn ports_now(&self) -> &BTreeSet<String> {
        self.pending.ports.as_ref().unwrap_or(&self.ports)
    }

    /// The secrets as this hook sees them.
    pub(crate) fn secrets_now(&self) -> &BTreeMap<String, Secret> {
        self.pending.secrets.as_ref().unwrap_or(&self.secrets)
    }
}

/// An empty value deletes its key (juju/juju, …/jujuc/relation-set.go).
fn apply(bag: &mut BTreeMap<String, String>, pairs: &BTreeMap<String, String>) {
    for (key, value) in pairs {
        if value.is_empty() {
            bag.remove(key);
        } else {
            bag.insert(key.clone(), value.clone());
        }
    }
}
