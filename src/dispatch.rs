//! Which way a hook goes: all go through [`reconcile`](crate::reconcile), but for removal and actions.

use std::process::ExitCode;

use crate::identity::Identity;
use crate::juju::{HookTools, Invocation, Occasion, ToolError};
use crate::security::SecurityEvent;
use crate::{actions, reconcile, remove, watch};

/// Does what Juju started this process for. The exit code is a failure only where Juju should try again by itself:
/// when a status could not be told, or a removal not be asked for.
pub async fn run(invocation: &Invocation) -> ExitCode {
    let tools = HookTools;
    let identity = Identity::read(invocation);
    let outcome: Result<(), ToolError> = match &invocation.occasion {
        // It fires at every restart of the pod. What serves, serves on.
        Occasion::Stop => {
            watch::end(invocation);
            Ok(())
        }
        Occasion::Remove => {
            watch::end(invocation);
            return remove::run(tools, &identity).await;
        }
        Occasion::Action(name) => {
            SecurityEvent::Ran { action: name.clone() }.tell(tools, invocation);
            actions::run(tools, invocation, &identity, name).await
        }
        Occasion::Hook(_) | Occasion::RelationBroken(_) | Occasion::SecretChanged(_) => {
            reconcile::run(tools, invocation, &identity).await
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let why = error.to_string();
            eprintln!("{why}");
            SecurityEvent::Crashed { why }.tell(tools, invocation);
            ExitCode::FAILURE
        }
    }
}
