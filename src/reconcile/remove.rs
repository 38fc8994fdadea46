//! The last hook of a unit. The last unit removes all objects of the application.

use std::collections::BTreeSet;
use std::process::ExitCode;

use tracing::{error, info, warn};

use crate::api_error::ApiError;
use crate::cluster::Cluster;
use crate::identity::Identity;
use crate::permissions::Needs;
use crate::plan::Plan;
use crate::plan::readiness::GATEWAY_PROPAGATION;
use crate::{changes, status};
use juju_hooks::{HookContext, HookTools, State};

/// Deletes all objects of ours and waits until they are gone. Idempotent.
pub async fn run(tools: HookTools, context: &HookContext, identity: &Identity) -> ExitCode {
    match tools.goal_state() {
        Ok(goal) if goal.units == 0 => {}
        Ok(goal) => {
            info!("{} units remain, so the models stay", goal.units);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            // The StatefulSet owns them: they are deleted with it.
            error!("{error}; Kubernetes deletes the models with the application");
            return ExitCode::SUCCESS;
        }
    }
    match delete_all(identity).await {
        Ok(left) if left.is_empty() => ExitCode::SUCCESS,
        Ok(left) => {
            warn!("{}", status::removal_incomplete(&left));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let commands = identity.commands(context.version.as_ref());
            let problem = status::api_error(&commands, &error);
            error!("failed to remove the models: {problem}");
            match problem.state {
                // Recovers on its own, so Juju should run this hook again.
                State::Waiting => ExitCode::FAILURE,
                // Does not recover, and a hook that fails for ever would keep Juju from removing the application.
                _ => ExitCode::SUCCESS,
            }
        }
    }
}

async fn delete_all(identity: &Identity) -> Result<Vec<String>, ApiError> {
    let cluster = Cluster::connect(identity.clone()).await?;
    let observed = cluster.observe_ours(&Needs::default()).await?;
    for copy in changes::unmanaged(&Plan::default(), &observed, identity) {
        warn!("{}", status::unmanaged(&identity.namespace, &copy));
    }
    let deletes = changes::removal(&observed, identity);
    let (routes, others): (Vec<_>, Vec<_>) = deletes.iter().partition(|delete| delete.kind.is_route());
    for delete in &routes {
        cluster.delete(delete).await?;
    }
    // No gateway may lose the policies before it loses the route.
    if !routes.is_empty() && others.iter().any(|delete| delete.kind.is_access_policy()) {
        tokio::time::sleep(GATEWAY_PROPAGATION).await;
    }
    for delete in &others {
        cluster.delete(delete).await?;
    }
    if deletes.is_empty() {
        return Ok(Vec::new());
    }
    let needs = Needs {
        secrets: !observed.secrets.is_empty(),
        http_routes: !observed.http_routes.is_empty(),
        // Nothing keeps those from being deleted at once.
        policies: BTreeSet::new(),
    };
    let left = cluster.wait_until_gone(&needs).await?;
    info!("deleted {} objects", deletes.len() - left.len().min(deletes.len()));
    Ok(left)
}
