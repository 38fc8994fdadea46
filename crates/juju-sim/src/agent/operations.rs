//! What an operator or the cluster does to an application, each followed by the hooks Juju runs for it.
//!
//! Deploying, setting options, trust and relations are changes of the [`World`]; [`Agent::wake_all`] runs what they make
//! due. What needs more than that is here.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Agent, HookRun, resolver};
use crate::juju::Hook;
use crate::juju::{AgentState, Life, World, application_of};

impl Agent {
    /// Wakes every unit until none has anything to do, as Juju does by itself. Units in error try again once.
    ///
    /// # Errors
    /// As [`Agent::run_hook`].
    pub fn wake_all(&self, world: &mut World) -> Result<Vec<HookRun>> {
        let mut runs = Vec::new();
        let mut failed = Vec::new();
        loop {
            // A unit's hooks may make hooks of another due, so until a round in which nothing ran.
            let before = runs.len();
            for unit in units(world) {
                if failed.contains(&unit) || world.unit(&unit).is_err() {
                    continue;
                }
                runs.extend(self.wake(world, &unit)?);
                if world.unit(&unit).is_ok_and(|unit| unit.failed.is_some()) {
                    failed.push(unit);
                }
            }
            if runs.len() == before {
                return Ok(runs);
            }
        }
    }

    /// What is due, then `update-status`; that runs only when nothing else is left to do.
    ///
    /// # Errors
    /// As [`Agent::run_hook`].
    pub fn update_status(&self, world: &mut World, unit: &str) -> Result<Vec<HookRun>> {
        let mut runs = self.wake(world, unit)?;
        let state = world.unit(unit)?;
        if state.failed.is_none() && state.started {
            runs.push(self.run_hook(world, unit, "update-status")?);
        }
        Ok(runs)
    }

    /// Runs an action, after looking at its parameters as Juju does.
    ///
    /// # Errors
    /// No such unit or action, or parameters that do not fit, in Juju's words.
    pub fn run_action(
        &self,
        world: &mut World,
        unit: &str,
        name: &str,
        params: BTreeMap<String, Value>,
    ) -> Result<HookRun> {
        world.unit(unit)?;
        let charm = &world.application(application_of(unit))?.charm;
        let spec = charm.actions.get(name).with_context(|| {
            let known: Vec<&str> = charm.actions.keys().map(String::as_str).collect();
            format!(
                "action {name:?} not defined on unit {unit:?}; it has: {}",
                known.join(", ")
            )
        })?;
        let params = spec.accept(name, &world.version, params)?;
        // Operations and their tasks are numbered together, and this operation has one.
        world.next_task += 2;
        let hook = Hook::Action {
            name: name.to_owned(),
            params,
            task: world.next_task,
        };
        self.run_hook(world, unit, hook)
    }

    /// The unit's pod goes and a new one comes: stop in the old one; in the new one upgrade-charm, config-changed and start.
    ///
    /// # Errors
    /// As [`Agent::run_hook`].
    pub fn churn(&self, world: &mut World, unit: &str) -> Result<Vec<HookRun>> {
        let mut runs = self.end_pod(world, unit)?;
        runs.extend(self.wake(world, unit)?);
        Ok(runs)
    }

    /// The unit's agent starts again in the same pod, as after a restart of the controller: start, and what has become due.
    ///
    /// # Errors
    /// As [`Agent::run_hook`].
    pub fn restart(&self, world: &mut World, unit: &str) -> Result<Vec<HookRun>> {
        let state = world.unit_mut(unit)?;
        state.restarted = state.started;
        self.wake(world, unit)
    }

    /// `juju refresh`: the application's pods roll; new ones run upgrade-charm, config-changed and start.
    ///
    /// # Errors
    /// As [`Agent::run_hook`].
    pub fn refresh(&self, world: &mut World, application: &str) -> Result<Vec<HookRun>> {
        let charm = &mut world.application_mut(application)?.charm;
        charm.revision += 1;
        // What the new revision declares counts from now on.
        if !charm.fake {
            let read = crate::juju::Charm::read(&charm.directory)?;
            *charm = crate::juju::Charm {
                revision: charm.revision,
                channel: charm.channel.clone(),
                ..read
            };
        }
        let mut runs = Vec::new();
        // A StatefulSet rolls from its highest pod down.
        let mut names: Vec<String> = world.application(application)?.units.keys().cloned().collect();
        names.sort_by_key(|name| std::cmp::Reverse(number(name)));
        for unit in names {
            runs.extend(self.end_pod(world, &unit)?);
            runs.extend(self.wake(world, &unit)?);
        }
        Ok(runs)
    }

