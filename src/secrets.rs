//! Which of Juju's secrets a hook reads, and when.
//!
//! For each read of a secret the controller issues a token, and Juju before 3.6.23 leaves a ServiceAccount, a Role and a `RoleBinding` behind
//! for it (juju/juju, issue 22384, fixed by pull request 22399). So a secret is read only when it may have changed, or when what was made of it is not as it was left:
//!
//! - The event says so: `install` and `leader-elected`, since Juju reports changes only to a unit that has read a secret;
//!   `upgrade-charm`, which Juju also runs when a pod was replaced; and `secret-changed`, for the secret that it is about.
//! - The Secret of Kubernetes is missing, which is so for another URI too, or somebody has changed it ([`crate::changes::Unread`]).
//! - A read before failed, or what was read is not applied. Nothing is kept on disk between hooks, so it is kept in the unit's status,
//!   which names such a secret, or a tool of Juju's that failed.

use std::collections::BTreeSet;

use crate::api_error::ApiError;
use crate::asked::Asked;
use crate::config::value::SecretUri;
use crate::judge::{self, Verdict};
use crate::juju::{HookTools, Invocation, Occasion, Status, ToolError};
use crate::labels;
use crate::look::Look;
use crate::plan::secrets::juju_id;

/// The hooks in which every secret is read.
const READ_ON: [&str; 4] = ["install", "leader-elected", "secret-changed", "upgrade-charm"];
/// What a status says in front of secrets whose content is not applied.
const NOT_APPLIED: &str = "not applied yet: ";
/// What it says of more than it has room for.
const ALL: &str = "all secrets";
/// How many it has room for.
const MOST_NAMED: usize = 3;

/// Secrets by their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    All,
    These(BTreeSet<String>),
}

impl Which {
    fn contains(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(ids) => ids.contains(id),
        }
    }
}

/// The secrets that are to be read even if what was made of them is as it was left.
#[derive(Debug)]
pub struct Due {
    /// Those that models without a fault need, and that this Juju has.
    needed: BTreeSet<SecretUri>,
    /// Due by the event, at once: Juju does not repeat it.
    by_event: Which,
    /// Due by the last status, once the cluster can be reached: without it nothing comes of a read.
    by_status: Which,
}

impl Due {
    /// What is due in a hook or an action, by what the unit's status is.
    #[must_use]
    pub fn new(invocation: &Invocation, asked: &Asked, status: Option<&Status>) -> Self {
        let mut needed = asked.config.juju_secrets();
        needed.retain(|uri| !asked.told.secrets.contains_key(&uri.to_string()));
        let by_event = match &invocation.occasion {
            Occasion::Hook(name) if READ_ON.contains(&name.as_str()) => Which::All,
            Occasion::SecretChanged(uri) => Which::These(ids(uri)),
            _ => Which::These(BTreeSet::new()),
        };
        let by_status = match status {
            // The hook that ended on it may have been a secret-changed.
            Some(status) if judge::is_tool_failure(status) => Which::All,
            Some(status) if status.message.contains(&format!("{NOT_APPLIED}{ALL}")) => Which::All,
            Some(status) => Which::These(ids(&status.message)),
            None => Which::All,
        };
        Self {
            needed,
            by_event,
            by_status,
        }
    }

    fn of(&self, which: &Which) -> BTreeSet<SecretUri> {
        let needed = self.needed.iter().filter(|uri| which.contains(uri.id()));
        needed.cloned().collect()
    }

    /// The ids of secrets whose content may be another one than what was made of them, so that the next hook has to read them.
    fn unsettled(&self, asked: &Asked, look: Option<&Look>) -> BTreeSet<String> {
        let is_due = |id: &str| self.by_event.contains(id) || self.by_status.contains(id);
        let is_read = |uri: &SecretUri| asked.told.secrets.contains_key(&uri.to_string());
        // Whatever was read counts, as Juju reports no change of which a unit has read the newest content.
        let needed = self.needed.iter().filter(|uri| is_due(uri.id()) || is_read(uri));
        let Some(look) = look else {
            let mut ids: BTreeSet<String> = needed.map(|uri| uri.id().to_owned()).collect();
            for which in [&self.by_event, &self.by_status] {
                if let Which::These(more) = which {
                    ids.extend(more.iter().cloned());
                }
            }
            return ids;
        };
        let made = |id: &str| secrets(look).any(|(_, made)| made == id);
        // A model that is held keeps what it has, and for an option that is faulty its secrets are not even known.
        let held = |id: &str| secrets(look).any(|(model, made)| made == id && look.plan.held.contains(model));
        let is_applied = |uri: &SecretUri| {
            let planned = look.plan.models.iter().flat_map(|planned| &planned.secrets);
            let mut planned = planned.filter(|secret| secret.uri == *uri);
            is_read(uri) && planned.all(|secret| secret.is_applied(&look.observed))
        };
        // One of which nothing was made is missing, and for that it is read.
        let needed = needed
            .filter(|uri| made(uri.id()) && (held(uri.id()) || !is_applied(uri)))
            .map(|uri| uri.id().to_owned());
        let of_held = secrets(look)
            .map(|(_, id)| id)
            .filter(|id| is_due(id) && held(id))
            .map(ToOwned::to_owned);
        needed.chain(of_held).collect()
    }

