//! Which hook is due, in Juju's order (juju/juju, internal/worker/uniter/resolver.go and its parts relation/, leadership/
//! and reboot/resolver.go), and what a unit's agent remembers once it ran.

use anyhow::{Result, bail};

use super::{Agent, HookRun, snapshot};
use crate::juju::{AgentState, Application, Joined, Life, MODEL, Relation, Status, Unit, World, application_of};
use crate::juju::{Hook, RelationEvent};

/// A unit whose charm makes every hook due again would keep its agent busy for ever; Juju lets it, a test need not.
const MOST_HOOKS: usize = 500;

/// A member that has joined and whose changed is still to come.
const UNSEEN: u64 = u64::MAX;

impl Agent {
    pub(super) fn settle(&self, world: &mut World, unit: &str) -> Result<Vec<HookRun>> {
        let mut runs = Vec::new();
        if world.application(application_of(unit))?.charm.fake {
            return Ok(runs);
        }
        while let Some(hook) = due(world, unit)? {
            if runs.len() >= MOST_HOOKS {
                bail!("{unit} is still not idle after {MOST_HOOKS} hooks; its charm changes what makes hooks due");
            }
            prepare(world, unit, &hook)?;
            let run = self.run(world, unit, &hook)?;
            let ended_well = run.exit == 0;
            runs.push(run);
            if !ended_well {
                return Ok(runs);
            }
            self.remember(world, unit, &hook)?;
            if world.unit(unit).is_err() {
                // It was removed.
                break;
            }
        }
        Ok(runs)
    }

    /// What the agent remembers of a hook that ended well.
    fn remember(&self, world: &mut World, unit: &str, hook: &Hook) -> Result<()> {
        let twice = self.repeats_config_changed && is_changed_by_operator(world, unit, hook)?;
        remember(world, unit, hook)?;
        if twice {
            world.unit_mut(unit)?.config_again = true;
        }
        Ok(())
    }
}

/// Whether a `config-changed` was due because of options or trust, and not of a new pod.
fn is_changed_by_operator(world: &World, name: &str, hook: &Hook) -> Result<bool> {
    let (application, unit) = (world.application(application_of(name))?, world.unit(name)?);
    let now = application.config_fingerprint(&unit.address);
    let is_changed = unit.config_seen.as_ref().is_some_and(|seen| *seen != now);
    Ok(*hook == Hook::from("config-changed") && is_changed)
}

/// The hook that is due now.
fn due(world: &World, name: &str) -> Result<Option<Hook>> {
    let application = world.application(application_of(name))?;
    let unit = world.unit(name)?;
    Ok(if unit.failed.is_some() {
        unit.failed.clone()
    } else if unit.life != Life::Alive {
        leaving(world, unit)
    } else if !unit.installed {
        Some("install".into())
    } else if unit.replaced || unit.charm_seen != application.charm.revision {
        // A new pod unpacks the charm again, so it runs this too (seen with Juju 4.0.15).
        Some("upgrade-charm".into())
    } else {
        created(world, application, unit)
            .or_else(|| elected(application, unit))
            .or_else(|| changed(application, unit))
            .or_else(|| (!unit.started || unit.restarted).then(|| "start".into()))
            .or_else(|| secret_changed(world, unit))
            .or_else(|| related(world, unit))
    })
}

/// On the way out: each relation departed and broken, then stop, then remove.
fn leaving(world: &World, unit: &Unit) -> Option<Hook> {
    if !unit.installed {
        return None;
    }
    for (&id, joined) in &unit.relations {
        if let Some(member) = joined.members.keys().next() {
            return Some(Hook::Relation {
                event: RelationEvent::Departed,
                id,
                unit: Some(member.clone()),
                departing: Some(unit.name.clone()),
            });
        }
        // A peer relation has no broken.
        if world.relations.get(&id).is_some_and(|relation| !relation.is_peer()) {
            return Some(Hook::relation(RelationEvent::Broken, id));
        }
    }
    Some(
        if unit.started && !unit.stopped {
            "stop"
        } else {
            "remove"
        }
        .into(),
    )
}

fn created(world: &World, application: &Application, unit: &Unit) -> Option<Hook> {
    let new = world.relations.values().find(|relation| {
        relation.life == Life::Alive
            && !relation.forced
            && relation.local(&application.name).is_some()
            && !unit.relations.contains_key(&relation.id)
    })?;
    Some(Hook::relation(RelationEvent::Created, new.id))
}

