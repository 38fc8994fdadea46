//! Options in, models out. Every error is collected, each with option, rule, command, value and example.
//!
//! One vocabulary: the keys of an entry in `models` are the names of the options, parsed by the same code. With `models` set
//! the options are the defaults of each entry; without it there is one model, named after the application.

mod check;
pub mod command;
pub(crate) mod decimal;
mod error;
mod explainer;
pub mod graph;
pub mod manifest;
mod model;
mod object_names;
pub(crate) mod options;
pub mod proposal;
mod reader;
mod release;
mod resolver;
pub mod secret;
mod suggestion;
pub mod value;
mod yaml;

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};
use serde_yaml::{Mapping, Value};

pub use error::ConfigError;
use error::Location;
pub use explainer::Explainer;
pub use model::{Model, ServerOptions, Source};
use options::Scope;
pub use release::{Canary, Shadow};
use resolver::OptionResolver;
use secret::SecretDataByUse;
use value::Violation;
pub(crate) use yaml::{without_tags, yaml};

/// Longest text of an option that is parsed, in bytes. A list of a hundred models takes about 20 KiB.
const LONGEST_OPTION: usize = 256 * 1024;

/// Most text that the options of all models may have together, in bytes: each model has its own copy of a default.
const LONGEST_TOTAL: usize = 16 * 1024 * 1024;

/// Most models of one application: as many as a hook can reconcile within its time.
const MOST_MODELS: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// The valid models, sorted by name.
    pub models: Vec<Model>,
    /// In the order of the options.
    pub errors: Vec<ConfigError>,
    /// Models with errors: their objects in the cluster stay unchanged.
    pub frozen: BTreeSet<String>,
    /// The content of the valid models' Juju secrets, as far as they were read.
    pub secrets: SecretDataByUse,
    /// Whether the watcher is enabled.
    pub watch: bool,
}

impl Config {
    fn push_error(&mut self, application: &str, location: &Location, key: &str, violation: Violation) {
        self.errors
            .push(ConfigError::new(application, location, key, violation));
    }
}

/// Reads the answer of `config-get`. Total: whatever is wrong with it is in the result.
pub fn parse(application: &str, options: &Map<String, Json>) -> Config {
    let mut config = Config {
        watch: true,
        ..Config::default()
    };
    match options.get("watch") {
        None => {}
        Some(Json::Bool(watch)) => config.watch = *watch,
        Some(other) => {
            let violation = Violation::with_value(other.to_string(), "must be true or false", "true");
            config.push_error(application, &Location::Option("watch"), "watch", violation);
        }
    }
    let entries = match models(options) {
        Ok(Some(entries)) => entries,
        Ok(None) => vec![(application.to_owned(), Ok(None))],
        Err(violation) => {
            config.push_error(application, &Location::Option("models"), "models", violation);
            return config;
        }
    };
    if let Some((option, violation)) = total_violation(options, entries.len()) {
        config.push_error(application, &Location::Option(option), option, violation);
        config.frozen.extend(entries.into_iter().map(|(name, _)| name));
        return config;
    }
    for (name, entry) in &entries {
        let entry = match entry {
            Ok(entry) => entry.as_ref(),
            Err(violation) => {
                let location = Location::Entry(name.clone());
                config.push_error(application, &location, "", violation.clone());
                config.frozen.insert(name.clone());
                continue;
            }
        };
        let mut resolver = OptionResolver::new(application, name, options, entry);
        let model = resolver.model();
        let errors = resolver.into_errors();
        if let (Some(model), true) = (model, errors.is_empty()) {
            config.models.push(model);
        } else {
            config.frozen.insert(name.clone());
        }
        for error in errors {
            // An invalid default is one error, however many models share it.
            if !config.errors.contains(&error) {
                config.errors.push(error);
            }
        }
    }
    check::route_names(application, &mut config);
    object_names::check(application, &mut config);
    check::overlaps(application, &mut config);
    check::grpc_hosts(application, &mut config);
    config.models.sort_by(|a, b| a.name.cmp(&b.name));
    config
}

/// The longest option, if the defaults of all models are too long together.
fn total_violation(options: &Map<String, Json>, models: usize) -> Option<(&'static str, Violation)> {
    let length = |option: &str| options.get(option).and_then(Json::as_str).map_or(0, str::len);
    let defaults = options::names(Scope::Model).into_iter();
    let defaults: Vec<(&str, usize)> = defaults.map(|option| (option, length(option))).collect();
    let total = models * defaults.iter().map(|(_, length)| length).sum::<usize>();
    let (longest, _) = defaults.into_iter().max_by_key(|(_, length)| *length)?;
    let rule = format!("is too long for {models} models");
    let mebibytes = |bytes: usize| bytes.div_ceil(1024 * 1024);
    let detail = format!(
        "the defaults of all have {} MiB together, at most {} MiB",
        mebibytes(total),
        mebibytes(LONGEST_TOTAL)
    );
    (total > LONGEST_TOTAL).then(|| (longest, Violation::new(rule, "").with_detail(detail)))
}

/// The models by name, each with its entry in `models` if it has one.
type Entries = Vec<(String, Result<Option<Mapping>, Violation>)>;

/// The entries of `models`; `None` when the option is not set.
fn models(options: &Map<String, Json>) -> Result<Option<Entries>, Violation> {
    const EXAMPLE: &str = "@models.yaml";
    let Some(text) = options.get("models").and_then(Json::as_str) else {
        return Ok(None);
    };
    if text.trim().is_empty() {
        return Ok(None);
    }
    let Value::Mapping(map) = yaml::yaml(text)? else {
        return Err(Violation::new("must be a YAML map of model names", EXAMPLE)
            .with_detail("such as {iris: {image: seldonio/sklearn-iris:0.3}}"));
    };
    if map.len() > MOST_MODELS {
        let rule = format!("has {} models, must be at most {MOST_MODELS}", map.len());
        return Err(Violation::new(rule, EXAMPLE));
    }
    let entry = |(name, entry)| match (name, entry) {
        (Value::String(name), Value::Null) => (name, Ok(Some(Mapping::new()))),
        (Value::String(name), Value::Mapping(entry)) => (name, Ok(Some(entry))),
        (Value::String(name), _) => {
            let violation =
                Violation::new("must be a map", "").with_detail("such as {image: seldonio/sklearn-iris:0.3}");
            (name, Err(violation))
        }
        (name, _) => {
            let violation = Violation::new("the model's name must be text", "").with_detail("put it in quotes");
            (value::scalar(&name).unwrap_or_default(), Err(violation))
        }
    };
    Ok(Some(map.into_iter().map(entry).collect()))
}

#[cfg(test)]
pub(crate) mod tests;
