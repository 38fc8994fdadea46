//! What a hook's tools see of the world, and what of their doing goes back into it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};

use crate::hooktool::{ActionView, Binding, Context, Interface, Node, Pending, RelationView};
use crate::juju::{Application, Life, Relation, Unit, World, application_of};
use crate::juju::{Hook, RelationEvent};

/// The context of a hook that is about to run.
pub(super) fn context(world: &World, unit_name: &str, hook: &Hook) -> Result<Context> {
    let application = world.application(application_of(unit_name))?;
    let unit = world.unit(unit_name)?;
    let mut context = Context {
        version: world.version.clone(),
        unit: unit_name.to_owned(),
        leader: application.leader.as_deref() == Some(unit_name),
        config: application.effective_config(),
        relations: relations(world, application, unit),
        state: unit.state.clone(),
        unit_status: unit.status.clone(),
        application_status: application.status.clone(),
        units_status: application
            .units
            .values()
            .map(|unit| (unit.name.clone(), unit.status.clone()))
            .collect(),
        goal_state: goal_state(world, application),
        secrets: world.secrets.clone(),
        tracked: unit.secrets.clone(),
        bindings: bindings(application, unit),
        private_address: unit.address.clone(),
        public_address: unit.address.clone(),
        ports: unit.ports.clone(),
        leader_settings: application.leader_settings.clone(),
        ..Context::default()
    };
    match hook {
        Hook::Plain(_) | Hook::Secret { .. } | Hook::Exec { .. } => {}
        Hook::Relation {
            event,
            id,
            unit: remote_unit,
            ..
        } => {
            let relation = world
                .relations
                .get(id)
                .with_context(|| format!("relation {id} not found"))?;
            let remote = relation
                .remote(&application.name)
                .with_context(|| format!("{} takes no part in relation {id}", application.name))?;
            context.relation = Some(*id);
            context.remote_unit.clone_from(remote_unit);
            context.remote_app = Some(remote.application.clone());
            let view = context.relations.entry(*id).or_default();
            match (event, remote_unit) {
                (RelationEvent::Joined | RelationEvent::Changed, Some(remote)) => {
                    view.units.insert(remote.clone());
                }
                (RelationEvent::Departed, Some(remote)) => {
                    view.units.remove(remote);
                }
                (RelationEvent::Broken | RelationEvent::Created, _) => view.units.clear(),
                _ => {}
            }
            if *event == RelationEvent::Broken {
                view.life = Life::Dying;
            }
        }
        Hook::Action { params, .. } => {
            let params = params.iter().map(|(name, value)| (name.clone(), value.clone()));
            context.action = Some(ActionView {
                params: serde_json::Value::Object(params.collect()),
                ..ActionView::default()
            });
        }
    }
    Ok(context)
}

fn relations(world: &World, application: &Application, unit: &Unit) -> BTreeMap<u32, RelationView> {
    let mut views = BTreeMap::new();
    for relation in world.relations.values() {
        let Some((local, remote)) = relation
            .local(&application.name)
            .zip(relation.remote(&application.name))
        else {
            continue;
        };
        let units = match unit.relations.get(&relation.id) {
            Some(joined) => joined.members.keys().cloned().collect(),
            // A unit that was never woken knows what a test says is there.
            None if !unit.installed => remote_units(world, relation, unit),
            None => BTreeSet::new(),
        };
        let view = RelationView {
            endpoint: local.endpoint.clone(),
            remote_app: remote.application.clone(),
            units,
            life: relation.life,
            peer: relation.is_peer(),
            forced: relation.forced,
            remote_model_uuid: if relation.is_offered(&application.name) {
                World::new(&remote.application).model.uuid
            } else {
                world.model.uuid.clone()
            },
            bags: relation
                .bags
                .iter()
                .map(|(owner, bag)| (owner.clone(), bag.data.clone()))
                .collect(),
        };
        views.insert(relation.id, view);
    }
    views
}

/// The units at the other end that have entered the relation, that is, have a bag in it.
pub(super) fn remote_units(world: &World, relation: &Relation, unit: &Unit) -> BTreeSet<String> {
    let remote = relation
        .remote(unit.application())
        .and_then(|side| world.applications.get(&side.application));
    let Some(remote) = remote else {
        return BTreeSet::new();
    };
    remote
        .units
        .values()
        .filter(|remote| remote.name != unit.name)
        .filter(|remote| relation.bags.contains_key(&remote.name))
        .map(|remote| remote.name.clone())
        .collect()
}

