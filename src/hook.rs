//! Which way a hook goes: all go through [`reconcile`](crate::reconcile), but for removal and actions.

use std::process::ExitCode;

use crate::identity::Identity;
use crate::juju::{Event, HookContext, HookTools, ToolError};
use crate::security::SecurityEvent;
use crate::{actions, reconcile, remove, watcher};

/// Does what Juju started this process for. The exit code is a failure only where Juju should try again by itself:
/// when a status could not be told, or a removal not be asked for.
pub async fn run(context: &HookContext) -> ExitCode {
    let tools = HookTools;
    let identity = Identity::read(context);
    let outcome: Result<(), ToolError> = match &context.event {
        // It fires at every restart of the pod. What serves, serves on.
        Event::Stop => {
            watcher::end(context);
            Ok(())
        }
        Event::Remove => {
            watcher::end(context);
            return remove::run(tools, &identity).await;
        }
        Event::Action(name) => {
            SecurityEvent::Ran { action: name.clone() }.log(tools, context);
            actions::run(tools, context, &identity, name).await
        }
        Event::Hook(_) | Event::RelationBroken(_) | Event::SecretChanged(_) => {
            reconcile::run(tools, context, &identity).await
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let why = error.to_string();
            eprintln!("{why}");
            SecurityEvent::Crashed { why }.log(tools, context);
            ExitCode::FAILURE
        }
    }
}