    fn end_pod(&self, world: &mut World, unit: &str) -> Result<Vec<HookRun>> {
        let mut runs = Vec::new();
        if world.unit(unit)?.started {
            let failed = world.unit(unit)?.failed.clone();
            runs.push(self.run_hook(world, unit, "stop")?);
            let state = world.unit_mut(unit)?;
            // The pod is gone whatever its stop said; a hook that failed before is still due.
            state.failed = failed;
            state.agent = if state.failed.is_some() {
                AgentState::Error
            } else {
                AgentState::Idle
            };
            state.restarted = true;
            state.replaced = true;
        }
        self.end_left_behind(unit);
        world.unit_mut(unit)?.new_pod();
        Ok(runs)
    }

    /// `juju scale-application`: adds units, or removes those with the highest numbers, as a StatefulSet does.
    ///
    /// # Errors
    /// As [`Agent::run_hook`].
    pub fn scale(&self, world: &mut World, application: &str, units: usize) -> Result<Vec<HookRun>> {
        let state = world.application_mut(application)?;
        while state.units.len() < units {
            state.add_unit();
        }
        let mut names: Vec<String> = state.units.keys().cloned().collect();
        names.sort_by_key(|name| number(name));
        for name in names.iter().skip(units) {
            mark_dying(world, name)?;
        }
        self.wake_all(world)
    }

    /// `juju remove-application`: departed and broken for each relation, stop, remove, on each unit; the application is
    /// gone from the world when its last unit is.
    ///
    /// # Errors
    /// No such application; else as [`Agent::run_hook`].
    pub fn remove_application(&self, world: &mut World, name: &str) -> Result<Vec<HookRun>> {
        let application = world.application_mut(name)?;
        application.life = Life::Dying;
        let fake = application.charm.fake;
        let units: Vec<String> = application.units.keys().cloned().collect();
        for relation in world.relations.values_mut() {
            if relation.local(name).is_some() && !relation.is_peer() {
                relation.life = Life::Dying;
            }
        }
        for unit in &units {
            mark_dying(world, unit)?;
            if fake {
                resolver::removed(world, unit)?;
            }
        }
        if world
            .applications
            .get(name)
            .is_some_and(|application| application.units.is_empty())
        {
            world.applications.remove(name);
            world.drop_finished_relations();
        }
        self.wake_all(world)
    }

    /// `juju resolved`: runs the failed hook again and whatever follows, or with `retry` false skips it.
    ///
    /// # Errors
    /// The unit is not in error; else as [`Agent::run_hook`].
    pub fn resolved(&self, world: &mut World, unit: &str, retry: bool) -> Result<Vec<HookRun>> {
        let state = world.unit_mut(unit)?;
        ensure!(state.failed.is_some(), "unit {unit:?} is not in an error state");
        if !retry && let Some(hook) = state.failed.take() {
            state.agent = AgentState::Idle;
            resolver::skipped(world, unit, &hook)?;
        }
        self.wake(world, unit)
    }
}

/// A dying unit is led away at its next wake; one that never ran a hook goes at once.
fn mark_dying(world: &mut World, name: &str) -> Result<()> {
    let unit = world.unit_mut(name)?;
    unit.life = Life::Dying;
    let never_ran = !unit.installed && unit.failed.is_none();
    if never_ran && !world.application(application_of(name))?.charm.fake {
        resolver::removed(world, name)?;
    }
    Ok(())
}

/// All units of charms that run, in the order of their names and numbers.
fn units(world: &World) -> Vec<String> {
    let applications = world
        .applications
        .values()
        .filter(|application| !application.charm.fake);
    let mut names: Vec<String> = applications
        .flat_map(|application| application.units.keys().cloned())
        .collect();
    names.sort_by_key(|name| (application_of(name).to_owned(), number(name)));
    names
}

fn number(unit: &str) -> u32 {
    unit.rsplit('/')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}