fn elected(application: &Application, unit: &Unit) -> Option<Hook> {
    let leads = application.leader.as_deref() == Some(unit.name.as_str());
    (leads && !unit.knows_it_leads).then(|| "leader-elected".into())
}

fn changed(application: &Application, unit: &Unit) -> Option<Hook> {
    let now = application.config_fingerprint(&unit.address);
    (unit.config_again || unit.config_seen.as_ref() != Some(&now)).then(|| "config-changed".into())
}

/// A secret that the unit has read has a newer revision, of which it was not told.
fn secret_changed(world: &World, unit: &Unit) -> Option<Hook> {
    let (id, secret) = world.secrets.iter().find(|(id, secret)| {
        let tracked = unit.secrets.get(*id);
        tracked.is_some_and(|tracked| tracked.told < secret.revision)
    })?;
    Some(Hook::Secret {
        event: "changed".to_owned(),
        id: format!("secret:{id}"),
        label: if secret.owner == MODEL {
            String::new()
        } else {
            secret.label.clone()
        },
        revision: None,
    })
}

/// Relation events but created: they come once the unit has started.
fn related(world: &World, unit: &Unit) -> Option<Hook> {
    unit.relations.iter().find_map(|(&id, joined)| {
        let relation = world.relations.get(&id)?;
        in_relation(world, unit, relation, joined)
    })
}

fn in_relation(world: &World, unit: &Unit, relation: &Relation, joined: &Joined) -> Option<Hook> {
    let id = relation.id;
    let present = snapshot::remote_units(world, relation, unit);
    let ending = relation.life != Life::Alive;
    let gone = joined
        .members
        .keys()
        .find(|member| ending || !present.contains(*member));
    if let Some(gone) = gone {
        return Some(Hook::relation_unit(RelationEvent::Departed, id, gone));
    }
    if ending {
        return Some(Hook::relation(RelationEvent::Broken, id));
    }
    let bag = |owner: &str| relation.bags.get(owner).map_or(0, |bag| bag.version);
    // Changed follows joined at once.
    let changed = |only_unseen: bool| {
        let mut members = joined.members.iter();
        let (member, _) = members.find(|(member, seen)| {
            if only_unseen {
                **seen == UNSEEN
            } else {
                **seen != bag(member)
            }
        })?;
        Some(Hook::relation_unit(RelationEvent::Changed, id, member))
    };
    changed(true)
        .or_else(|| {
            let remote = relation.remote(unit.application())?;
            let own = relation.is_peer() && leads(world, unit);
            (!own && bag(&remote.application) != joined.application).then(|| Hook::relation(RelationEvent::Changed, id))
        })
        .or_else(|| {
            let new = present.iter().find(|member| !joined.members.contains_key(*member))?;
            Some(Hook::relation_unit(RelationEvent::Joined, id, new))
        })
        .or_else(|| changed(false))
}

fn leads(world: &World, unit: &Unit) -> bool {
    world
        .applications
        .get(unit.application())
        .is_some_and(|application| application.leader.as_deref() == Some(unit.name.as_str()))
}

/// What Juju does just before a hook: its own statuses, and the unit's entry into a relation.
fn prepare(world: &mut World, name: &str, hook: &Hook) -> Result<()> {
    let unit = world.unit_mut(name)?;
    unit.agent = AgentState::Executing;
    let address = unit.address.clone();
    match hook {
        Hook::Plain(hook) if hook == "install" && !unit.status_was_set => {
            unit.status = Status::new("maintenance", "installing charm software");
        }
        Hook::Plain(hook) if hook == "stop" && unit.life != Life::Alive => {
            unit.status = Status::new("maintenance", "stopping charm software");
        }
        Hook::Relation {
            event: RelationEvent::Created,
            id,
            ..
        } => {
            world.relation_mut(*id)?.enter(name, &address);
        }
        _ => {}
    }
    Ok(())
}

