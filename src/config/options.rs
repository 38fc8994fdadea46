//! The words that options and entries of `models` are written in.

/// The words of a model. The option `models` is not one of them.
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

/// The words that say something of a server and its pods, all of which a manifest says itself.
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

/// The words that say something of one server, all of which a graph says of each of its nodes.
pub const NODE_KEYS: [&str; 6] = ["image", "implementation", "model-uri", "parameters", "env", "resources"];

/// Those of them that an option gives where nobody set it.
pub const WITH_DEFAULT: [&str; 3] = ["engine-resources", "replicas", "image-pull-policy"];