    /// Names secrets in the status that the next hook has to read, where it does not name them already.
    pub fn remember(&self, asked: &Asked, look: Option<&Look>, verdict: &mut Verdict) {
        verdict.status.message = naming(&verdict.status.message, &self.unsettled(asked, look));
    }
}

/// A message that names all of these secrets, or says that all are meant.
fn naming(message: &str, unsettled: &BTreeSet<String>) -> String {
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
        return message.to_owned();
    }
    let longer = judge::with_tail(message, &tail(others));
    if unsettled.is_subset(&ids(&longer)) || longer.ends_with(ALL) {
        return longer;
    }
    // One that the message named had no room beside the others.
    judge::with_tail(message, &tail(unsettled.iter().collect()))
}

/// Our Secrets that were made of Juju's, as their model and the id of what they were made of.
fn secrets(look: &Look) -> impl Iterator<Item = (&String, &str)> {
    let all = look.observed.secrets.iter().map(|secret| &secret.0);
    all.filter(|live| look.identity.owns(live)).filter_map(|live| {
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

/// Looks at the cluster, and reads what of Juju's secrets is due. What is not read is as it was left.
///
/// # Errors
/// When a hook tool fails.
pub async fn look(
    tools: HookTools,
    invocation: &Invocation,
    asked: &mut Asked,
    due: &Due,
) -> Result<Result<Look, ApiError>, ToolError> {
    asked.read_secrets(tools, invocation, &due.of(&due.by_event))?;
    let mut look = match Look::first(asked).await {
        Ok(look) => look,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut uris = due.of(&due.by_status);
    uris.extend(look.changes.unread.iter().map(|unread| unread.uri.clone()));
    uris.retain(|uri| !asked.told.secrets.contains_key(&uri.to_string()));
    if !uris.is_empty() {
        asked.read_secrets(tools, invocation, &uris)?;
        if let Err(refusal) = look.plan_again(asked).await {
            return Ok(Err(refusal));
        }
    }
    Ok(Ok(look))
}

/// The same for an action, which changes no status.
///
/// # Errors
/// When a hook tool fails.
pub async fn look_now(
    tools: HookTools,
    invocation: &Invocation,
    asked: &mut Asked,
) -> Result<Result<Look, ApiError>, ToolError> {
    // Without a secret of Juju's its status is of no account.
    let status = if asked.config.juju_secrets().is_empty() {
        None
    } else {
        tools.status().unwrap_or_default()
    };
    let due = Due::new(invocation, asked, status.as_ref());
    look(tools, invocation, asked, &due).await
}

/// Forgets what was read of secrets and is applied, so that it goes no further: what is there says the same.
pub fn forget(asked: &mut Asked, look: &Look) {
    let planned: Vec<_> = look.plan.models.iter().flat_map(|planned| &planned.secrets).collect();
    let is_applied = |uri: &str| {
        let mut of_it = planned.iter().filter(|secret| secret.uri.to_string() == uri).peekable();
        of_it.peek().is_some() && of_it.all(|secret| secret.is_applied(&look.observed))
    };
    asked
        .told
        .secrets
        .retain(|uri, answer| answer.is_err() || !is_applied(uri));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_names_every_secret_that_has_to_be_read() {
        let id = |number: usize| format!("9m4e2mr0ui3e8a21{number:04}");
        let set = |count: usize| (0..count).map(id).collect::<BTreeSet<_>>();
        let long = format!("iris: {} secret:{} {}", "x".repeat(120), id(0), "y".repeat(120));
        let messages = [
            "",
            "the Kubernetes API cannot be reached",
            &format!("secret:{} is not granted", id(0)),
            &long,
        ];
        for message in messages.map(judge::cut) {
            for count in 0..6 {
                let said = naming(&message, &set(count));
                assert!(said.chars().count() <= 240, "{said}");
                let is_all = said.contains(&format!("{NOT_APPLIED}{ALL}"));
                assert!(is_all || set(count).is_subset(&ids(&said)), "{count}: {said}");
                if count == 0 {
                    assert_eq!(said, message);
                }
            }
        }
    }

    #[test]
    fn secrets_in_a_status_are_found_by_their_uris() {
        const ONE: &str = "9m4e2mr0ui3e8a215n4g";
        const OTHER: &str = "9m4e2mr0ui3e8a215n50";
        let all = BTreeSet::from([ONE, OTHER].map(String::from));
        for text in [
            format!("option image-pull-secret=secret:{ONE}: is not granted; {NOT_APPLIED}secret:{OTHER}"),
            format!("secret:{ONE}, secret:{OTHER}"),
            format!("secret://aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee/{ONE} (secret:{OTHER})"),
        ] {
            assert_eq!(ids(&text), all, "{text}");
        }
        for text in [
            "",
            "secret:",
            "secret:…",
            "there is a Secret iris-image-pull-9m4e2mr0ui3e8a215n4g of somebody else",
        ] {
            assert!(ids(text).is_empty(), "{text}");
        }
    }
}
