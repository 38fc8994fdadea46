//! One look of the watcher: a process of its own, so that the memory it takes is given back when it is over. A fleet of a
//! hundred models takes twice what the watcher has.

use std::io::{self, Read as _, Write as _};
use std::process::{Command, ExitCode};

use serde::{Deserialize, Serialize};

use super::health::{ChildError, PROBE_LIMIT};
use super::{Baseline, PROBE};
use crate::identity::Identity;
use crate::inputs::Inputs;
use crate::reconcile::snapshot::{self, Expected, Snapshot};
use juju_hooks::HookContext;
use juju_hooks::subprocess;

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What a hook would come to.
    pub expected: Expected,
    /// Whether that is only because the cluster could not be looked at.
    pub blind: bool,
}

/// Is such a process: the brief comes on standard input, and what was seen goes to standard output.
pub async fn run(context: &HookContext) -> ExitCode {
    let mut text = Vec::new();
    let read = io::stdin().read_to_end(&mut text);
    let baseline: Option<Baseline> = read.ok().and_then(|_| serde_json::from_slice(&text).ok());
    let Some(baseline) = baseline else {
        return ExitCode::FAILURE;
    };
    let inputs = Inputs::new(Identity::read(context), baseline.juju);
    let probe = match Snapshot::take(&inputs).await {
        Ok(mut snapshot) => {
            snapshot.list_pods_if_unready().await;
            Probe {
                expected: snapshot.expected(&inputs),
                blind: false,
            }
        }
        Err(error) => Probe {
            expected: Expected::unreachable(&snapshot::unobserved(&inputs, &error)),
            blind: true,
        },
    };
    match serde_json::to_vec(&probe).map(|text| io::stdout().write_all(&text)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Looks.
///
/// # Errors
/// When the process cannot be started, does not end in time, or says nothing.
pub fn probe(baseline: &[u8], program: &super::Program) -> Result<Probe, ChildError> {
    match subprocess::run(Command::new(&program.path).arg(PROBE), baseline, PROBE_LIMIT) {
        Ok(output) => serde_json::from_slice(&output.stdout).map_err(|_| ChildError::Failed),
        Err(subprocess::Error::TimedOut(_)) => Err(ChildError::TimedOut),
        Err(_) => Err(ChildError::Failed),
    }
}
