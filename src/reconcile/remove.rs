//! The last hook of a unit: when no other unit is to stay, nothing of ours does.

use std::process::ExitCode;

use tracing::{error, info, warn};

use crate::api_error::ApiError;
use crate::cluster::Cluster;
use crate::identity::Identity;
use crate::permissions::Needs;
use crate::plan::Plan;
use crate::{changes, status};
use juju_hooks::{HookTools, State};

/// Removes everything of ours and waits until it is gone. Run again, it finds nothing to do.
pub async fn run(tools: HookTools, identity: &Identity) -> ExitCode {
    match tools.goal_state() {
        Ok(goal) if goal.units == 0 => {}
        Ok(goal) => {
            info!("{} units stay, so the models do", goal.units);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            // The StatefulSet owns them: if it goes, they go.
            error!("{error}; the models are left to Kubernetes");
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
            let problem = status::api_error(&identity.application, &identity.namespace, &error);
            error!("the models are not removed: {problem}");
            match problem.state {
                // It heals by itself, so Juju should run this hook again.
                State::Waiting => ExitCode::FAILURE,
                // It does not, and a hook that fails for ever keeps the application from going at all.
                _ => ExitCode::SUCCESS,
            }
        }
    }
}

async fn delete_all(identity: &Identity) -> Result<Vec<String>, ApiError> {
    let cluster = Cluster::connect(identity.clone()).await?;
    let observed = cluster.observe_ours(Needs::default()).await?;
    for copy in changes::unmanaged(&Plan::default(), &observed, identity) {
        warn!("{}", status::unmanaged(&identity.namespace, &copy));
    }
    let deletes = changes::removal(&observed, identity);
    for delete in &deletes {
        cluster.delete(delete).await?;
    }
    if deletes.is_empty() {
        return Ok(Vec::new());
    }
    let needs = Needs {
        secrets: !observed.secrets.is_empty(),
        http_routes: !observed.http_routes.is_empty(),
    };
    let left = cluster.wait_until_gone(needs).await?;
    info!("deleted {} objects", deletes.len() - left.len().min(deletes.len()));
    Ok(left)
}