/// What the agent remembers of a hook that ended well.
fn remember(world: &mut World, name: &str, hook: &Hook) -> Result<()> {
    let application = world.application(application_of(name))?;
    let revision = application.charm.revision;
    let config = application.config_fingerprint(&world.unit(name)?.address);
    let seen = seen_version(world, name, hook);
    let unit = world.unit_mut(name)?;
    match hook {
        Hook::Plain(hook) => match hook.as_str() {
            "install" => {
                unit.installed = true;
                unit.charm_seen = revision;
            }
            "upgrade-charm" => {
                unit.charm_seen = revision;
                unit.replaced = false;
                // The agent runs config-changed after an upgrade in any case.
                unit.config_seen = None;
            }
            "leader-elected" => unit.knows_it_leads = true,
            "config-changed" => {
                unit.config_seen = Some(config);
                unit.config_again = false;
            }
            "start" => {
                if !unit.status_was_set && !unit.started {
                    unit.status = Status::new("unknown", "");
                }
                unit.started = true;
                unit.restarted = false;
            }
            "stop" if unit.life == Life::Alive => {}
            "stop" => unit.stopped = true,
            "remove" => return removed(world, name),
            _ => {}
        },
        Hook::Relation {
            event,
            id,
            unit: remote,
            ..
        } => {
            remember_relation(unit, *event, *id, remote.as_deref(), seen);
            if *event == RelationEvent::Broken {
                // The unit leaves the relation, which is when units at the other end see it depart.
                world.relation_mut(*id)?.bags.remove(name);
                world.drop_finished_relations();
            }
        }
        Hook::Secret { event, id, .. } if event == "changed" => {
            let id = id.trim_start_matches("secret:");
            let newest = world.secrets.get(id).map(|secret| secret.revision);
            if let (Some(tracked), Some(newest)) = (world.unit_mut(name)?.secrets.get_mut(id), newest) {
                tracked.told = newest;
            }
        }
        Hook::Secret { .. } | Hook::Exec { .. } | Hook::Action { .. } => {}
    }
    Ok(())
}

/// What the agent remembers of a failed hook that the operator told it to skip: the same as if it had run.
pub(super) fn skipped(world: &mut World, name: &str, hook: &Hook) -> Result<()> {
    remember(world, name, hook)
}

/// The version of the bag a changed hook was about.
fn seen_version(world: &World, name: &str, hook: &Hook) -> u64 {
    let Hook::Relation { id, unit: remote, .. } = hook else {
        return 0;
    };
    let relation = world.relations.get(id);
    let owner = remote.clone().or_else(|| {
        let side = relation?.remote(application_of(name))?;
        Some(side.application.clone())
    });
    relation
        .zip(owner)
        .and_then(|(relation, owner)| relation.bags.get(&owner))
        .map_or(0, |bag| bag.version)
}

fn remember_relation(unit: &mut Unit, event: RelationEvent, id: u32, remote: Option<&str>, seen: u64) {
    match (event, remote) {
        (RelationEvent::Broken, _) => {
            unit.relations.remove(&id);
        }
        (RelationEvent::Joined, Some(remote)) => {
            unit.relations
                .entry(id)
                .or_default()
                .members
                .insert(remote.to_owned(), UNSEEN);
        }
        (RelationEvent::Changed, Some(remote)) => {
            unit.relations
                .entry(id)
                .or_default()
                .members
                .insert(remote.to_owned(), seen);
        }
        (RelationEvent::Departed, Some(remote)) => {
            unit.relations.entry(id).or_default().members.remove(remote);
        }
        (RelationEvent::Changed, None) => unit.relations.entry(id).or_default().application = seen,
        _ => {
            unit.relations.entry(id).or_default();
        }
    }
}

/// The unit is gone: its bags with it, its leadership to the next, and the application with its last unit.
pub(super) fn removed(world: &mut World, name: &str) -> Result<()> {
    for relation in world.relations.values_mut() {
        relation.bags.remove(name);
    }
    let application = world.application_mut(application_of(name))?;
    application.units.remove(name);
    if application.leader.as_deref() == Some(name) {
        let alive = application.units.values().find(|unit| unit.life == Life::Alive);
        let next = alive.map(|unit| unit.name.clone());
        application.set_leader(next.as_deref());
    }
    if application.life != Life::Alive && application.units.is_empty() {
        let name = application.name.clone();
        world.applications.remove(&name);
        for relation in world.relations.values_mut() {
            relation.bags.remove(&name);
            if relation.is_peer() && relation.local(&name).is_some() {
                relation.life = Life::Dying;
            }
        }
    }
    world.drop_finished_relations();
    Ok(())
}
