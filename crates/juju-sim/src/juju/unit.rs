//! A unit: what Juju shows of it, and what its agent remembers between hooks.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Hook;
use super::relation::Life;
use super::secret::Tracked;
use super::status::Status;

/// The unit agent's own state, the second column of `juju status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentState {
    /// Not started yet.
    #[default]
    Allocating,
    /// In a hook.
    Executing,
    /// Nothing to do.
    Idle,
    /// A hook failed; it is run again before anything else.
    Error,
}

impl AgentState {
    /// The word in `juju status`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Allocating => "allocating",
            Self::Executing => "executing",
            Self::Idle => "idle",
            Self::Error => "error",
        }
    }
}

/// What the agent knows of one relation it takes part in (juju/juju, internal/worker/uniter/relation/resolver.go).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Remote units that have joined, with the version of their bag at the last changed hook.
    pub members: BTreeMap<String, u64>,
    /// The version of the remote application bag at its last changed hook.
    pub application: u64,
}

/// One unit of an application.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one thing the agent remembers, and none follows from another"
)]
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Unit {
    /// `iris/0`.
    pub name: String,
    /// Whether it is on its way out.
    #[serde(default)]
    pub life: Life,
    /// The workload status, as the charm last set it.
    pub status: Status,
    /// The agent's state.
    #[serde(default)]
    pub agent: AgentState,
    /// The hook that failed and is due again.
    #[serde(default)]
    pub failed: Option<Hook>,
    /// Whether the charm ever called status-set.
    #[serde(default)]
    pub status_was_set: bool,
    /// `install` has run.
    #[serde(default)]
    pub installed: bool,
    /// `start` has run in this pod.
    #[serde(default)]
    pub started: bool,
    /// `stop` has run on the way out.
    #[serde(default)]
    pub stopped: bool,
    /// Its agent was started again, and `start` has not run since.
    #[serde(default)]
    pub restarted: bool,
    /// It has a new pod, in which `upgrade-charm` has not run yet.
    #[serde(default)]
    pub replaced: bool,
    /// Juju runs `config-changed` once more, although nothing has changed since.
    #[serde(default)]
    pub config_again: bool,
    /// Whether `leader-elected` ran for the leadership it holds now.
    #[serde(default)]
    pub knows_it_leads: bool,
    /// Config, trust and address at the last config-changed.
    #[serde(default)]
    pub config_seen: Option<String>,
    /// The charm revision its last install or upgrade-charm ran.
    #[serde(default)]
    pub charm_seen: u64,
    /// Relations whose relation-created ran, and whose broken has not.
    #[serde(default)]
    pub relations: BTreeMap<u32, Joined>,
    /// What `state-set` keeps, on the controller.
    #[serde(default)]
    pub state: BTreeMap<String, String>,
    /// The secrets it has read, by bare id.
    #[serde(default)]
    pub secrets: BTreeMap<String, Tracked>,
    /// Port ranges opened, as `80/tcp` or `100-200/udp`.
    #[serde(default)]
    pub ports: BTreeSet<String>,
    /// The pod's address; a new pod has a new one.
    #[serde(default)]
    pub address: String,
    /// How many pods this unit has had, which gives the next address.
    #[serde(default)]
    pub pods: u32,
}

impl Unit {
    /// The application, the part of the name before the slash.
    #[must_use]
    pub fn application(&self) -> &str {
        application_of(&self.name)
    }
}

/// `iris/0` to `iris`; a name without a slash is returned as it is.
#[must_use]
pub fn application_of(unit: &str) -> &str {
    unit.split_once('/').map_or(unit, |(application, _)| application)
}
