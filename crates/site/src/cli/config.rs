//! `site config`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::site::Site;
use super::words;

/// Shows, sets or resets options, as `juju config`.
pub fn config(site: &mut Site, application: &str, values: &[String], reset: &[String]) -> Result<()> {
    let (set, requested): (Vec<&String>, Vec<&String>) = values.iter().partition(|value| value.contains('='));
    match (requested.as_slice(), set.is_empty() && reset.is_empty()) {
        ([], true) => print!("{}", all(site, application)?),
        ([name], true) => print!("{}", one(site, application, name)?),
        ([], false) => {
            let pairs = set
                .into_iter()
                .map(|pair| words::setting(pair))
                .collect::<Result<Vec<_>>>()?;
            // All or none.
            let mut new = site.world.clone();
            for name in reset {
                new.reset_config(application, name)?;
            }
            let pairs = pairs.iter().map(|(name, text)| (name.as_str(), text.as_str()));
            new.application_mut(application)?.set_config(pairs)?;
            site.world = new;
            site.settle()?;
        }
        _ => bail!("cannot show and set options in one command"),
    }
    Ok(())
}

fn one(site: &Site, application: &str, name: &str) -> Result<String> {
    let config = site.world.application(application)?.effective_config();
    let value = config
        .get(name)
        .with_context(|| format!("key {name:?} not found in {application:?} application config or charm settings."))?;
    Ok(match value {
        Value::Null => String::new(),
        Value::String(text) if text.ends_with('\n') => text.clone(),
        Value::String(text) => format!("{text}\n"),
        other => format!("{other}\n"),
    })
}

fn all(site: &Site, name: &str) -> Result<String> {
    let application = site.world.application(name)?;
    let effective = application.effective_config();
    let settings: BTreeMap<&String, Value> = application
        .charm
        .options
        .iter()
        .map(|(option, spec)| {
            let set = application.config.contains_key(option);
            let source = match (set, &spec.default) {
                (true, _) => "user",
                (false, Some(_)) => "default",
                (false, None) => "unset",
            };
            let mut entry = json!({
                "description": spec.description,
                "source": source,
                "type": spec.kind.word(),
            });
            if let Some(entry) = entry.as_object_mut() {
                if let Some(default) = &spec.default {
                    entry.insert("default".to_owned(), default.clone());
                }
                if let Some(value) = effective.get(option).filter(|value| !value.is_null()) {
                    entry.insert("value".to_owned(), value.clone());
                }
            }
            (option, entry)
        })
        .collect();
    let shown = json!({
        "application": name,
        "application-config": {"trust": {"source": if application.trust { "user" } else { "default" }, "type": "bool", "value": application.trust}},
        "charm": application.charm.name,
        "settings": settings,
    });
    serde_yaml::to_string(&shown).context("cannot write the options")
}
