//! Objects of others that are in the way of a model's.

use std::collections::BTreeMap;

use crate::changes::{CompetingRoute, CompetingRoutes, Competition, Conflict, Unmanaged};
use crate::config::Model;
use crate::labels::ObjectKind;
use crate::shell::{Commands, kubectl};
use crate::status::{Message, StatusInput, fix};

pub fn conflict(input: &StatusInput, model: &Model, conflict: &Conflict) -> Message {
    let commands = input.commands();
    match conflict {
        Conflict::NameTaken {
            kind,
            name,
            application,
        } => {
            let owner = application
                .as_ref()
                .map_or("not of this application".to_owned(), |owner| {
                    format!("of application {owner}")
                });
            // The name of a Secret follows from that of the model.
            let rename = match kind {
                ObjectKind::SeldonDeployment | ObjectKind::VirtualService | ObjectKind::HttpRoute => {
                    "rename the model or "
                }
                ObjectKind::Secret | ObjectKind::RequestAuthentication | ObjectKind::AuthorizationPolicy => "",
            };
            let kind = kind.as_str();
            Message::blocked(format!("name taken by another {kind}"))
                .run_destructive(commands.kubectl("delete", kind, name))
                .cause(format!("{kind} {name} is {owner}; {rename}delete it"))
        }
        Conflict::ForeignOwner { kind, name, owner } => {
            let kind = kind.as_str();
            Message::blocked("owned by another object too")
                .run(commands.kubectl("edit", kind, name))
                .cause(format!(
                    "remove {owner} from metadata.ownerReferences, or Kubernetes deletes the {kind} with it"
                ))
        }
        Conflict::ForeignFinalizer { kind, name, finalizer } => {
            let kind = kind.as_str();
            Message::blocked("held by a foreign finalizer")
                .run(commands.kubectl("edit", kind, name))
                .cause(format!(
                    "remove {finalizer} from metadata.finalizers, or the {kind} can never be deleted"
                ))
        }
        Conflict::GrpcHostTaken { host, kind, route } => Message::blocked("grpc-host taken by another route").fix(
            fix::set(input, model, "grpc-host", "…"),
            &format!("{host}: {} {route} on the same gateway", kind.as_str()),
        ),
        Conflict::PrefixTaken { prefix, kind, route } => Message::blocked("prefix taken by another route").fix(
            fix::set(input, model, "prefix", "…"),
            &format!("{prefix}: {} {route} on the same gateway", kind.as_str()),
        ),
        Conflict::ShadowedByCatchAll { route } => {
            let (namespace, name) = route.split_once('/').unwrap_or((input.namespace, route));
            Message::blocked("shadowed by a catch-all route")
                .run_destructive(kubectl(namespace, "delete", "VirtualService", name))
                .cause(format!(
                    "VirtualService {route} is older and matches every path; before Istio 1.15 it has to be recreated after this one"
                ))
        }
    }
}

/// An object with our labels that is not ours.
pub fn unmanaged(namespace: &str, copy: &Unmanaged) -> String {
    let (kind, name) = (copy.kind.as_str(), &copy.name);
    format!(
        "{kind} {name} has this application's labels but was not applied by it; left unchanged. Run: {} (if nothing needs it)",
        kubectl(namespace, "delete", kind, name)
    )
}

/// All of those, for an active status: there they are noticed, and gone from it as soon as they are deleted.
pub fn unmanaged_summary(copies: &[Unmanaged], serving: &str, commands: &Commands) -> Option<Message> {
    let (first, others) = copies.split_first()?;
    let (kind, name) = (first.kind.as_str(), &first.name);
    let more = match others.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let count = copies.len();
    let objects = if count == 1 { "object" } else { "objects" };
    Some(
        Message::active(format!("{serving}; {count} unmanaged {objects}"))
            .run(commands.diagnose())
            .cause(format!("{kind} {name}{more}")),
    )
}

/// What a route of another client does with a model's requests.
pub fn competing_route(competing: &CompetingRoute) -> String {
    let (kind, route) = (competing.kind.as_str(), &competing.route);
    match competing.how {
        Competition::MayTake => format!("{kind} {route} may take some of its requests"),
        Competition::ComesLater => format!("{kind} {route} claims its requests too, and comes later"),
        Competition::CatchAll => format!("{kind} {route} matches every path without another route"),
    }
}

/// Those that an operator has to know of, by model.
fn noteworthy(competing: &BTreeMap<String, CompetingRoutes>) -> impl Iterator<Item = (&String, &CompetingRoutes)> {
    let is_catch_all = |route: &CompetingRoute| route.how == Competition::CatchAll;
    competing
        .iter()
        .filter(move |(_, routes)| !routes.named.iter().all(is_catch_all))
}

/// For the log, one line for each model.
pub fn competing(competing: &BTreeMap<String, CompetingRoutes>) -> impl Iterator<Item = String> {
    noteworthy(competing).filter_map(|(model, routes)| {
        let first = competing_route(routes.named.first()?);
        let more = routes.named.len() - 1 + routes.more;
        let more = if more == 0 {
            String::new()
        } else {
            format!(", and {more} more")
        };
        Some(format!("{model}: {first}{more}"))
    })
}

/// All of those, for an active status.
pub fn competing_summary(
    competing: &BTreeMap<String, CompetingRoutes>,
    serving: &str,
    commands: &Commands,
) -> Option<Message> {
    let first = self::competing(competing).next()?;
    let others = noteworthy(competing).count() - 1;
    let more = if others == 0 {
        String::new()
    } else {
        format!(", and {others} more models")
    };
    Some(
        Message::active(format!("{serving}; shares requests with other routes"))
            .run(commands.diagnose())
            .cause(format!("{first}{more}")),
    )
}
