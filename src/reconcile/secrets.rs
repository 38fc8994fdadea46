//! Which of Juju's secrets a hook reads, and when.
//!
//! For each read of a secret the controller issues a token, and Juju before 3.6.23 leaves a ServiceAccount, a Role and a `RoleBinding` behind
//! for it (juju/juju, issue 22384, fixed by pull request 22399). So a secret is read only in these cases:
//!
//! - Its content may have changed: on `install` and `leader-elected`, since Juju reports changes only to a unit that has read a secret;
//!   on `upgrade-charm`, which Juju also runs when a pod was replaced; and on `secret-changed`, for the secret that it is about.
//! - The Kubernetes Secret is missing, as for a new URI, or was changed by another client ([`crate::changes::Unread`]).
//! - An earlier read failed, or its content is not applied. Nothing is kept on disk between hooks; the unit's status has it, as the
//!   URI of such a secret or as a hook tool that failed.

use std::collections::BTreeSet;

use crate::api_error::ApiError;
use crate::config::value::SecretUri;
use crate::inputs::Inputs;
use crate::labels;
use crate::plan::secrets::juju_id;
use crate::reconcile::snapshot::Snapshot;
use crate::status::{self, Report};
use juju_hooks::{Event, HookContext, HookTools, Status, ToolError};

/// The hooks in which every secret is read.
const READ_ON: [&str; 4] = ["install", "leader-elected", "secret-changed", "upgrade-charm"];
/// Stands in a status before secrets whose content is not applied. The next hook finds them by it, also that of another revision
/// of the charm.
const NOT_APPLIED: &str = "not applied yet: ";
/// Stands for more secrets than a status has room for.
const ALL: &str = "all secrets";
/// How many secrets a status has room for.
const MOST_NAMED: usize = 3;

/// A set of secret ids.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SecretSet {
    All,
    These(BTreeSet<String>),
}

impl SecretSet {
    fn contains(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(ids) => ids.contains(id),
        }
    }
}

/// The secrets to read although their Kubernetes Secrets are up to date.
#[derive(Debug)]
pub struct DueReads {
    /// The secrets of valid models, as far as this Juju has secrets.
    needed: BTreeSet<SecretUri>,
    /// Due by the event, at once: Juju does not repeat an event.
    by_event: SecretSet,
    /// Due by the last status, once the cluster is reachable: without it a read is useless.
    by_status: SecretSet,
}

impl DueReads {
    /// `status` is the unit's status before the hook or action.
    pub fn new(context: &HookContext, inputs: &Inputs, status: Option<&Status>) -> Self {
        let mut needed = inputs.config.juju_secrets();
        needed.retain(|uri| !inputs.juju.secrets.contains_key(uri));
        let by_event = match &context.event {
            Event::Hook(name) if READ_ON.contains(&name.as_str()) => SecretSet::All,
            Event::SecretChanged(uri) => SecretSet::These(ids(uri)),
            _ => SecretSet::These(BTreeSet::new()),
        };
        let by_status = match status {
            // The hook that failed may have been a secret-changed.
            Some(status) if status::is_tool_failure(status) => SecretSet::All,
            Some(status) if status.message.contains(&format!("{NOT_APPLIED}{ALL}")) => SecretSet::All,
            Some(status) => SecretSet::These(ids(&status.message)),
            None => SecretSet::All,
        };
        Self {
            needed,
            by_event,
            by_status,
        }
    }

    fn due(&self, which: &SecretSet) -> BTreeSet<SecretUri> {
        let needed = self.needed.iter().filter(|uri| which.contains(uri.id()));
        needed.cloned().collect()
    }

