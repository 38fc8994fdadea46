//! The names of options, which are the keys of an entry in `models` too.

/// The options of a model. `models` is not one of them.
pub const ENTRY_KEYS: [&str; 31] = [
    "manifest",
    "graph",
    "image",
    "implementation",
    "model-uri",
    "protocol",
    "parameters",
    "env",
    "resources",
    "engine-resources",
    "replicas",
    "autoscale",
    "disruption-budget",
    "image-pull-policy",
    "image-pull-secret",
    "storage-secret",
    "pod",
    "logger",
    "tracing",
    "explainer",
    "prefix",
    "hosts",
    "grpc-host",
    "timeout",
    "retries",
    "headers",
    "gateway",
    "labels",
    "annotations",
    "canary",
    "shadow",
];

/// The options of a server and its pods, which a manifest replaces.
pub const SERVER_KEYS: [&str; 22] = [
    "graph",
    "image",
    "implementation",
    "model-uri",
    "protocol",
    "parameters",
    "env",
    "resources",
    "engine-resources",
    "replicas",
    "autoscale",
    "disruption-budget",
    "image-pull-policy",
    "image-pull-secret",
    "storage-secret",
    "pod",
    "logger",
    "tracing",
    "explainer",
    "annotations",
    "canary",
    "shadow",
];

/// The options of a single server, which each node of a graph has itself.
pub const NODE_KEYS: [&str; 6] = ["image", "implementation", "model-uri", "parameters", "env", "resources"];

/// The options with a default in config.yaml.
pub const WITH_DEFAULT: [&str; 3] = ["engine-resources", "replicas", "image-pull-policy"];
