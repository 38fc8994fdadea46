//! One look of the watcher: a process of its own, so that the memory it takes is given back when it is over. A fleet of a
//! hundred models takes twice what the watcher has.

use std::io::{self, Read as _, Write as _};
use std::process::{Command, ExitCode};

use serde::{Deserialize, Serialize};

use super::health::{ChildError, LOOK_LIMIT};
use super::{Brief, LOOK};
use crate::asked::Asked;
use crate::identity::Identity;
use crate::juju::Invocation;
use crate::look::{self, Look, Outlook};
use crate::process;

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// What a hook would come to.
    pub outlook: Outlook,
    /// Whether that is only because the cluster could not be looked at.
    pub blind: bool,
}

/// Is such a process: the brief comes on standard input, and what was seen goes to standard output.
pub async fn run(invocation: &Invocation) -> ExitCode {
    let mut text = Vec::new();
    let read = io::stdin().read_to_end(&mut text);
    let brief: Option<Brief> = read.ok().and_then(|_| serde_json::from_slice(&text).ok());
    let Some(brief) = brief else {
        return ExitCode::FAILURE;
    };
    let asked = Asked::new(Identity::read(invocation), brief.told);
    let sight = match Look::first(&asked).await {
        Ok(mut look) => {
            look.deeper().await;
            Sight {
                outlook: look.outlook(&asked),
                blind: false,
            }
        }
        Err(refusal) => Sight {
            outlook: Outlook::blind(&look::unseen(&asked, &refusal)),
            blind: true,
        },
    };
    match serde_json::to_vec(&sight).map(|text| io::stdout().write_all(&text)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Looks.
///
/// # Errors
/// When the process cannot be started, does not end in time, or says nothing.
pub fn look(brief: &[u8], program: &super::Program) -> Result<Sight, ChildError> {
    match process::run(Command::new(&program.path).arg(LOOK), brief, LOOK_LIMIT) {
        Ok(output) => serde_json::from_slice(&output.stdout).map_err(|_| ChildError::Failed),
        Err(process::Error::TimedOut(_)) => Err(ChildError::TimedOut),
        Err(_) => Err(ChildError::Failed),
    }
}