    /// The ids of secrets whose content may differ from the Kubernetes Secrets, so that the next hook has to read them.
    fn unsettled(&self, inputs: &Inputs, snapshot: Option<&Snapshot>) -> BTreeSet<String> {
        let is_due = |id: &str| self.by_event.contains(id) || self.by_status.contains(id);
        let is_read = |uri: &SecretUri| inputs.juju.secrets.contains_key(uri);
        // A secret that was read counts too: Juju reports no change of which a unit has read the newest content.
        let needed = self.needed.iter().filter(|uri| is_due(uri.id()) || is_read(uri));
        let Some(snapshot) = snapshot else {
            let mut ids: BTreeSet<String> = needed.map(|uri| uri.id().to_owned()).collect();
            for which in [&self.by_event, &self.by_status] {
                if let SecretSet::These(more) = which {
                    ids.extend(more.iter().cloned());
                }
            }
            return ids;
        };
        let exists = |id: &str| secrets(snapshot).any(|(_, other)| other == id);
        // A frozen model keeps what it has, and the secrets of an invalid option are unknown.
        let frozen =
            |id: &str| secrets(snapshot).any(|(model, other)| other == id && snapshot.plan.frozen.contains(model));
        let is_applied = |uri: &SecretUri| {
            let planned = snapshot.plan.models.iter().flat_map(|planned| &planned.secrets);
            let mut planned = planned.filter(|secret| secret.uri == *uri);
            is_read(uri) && planned.all(|secret| secret.is_applied(&snapshot.observed))
        };
        // A missing Kubernetes Secret is a reason of its own to read.
        let needed = needed
            .filter(|uri| exists(uri.id()) && (frozen(uri.id()) || !is_applied(uri)))
            .map(|uri| uri.id().to_owned());
        let of_frozen = secrets(snapshot)
            .map(|(_, id)| id)
            .filter(|id| is_due(id) && frozen(id))
            .map(ToOwned::to_owned);
        needed.chain(of_frozen).collect()
    }

    /// Names the secrets in the status that the next hook has to read.
    pub fn remember(&self, inputs: &Inputs, snapshot: Option<&Snapshot>, report: &mut Report) {
        report.status.message = append_unsettled(report, &self.unsettled(inputs, snapshot));
    }
}

/// The message of the status, with all of these secrets in it.
fn append_unsettled(report: &Report, unsettled: &BTreeSet<String>) -> String {
    let message = &report.status.message;
    let tail = |ids: BTreeSet<&String>| {
        let uris: Vec<String> = ids.into_iter().map(|id| format!("secret:{id}")).collect();
        let list = if uris.len() > MOST_NAMED {
            ALL.to_owned()
        } else {
            uris.join(", ")
        };
        format!("; {NOT_APPLIED}{list}")
    };
    let named = ids(message);
    let others: BTreeSet<&String> = unsettled.difference(&named).collect();
    if others.is_empty() {
        return message.clone();
    }
    let longer = report.message_with_tail(&tail(others));
    if unsettled.is_subset(&ids(&longer)) || longer.ends_with(ALL) {
        return longer;
    }
    // A secret that the message named was cut off.
    report.message_with_tail(&tail(unsettled.iter().collect()))
}

/// Our Secrets with the content of Juju's, by model and the id of Juju's secret.
fn secrets(snapshot: &Snapshot) -> impl Iterator<Item = (&String, &str)> {
    let all = snapshot.observed.secrets.iter().map(|secret| &secret.0);
    all.filter(|live| snapshot.identity.owns(live)).filter_map(|live| {
        let model = live.metadata.labels.as_ref()?.get(labels::MODEL)?;
        Some((model, juju_id(live.metadata.name.as_deref()?)?))
    })
}

/// The ids of all secrets that a text names by their URIs.
fn ids(text: &str) -> BTreeSet<String> {
    let rest = text
        .match_indices("secret:")
        .filter_map(|(at, scheme)| text.get(at + scheme.len()..));
    rest.filter_map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "/-".contains(c)));
        let uri = rest.get(..end.unwrap_or(rest.len()))?;
        SecretUri::read(&format!("secret:{uri}"))
    })
    .map(|uri| uri.id().to_owned())
    .collect()
}

