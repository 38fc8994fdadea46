//! `site status`.

use std::collections::BTreeMap;

use juju_sim::agent::Hook;
use juju_sim::juju::{Application, Status, Unit, World};
use serde_json::{Value, json};

/// The message of an application that runs no code here.
const FAKE: &str = "fake, runs no code here";

/// A unit's workload status as Juju shows it: a failed hook covers what the charm said.
fn workload(world: &World, application: &Application, unit: &Unit) -> Status {
    if application.charm.fake {
        return Status {
            since: unit.status.since.clone(),
            ..Status::new("unknown", FAKE)
        };
    }
    match &unit.failed {
        Some(hook) if unit.agent == juju_sim::juju::AgentState::Error => {
            let name = Hook::name(hook, &world.relations, &application.name);
            Status::new("error", &format!("hook failed: {name:?}"))
        }
        _ => unit.status.clone(),
    }
}

/// What the agent does. That of a fake has nothing to do.
fn agent(application: &Application, unit: &Unit) -> &'static str {
    if application.charm.fake {
        "idle"
    } else {
        unit.agent.word()
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

/// Whether a name is among those that were given, exactly as given; without one every name is.
fn selected(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|given| given == name)
}

/// The tables of `juju status` for a Kubernetes model (juju/juju, `cmd/juju/status/output_tabular.go`), of the applications and
/// units that are selected.
pub fn table(world: &World, selectors: &[String]) -> String {
    let units_of = |application: &Application| -> Vec<Unit> {
        let whole = selected(selectors, &application.name);
        let units = application.units.values();
        units
            .filter(|unit| whole || selected(selectors, &unit.name))
            .cloned()
            .collect()
    };
    let shown: Vec<(&Application, Vec<Unit>)> = world
        .applications
        .values()
        .map(|application| (application, units_of(application)))
        .filter(|(application, units)| selected(selectors, &application.name) || !units.is_empty())
        .collect();
    let mut out = columns(
        &[],
        &[
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
        ],
    );
    let heads = [
        "App", "Version", "Status", "Scale", "Charm", "Channel", "Rev", "Address", "Exposed", "Message",
    ];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for (application, _) in &shown {
        let status = overall(world, application);
        rows.push(vec![
            application.name.clone(),
            application.workload_version.clone(),
            status.status,
            application.units.len().to_string(),
            application.charm.name.clone(),
            // A charm of no store has none.
            Some(&application.charm.channel)
                .filter(|channel| *channel != "local")
                .cloned()
                .unwrap_or_default(),
            application.charm.revision.to_string(),
            application.address(),
            "no".to_owned(),
            shortened(&status.message),
        ]);
    }
    out.push('\n');
    out.push_str(&columns(&[3, 6], &rows));
    let heads = ["Unit", "Workload", "Agent", "Address", "Ports", "Message"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for (application, units) in &shown {
        for unit in units {
            let status = workload(world, application, unit);
            let leads = application.leader.as_ref() == Some(&unit.name);
            rows.push(vec![
                format!("{}{}", unit.name, if leads { "*" } else { "" }),
                status.status,
                agent(application, unit).to_owned(),
                unit.address.clone(),
                unit.ports.iter().cloned().collect::<Vec<_>>().join(","),
                shortened(&status.message),
            ]);
        }
    }
    out.push('\n');
    out.push_str(&columns(&[], &rows));
    out
}

/// A message as Juju's table has it, of 120 bytes at most (seen with Juju 3.6 and 4.0). JSON and YAML have it whole.
fn shortened(message: &str) -> String {
    const LONGEST: usize = 120;
    const CUT: &str = "...";
    if message.len() <= LONGEST {
        return message.to_owned();
    }
    let fits = |end: &usize| message.is_char_boundary(*end);
    let end = (0..=LONGEST - CUT.len()).rev().find(fits).unwrap_or_default();
    format!("{}{CUT}", &message[..end])
}

/// Rows under each other, two blanks between columns, those named against the right; a column of nothing but its head stays,
/// as in Juju.
fn columns(right: &[usize], rows: &[Vec<String>]) -> String {
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
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let blanks = " ".repeat(width - cell.chars().count());
            let (before, after) = if right.contains(&column) {
                (&*blanks, "")
            } else {
                ("", &*blanks)
            };
            line.extend([before, cell, after, "  "]);
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
                        "juju-status": {"current": agent(application, unit), "version": world.version},
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_the_beginning_of_a_long_message() {
        assert_eq!(shortened(&"x".repeat(120)), "x".repeat(120));
        assert_eq!(shortened(&"x".repeat(121)), format!("{}...", "x".repeat(117)));
        // No character is cut in two.
        assert_eq!(shortened(&"…".repeat(50)), format!("{}...", "…".repeat(39)));
    }
}
