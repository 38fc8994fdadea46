//! relation-ids, relation-list, relation-get and relation-model-get.

use std::collections::{BTreeMap, BTreeSet};

use super::value::Node;
use super::{Arguments, Context, Failure, RelationView, Reply};
use crate::juju::{Life, application_of};

pub(super) fn ids(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let hook = context.relation.and_then(|id| context.relations.get(&id));
    let endpoint = arguments
        .parsed
        .at(0)
        .or_else(|| hook.map(|relation| relation.endpoint.as_str()));
    let Some(endpoint) = endpoint else {
        let what = if context.version.at_least(4, 0, 0) {
            "endpoint"
        } else {
            "relation"
        };
        return Err(Failure::Usage(format!("no {what} name specified")));
    };
    arguments.at_most(1)?;
    // As strings: m:10 comes before m:2.
    let keys: BTreeSet<String> = context
        .relations
        .iter()
        .filter(|(_, relation)| relation.endpoint == endpoint && relation.life != Life::Dead)
        .map(|(id, relation)| format!("{}:{id}", relation.endpoint))
        .collect();
    Ok(Reply::Value(Node::texts(keys)))
}

pub(super) fn list(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let id = arguments.relation(context)?;
    arguments.at_most(0)?;
    let relation = context.relations.get(&id).ok_or_else(not_found)?;
    Ok(Reply::Value(if arguments.parsed.is_set("app") {
        Node::text(&relation.remote_app)
    } else {
        Node::texts(&relation.units)
    }))
}

pub(super) fn get(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let id = arguments.relation(context)?;
    let parsed = &arguments.parsed;
    let key = parsed.at(0).filter(|key| !key.is_empty() && *key != "-");
    let app = parsed.is_set("app");
    let (owner, is_app) = match parsed.at(1) {
        Some(name) => named(context, name, app)?,
        None => by_default(context, app)?,
    };
    arguments.at_most(2)?;
    let bag = bag(context, id, &owner, is_app)?;
    Ok(Reply::Value(match key {
        Some(key) => bag.get(key).map(Node::text).unwrap_or_default(),
        None => Node::from(&bag),
    }))
}

/// The bag a name stands for; the flag says whether it is an application's.
fn named(context: &Context, name: &str, app: bool) -> Result<(String, bool), Failure> {
    if app {
        return Ok((application_of(name).to_owned(), true));
    }
    // 2.9 does not look at the name and lets the controller refuse it.
    if context.version.at_least(3, 0, 0) && !is_unit(name) {
        return Err(Failure::Usage(if is_application(name) {
            format!("expected unit name, got application name {name:?}")
        } else {
            format!("invalid unit name {name:?}")
        }));
    }
    Ok((name.to_owned(), false))
}

/// Without a name: the hook's remote unit, or its application when there is none or `--app` is given.
fn by_default(context: &Context, app: bool) -> Result<(String, bool), Failure> {
    let unit = context.remote_unit.clone().filter(|_| !app).map(|unit| (unit, false));
    let application = context.remote_app.clone().map(|application| (application, true));
    unit.or(application)
        .ok_or_else(|| Failure::Usage("no unit or application specified".to_owned()))
}

fn bag(context: &Context, id: u32, owner: &str, is_app: bool) -> Result<BTreeMap<String, String>, Failure> {
    // The id is listed and the other application known by the agent; bags are the controller's.
    let relation = on_controller(context, id)?;
    let own = owner == context.application() || owner == context.unit;
    if own {
        // A peer relation's application bag may be read by every unit; any other only by the leader.
        if is_app && !context.leader && !relation.peer {
            return Err(Failure::Run("permission denied".to_owned()));
        }
        return Ok(context.own_bag(id, owner));
    }
    let known = if is_app {
        owner == relation.remote_app
    } else {
        relation.units.contains(owner) || (is_unit(owner) && relation.bags.contains_key(owner))
    };
    if !known {
        let endpoint = &relation.endpoint;
        return Err(Failure::Run(format!(
            "cannot read settings for unit {owner:?} in relation \"{endpoint}:{id}\": permission denied"
        )));
    }
    Ok(relation.bags.get(owner).cloned().unwrap_or_default())
}

pub(super) fn model_get(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let id = arguments.relation(context)?;
    arguments.at_most(0)?;
    let relation = context.relations.get(&id).ok_or_else(not_found)?;
    Ok(Reply::Value(Node::map([(
        "uuid",
        Node::text(&relation.remote_model_uuid),
    )])))
}

/// A relation that the controller has, too.
pub(super) fn on_controller(context: &Context, id: u32) -> Result<&RelationView, Failure> {
    let relation = context.relations.get(&id).filter(|relation| !relation.forced);
    relation.ok_or_else(not_found)
}

pub(super) fn not_found() -> Failure {
    Failure::Run("relation not found".to_owned())
}

/// `name/0` (juju/names: unit.go).
pub(super) fn is_unit(text: &str) -> bool {
    text.split_once('/').is_some_and(|(application, number)| {
        is_application(application) && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// A lower-case letter, then letters and digits in groups joined by hyphens (juju/names: application.go).
fn is_application(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_lowercase())
        && text.split('-').all(|group| {
            !group.is_empty()
                && group
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}
