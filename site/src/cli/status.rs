//! `site status`.

use std::collections::BTreeMap;

use ::site::agent::Hook;
use ::site::juju::{Application, Status, Unit, World};
use serde_json::{Value, json};

/// The message of an application that runs no code here.
const STAND_IN: &str = "stand-in, runs no code here";

/// A unit's workload status as Juju shows it: a failed hook covers what the charm said.
fn workload(world: &World, application: &Application, unit: &Unit) -> Status {
    if application.charm.stand_in {
        return Status {
            since: unit.status.since.clone(),
            ..Status::new("unknown", STAND_IN)
        };
    }
    match &unit.failed {
        Some(hook) if unit.agent == ::site::juju::AgentState::Error => {
            let name = Hook::name(hook, &world.relations, &application.name);
            Status::new("error", &format!("hook failed: {name:?}"))
        }
        _ => unit.status.clone(),
    }
}

/// The application's status: what the leader set, else the gravest of its units.
pub fn overall(world: &World, application: &Application) -> Status {
    const GRAVEST_FIRST: [&str; 7] = [
        "error",
        "blocked",
        "maintenance",
        "waiting",
        "active",
        "terminated",
        "unknown",
    ];
    if let Some(status) = &application.status {
        return status.clone();
    }
    let statuses: Vec<Status> = application
        .units
        .values()
        .map(|unit| workload(world, application, unit))
        .collect();
    let grave = |status: &Status| {
        GRAVEST_FIRST
            .iter()
            .position(|word| *word == status.status)
            .unwrap_or(GRAVEST_FIRST.len())
    };
    statuses
        .into_iter()
        .min_by_key(grave)
        .unwrap_or_else(|| Status::new("unknown", ""))
}

/// The tables of `juju status`.
pub fn table(world: &World) -> String {
    let mut out = columns(&[
        vec![
            "Model".into(),
            "Controller".into(),
            "Cloud/Region".into(),
            "Version".into(),
        ],
        vec![
            world.model.name.clone(),
            "site".into(),
            "site".into(),
            world.version.to_string(),
        ],
    ]);
    let heads = [
        "App", "Version", "Status", "Scale", "Charm", "Channel", "Rev", "Message",
    ];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for application in world.applications.values() {
        let status = overall(world, application);
        rows.push(vec![
            application.name.clone(),
            application.workload_version.clone(),
            status.status,
            application.units.len().to_string(),
            application.charm.name.clone(),
            application.charm.channel.clone(),
            application.charm.revision.to_string(),
            status.message,
        ]);
    }
    out.push('\n');
    out.push_str(&columns(&rows));
    let heads = ["Unit", "Workload", "Agent", "Address", "Ports", "Message"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for application in world.applications.values() {
        for unit in application.units.values() {
            let status = workload(world, application, unit);
            let leads = application.leader.as_ref() == Some(&unit.name);
            rows.push(vec![
                format!("{}{}", unit.name, if leads { "*" } else { "" }),
                status.status,
                if application.charm.stand_in {
                    "idle"
                } else {
                    unit.agent.word()
                }
                .to_owned(),
                unit.address.clone(),
                unit.ports.iter().cloned().collect::<Vec<_>>().join(","),
                status.message,
            ]);
        }
    }
    out.push('\n');
    out.push_str(&columns(&rows));
    out
}

/// Rows under each other, two blanks between columns; a column of nothing but its head stays, as in Juju.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        })
        .collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, &width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - cell.chars().count() + 2));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The same as `juju status --format json`, with the keys a script reads.
pub fn tree(world: &World) -> Value {
    let shown = |status: &Status| json!({"current": status.status, "message": status.message, "since": status.since});
    let applications: BTreeMap<&String, Value> = world
        .applications
        .iter()
        .map(|(name, application)| {
            let units: BTreeMap<&String, Value> = application
                .units
                .iter()
                .map(|(unit_name, unit)| {
                    let entry = json!({
                        "workload-status": shown(&workload(world, application, unit)),
                        "juju-status": {"current": unit.agent.word(), "version": world.version},
                        "leader": application.leader.as_ref() == Some(unit_name),
                        "address": unit.address,
                    });
                    (unit_name, entry)
                })
                .collect();
            let mut relations: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
            for relation in world.relations.values().filter(|relation| !relation.is_peer()) {
                if let Some((local, remote)) = relation.local(name).zip(relation.remote(name)) {
                    let entry = json!({"related-application": remote.application, "interface": relation.interface});
                    relations.entry(&local.endpoint).or_default().push(entry);
                }
            }
            let entry = json!({
                "charm": application.charm.name,
                "charm-channel": application.charm.channel,
                "charm-rev": application.charm.revision,
                "scale": application.units.len(),
                "version": application.workload_version,
                "application-status": shown(&overall(world, application)),
                "relations": relations,
                "units": units,
            });
            (name, entry)
        })
        .collect();
    json!({
        "model": {"name": world.model.name, "type": "caas", "controller": "site", "version": world.version},
        "applications": applications,
    })
}