fn bindings(application: &Application, unit: &Unit) -> BTreeMap<String, Binding> {
    let charm = &application.charm;
    let names = charm
        .provides
        .keys()
        .chain(charm.requires.keys())
        .chain(charm.peers.keys());
    names
        .cloned()
        .chain(["juju-info".to_owned()])
        .map(|name| {
            let binding = Binding {
                interfaces: vec![Interface {
                    addresses: vec![(unit.address.clone(), String::new())],
                    ..Interface::default()
                }],
                ingress: vec![unit.address.clone()],
                egress: vec![format!("{}/32", unit.address)],
            };
            (name, binding)
        })
        .collect()
}

/// goal-state: our units and, by endpoint, the related applications and theirs; a unit on its way out is `dying`. On the offering side
/// of a cross-model relation there is nothing of it (juju/juju, apiserver/facades/agent/uniter/uniter.go, `goalStateRelations`).
fn goal_state(world: &World, application: &Application) -> Node {
    let since = |status: &str, since: &str| Node::map([("status", Node::text(status)), ("since", Node::text(since))]);
    let of_unit = |unit: &Unit| {
        let status = if unit.life == Life::Alive {
            unit.status.status.as_str()
        } else {
            "dying"
        };
        (unit.name.clone(), since(status, &unit.status.since))
    };
    let units = application
        .units
        .values()
        .filter(|unit| unit.life != Life::Dead)
        .map(of_unit);
    let mut endpoints: BTreeMap<String, Vec<(String, Node)>> = BTreeMap::new();
    let shown =
        |relation: &&Relation| !relation.is_peer() && !relation.forced && !relation.is_offered(&application.name);
    for relation in world.relations.values().filter(shown) {
        let Some((local, remote)) = relation
            .local(&application.name)
            .zip(relation.remote(&application.name))
        else {
            continue;
        };
        let status = if relation.life == Life::Alive {
            "joined"
        } else {
            "dying"
        };
        let entries = endpoints.entry(local.endpoint.clone()).or_default();
        let remote_application = world.applications.get(&remote.application);
        let remote_since = remote_application
            .and_then(|remote| remote.units.values().next())
            .map_or_else(crate::juju::now, |unit| unit.status.since.clone());
        entries.push((remote.application.clone(), since(status, &remote_since)));
        if let Some(remote) = remote_application {
            entries.extend(
                remote
                    .units
                    .values()
                    .filter(|unit| unit.life != Life::Dead)
                    .map(of_unit),
            );
        }
    }
    Node::map([
        ("units", Node::map(units)),
        (
            "relations",
            Node::map(endpoints.into_iter().map(|(name, entries)| (name, Node::Map(entries)))),
        ),
    ])
}

/// Books what Juju writes at once, whatever the hook's exit.
pub(super) fn book_immediate(world: &mut World, context: &Context) -> Result<()> {
    let application = world.application_mut(context.application())?;
    application.status.clone_from(&context.application_status);
    application.leader_settings.clone_from(&context.leader_settings);
    if let Some(version) = &context.workload_version {
        application.workload_version.clone_from(version);
    }
    let unit = world.unit_mut(&context.unit)?;
    unit.secrets.clone_from(&context.tracked);
    if context.status_was_set {
        unit.status.clone_from(&context.unit_status);
        unit.status_was_set = true;
    }
    Ok(())
}

/// Books what waited for an exit of 0.
pub(super) fn book_pending(world: &mut World, unit: &str, pending: Pending) -> Result<()> {
    for ((id, owner), pairs) in pending.relations {
        // The relation may have gone meanwhile; its bags are then of no account.
        if let Some(relation) = world.relations.get_mut(&id) {
            relation.write(&owner, pairs);
        }
    }
    if let Some(secrets) = pending.secrets {
        world.secrets = secrets;
    }
    let unit = world.unit_mut(unit)?;
    if let Some(state) = pending.state {
        unit.state = state;
    }
    if let Some(ports) = pending.ports {
        unit.ports = ports;
    }
    Ok(())
}
