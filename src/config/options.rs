//! The options of config.yaml, each once. Those of a model are the keys of an entry in `models` too.

/// What an option is set for, from the narrowest to the widest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// A single server. Each node of a graph has its own.
    Node,
    /// The servers and pods of one predictor. A canary and a shadow may override it.
    Predictor,
    /// The rest of a SeldonDeployment, which a manifest replaces.
    SeldonDeployment,
    /// A model.
    Model,
    /// The application.
    Application,
}

/// The form of a value. Juju has no type for YAML, so that is text to Juju.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Yaml,
    Integer,
    Boolean,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigOption {
    pub name: &'static str,
    pub scope: Scope,
    pub kind: Kind,
    /// As `config-get` reports an option that nobody set; empty for none.
    pub default: &'static str,
}

const fn option(name: &'static str, scope: Scope, kind: Kind, default: &'static str) -> ConfigOption {
    ConfigOption {
        name,
        scope,
        kind,
        default,
    }
}

const ENGINE_RESOURCES: &str = "{requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 256Mi}}";

const OPTIONS: [ConfigOption; 34] = {
    use Kind::{Boolean, Integer, Text, Yaml};
    use Scope::{Application, Model, Node, Predictor, SeldonDeployment};
    [
        option("manifest", Model, Yaml, ""),
        option("graph", Predictor, Yaml, ""),
        option("image", Node, Text, ""),
        option("implementation", Node, Text, ""),
        option("model-uri", Node, Text, ""),
        option("protocol", SeldonDeployment, Text, ""),
        option("parameters", Node, Yaml, ""),
        option("env", Node, Yaml, ""),
        option("resources", Node, Yaml, ""),
        option("engine-resources", Predictor, Yaml, ENGINE_RESOURCES),
        option("replicas", Predictor, Integer, "1"),
        option("autoscale", Predictor, Yaml, ""),
        option("disruption-budget", Predictor, Yaml, ""),
        option("image-pull-policy", Predictor, Text, "IfNotPresent"),
        option("image-pull-secret", Predictor, Text, ""),
        option("storage-secret", Predictor, Text, ""),
        option("pod", Predictor, Yaml, ""),
        option("logger", Predictor, Yaml, ""),
        option("tracing", Predictor, Yaml, ""),
        option("explainer", SeldonDeployment, Yaml, ""),
        option("prefix", Model, Text, ""),
        option("hosts", Model, Text, ""),
        option("grpc-host", Model, Text, ""),
        option("timeout", Model, Text, ""),
        option("retries", Model, Integer, ""),
        option("headers", Model, Yaml, ""),
        option("access", Model, Yaml, ""),
        option("gateway", Model, Text, ""),
        option("labels", Model, Yaml, ""),
        option("annotations", SeldonDeployment, Yaml, ""),
        option("canary", SeldonDeployment, Yaml, ""),
        option("shadow", SeldonDeployment, Yaml, ""),
        option("models", Application, Yaml, ""),
        option("watch", Application, Boolean, "true"),
    ]
};

pub fn find(name: &str) -> Option<&'static ConfigOption> {
    OPTIONS.iter().find(|option| option.name == name)
}

/// The names of the options of this scope and of narrower ones.
pub fn names(widest: Scope) -> Vec<&'static str> {
    let within = OPTIONS.iter().filter(|option| option.scope <= widest);
    within.map(|option| option.name).collect()
}

/// Whether this is the name of an option of this scope or of a narrower one.
pub fn is_within(name: &str, widest: Scope) -> bool {
    find(name).is_some_and(|option| option.scope <= widest)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;

    #[test]
    fn table_matches_config_yaml() {
        let config: Value = serde_yaml::from_str(include_str!("../../config.yaml")).unwrap();
        let declared: BTreeMap<&str, (&str, String)> = config["options"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, option)| {
                let default = match &option["default"] {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                (name.as_str(), (option["type"].as_str().unwrap(), default))
            })
            .collect();
        let juju_type = |kind| match kind {
            Kind::Text | Kind::Yaml => "string",
            Kind::Integer => "int",
            Kind::Boolean => "boolean",
        };
        let table: BTreeMap<&str, (&str, String)> = OPTIONS
            .iter()
            .map(|option| (option.name, (juju_type(option.kind), option.default.to_owned())))
            .collect();
        assert_eq!(table, declared);
        assert_eq!(table.len(), OPTIONS.len(), "a name is there twice");
    }

    #[test]
    fn reference_describes_every_option() {
        let reference = include_str!("../../docs/reference/options.md");
        let described: BTreeSet<&str> = reference
            .split("\n## Actions")
            .next()
            .unwrap()
            .lines()
            .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
            .collect();
        assert_eq!(described, names(Scope::Application).into_iter().collect());
    }
}