/// Observes the cluster, and reads the secrets that are due. The Kubernetes Secrets of the others are up to date.
pub async fn snapshot(
    tools: HookTools,
    context: &HookContext,
    inputs: &mut Inputs,
    due: &DueReads,
) -> Result<Result<Snapshot, ApiError>, ToolError> {
    inputs.read_secrets(tools, context, &due.due(&due.by_event))?;
    let mut snapshot = match Snapshot::take(inputs).await {
        Ok(snapshot) => snapshot,
        Err(error) => return Ok(Err(error)),
    };
    let mut uris = due.due(&due.by_status);
    uris.extend(snapshot.changes.unread.iter().map(|unread| unread.uri.clone()));
    uris.retain(|uri| !inputs.juju.secrets.contains_key(uri));
    if !uris.is_empty() {
        inputs.read_secrets(tools, context, &uris)?;
        if let Err(error) = snapshot.replan(inputs).await {
            return Ok(Err(error));
        }
    }
    Ok(Ok(snapshot))
}

/// The same for an action, which sets no status.
pub async fn snapshot_for_action(
    tools: HookTools,
    context: &HookContext,
    inputs: &mut Inputs,
) -> Result<Result<Snapshot, ApiError>, ToolError> {
    // The status matters only with a secret of Juju's.
    let status = if inputs.config.juju_secrets().is_empty() {
        None
    } else {
        tools.status_get().unwrap_or_default()
    };
    let due = DueReads::new(context, inputs, status.as_ref());
    snapshot(tools, context, inputs, &due).await
}

/// Drops the contents that are applied: the watcher must not get them, and the Kubernetes Secrets have them.
pub fn forget(inputs: &mut Inputs, snapshot: &Snapshot) {
    let planned: Vec<_> = snapshot
        .plan
        .models
        .iter()
        .flat_map(|planned| &planned.secrets)
        .collect();
    let is_applied = |uri: &SecretUri| {
        let mut users = planned.iter().filter(|secret| secret.uri == *uri).peekable();
        users.peek().is_some() && users.all(|secret| secret.is_applied(&snapshot.observed))
    };
    inputs
        .juju
        .secrets
        .retain(|uri, answer| answer.is_err() || !is_applied(uri));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::{Commands, JujuCli};
    use crate::status::Message;

    #[test]
    fn status_names_every_unread_secret() {
        let id = |number: usize| format!("9m4e2mr0ui3e8a21{number:04}");
        let set = |count: usize| (0..count).map(id).collect::<BTreeSet<_>>();
        let long = format!("{} secret:{} {}", "x".repeat(120), id(0), "y".repeat(120));
        let run = "juju config iris image-pull-secret=…";
        let commands = Commands {
            application: "iris",
            namespace: "edge",
            juju: JujuCli::default(),
        };
        for problem in [
            Message::waiting("Kubernetes API unreachable"),
            Message::blocked(format!("secret:{} is not granted", id(0))).run(run),
            Message::blocked("iris: image cannot be pulled").run(run).cause(&long),
            Message::blocked(&long),
        ] {
            let report = Report::from_messages(vec![problem.clone()], &commands);
            for count in 0..6 {
                let message = append_unsettled(&report, &set(count));
                assert!(message.chars().count() <= 240, "{message}");
                assert!(problem.run.is_none() || message.contains(run), "{message}");
                let is_all = message.contains(&format!("{NOT_APPLIED}{ALL}"));
                assert!(is_all || set(count).is_subset(&ids(&message)), "{count}: {message}");
                if count == 0 {
                    assert_eq!(message, report.status.message);
                }
            }
        }
    }

    #[test]
    fn secrets_in_a_status_are_found_by_uri() {
        const ONE: &str = "9m4e2mr0ui3e8a215n4g";
        const OTHER: &str = "9m4e2mr0ui3e8a215n50";
        let all = BTreeSet::from([ONE, OTHER].map(String::from));
        for text in [
            format!(
                "option image-pull-secret: is not granted. Run: juju grant-secret secret:{ONE} iris; {NOT_APPLIED}secret:{OTHER}"
            ),
            format!("secret:{ONE}, secret:{OTHER}"),
            format!("secret://aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee/{ONE} (secret:{OTHER})"),
        ] {
            assert_eq!(ids(&text), all, "{text}");
        }
        for text in [
            "",
            "secret:",
            "secret:…",
            "Secret iris-image-pull-9m4e2mr0ui3e8a215n4g is not of this application",
        ] {
            assert!(ids(text).is_empty(), "{text}");
        }
    }
}
