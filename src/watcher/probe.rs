//! Observes the cluster once for the watcher. This is a process of its own, so that its memory is freed: a fleet of a
//! hundred models takes twice as much as the watcher itself.

use std::io::{self, Read as _, Write as _};
use std::process::{Command, ExitCode};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::health::{ChildError, PROBE_LIMIT};
use super::{Baseline, PROBE};
use crate::actions::served::Gateways;
use crate::api_error::ApiError;
use crate::identity::Identity;
use crate::inputs::Inputs;
use crate::plan::served::Due;
use crate::reconcile::snapshot::{self, Expected, Snapshot};
use juju_hooks::HookContext;
use juju_hooks::subprocess;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The outcome of a hook if it ran now.
    pub expected: Expected,
    /// Whether the cluster could not be observed.
    pub unreachable: bool,
}

/// The child process: reads the baseline from standard input and writes the result to standard output.
pub async fn run(context: &HookContext) -> ExitCode {
    let mut text = Zeroizing::new(Vec::new());
    let read = io::stdin().read_to_end(&mut text);
    let baseline: Option<Baseline> = read.ok().and_then(|_| serde_json::from_slice(&text).ok());
    drop(text);
    let Some(baseline) = baseline else {
        return ExitCode::FAILURE;
    };
    let inputs = Inputs::new(Identity::read(context), baseline.juju);
    let probe = match Snapshot::take(&inputs).await {
        Ok(mut snapshot) => {
            // A probe changes no route, and pods that start cause many probes.
            let due = match baseline.expected.retry_after {
                Some(_) => Due::Changed,
                None => Due::Marked,
            };
            let answers = Gateways::default().ask(&snapshot, due).await;
            if let Err(error) = snapshot.set_answers(answers, &inputs).await {
                return print(&unreachable(&inputs, &error));
            }
            snapshot.list_pods_if_unready().await;
            Probe {
                expected: snapshot.expected(&inputs),
                unreachable: false,
            }
        }
        Err(error) => unreachable(&inputs, &error),
    };
    print(&probe)
}

fn unreachable(inputs: &Inputs, error: &ApiError) -> Probe {
    Probe {
        expected: Expected::unreachable(&snapshot::unobserved(inputs, error)),
        unreachable: true,
    }
}

fn print(probe: &Probe) -> ExitCode {
    match serde_json::to_vec(probe).map(|text| io::stdout().write_all(&text)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Runs the child process.
pub fn probe(baseline: &[u8], program: &super::Program) -> Result<Probe, ChildError> {
    match subprocess::run(Command::new(&program.path).arg(PROBE), baseline, PROBE_LIMIT) {
        Ok(output) => serde_json::from_slice(&output.stdout).map_err(|_| ChildError::Failed),
        Err(subprocess::Error::TimedOut(_)) => Err(ChildError::TimedOut),
        Err(_) => Err(ChildError::Failed),
    }
}
