//! The server of a model: image, prepackaged server, protocol, model files.

use std::fmt;

use http::uri::Authority;

use super::{Violation, either};

/// A container image reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image(String);

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Image {
    /// Its tag, or the beginning of its digest; `latest` without either, as in a registry.
    pub fn version(&self) -> &str {
        const SHORT: usize = 12;
        let name = self.0.rsplit('/').next().unwrap_or_default();
        let (name, digest) = name
            .split_once('@')
            .map_or((name, None), |(name, digest)| (name, Some(digest)));
        let tag = name.split_once(':').map(|(_, tag)| tag);
        let digest = digest.and_then(|digest| digest.split_once(':')?.1.get(..SHORT));
        tag.or(digest).unwrap_or("latest")
    }
}

/// Checks an image reference (`distribution/reference`, `regexp.go`): `[registry[:port]/]path[:tag][@digest]`. `oci-spec` 0.10 would make
/// the program 1.2 MB larger, accepts `A/b` and port 99999, and does not say which part is invalid.
pub(crate) fn image(text: &str) -> Result<Image, Violation> {
    const EXAMPLE: &str = "seldonio/sklearn-iris:0.3";
    const LONGEST: usize = 255;
    let violation = |rule: &str| Violation::with_value(text, rule, EXAMPLE);
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(violation("must not contain spaces"));
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Err(violation("has an invalid digest").with_detail("after @: sha256: and 64 hexadecimal digits"));
    }
    let last = rest.rsplit('/').next().unwrap_or_default();
    let (name, tag) = match last.split_once(':') {
        Some((_, tag)) => (
            rest.strip_suffix(tag).and_then(|r| r.strip_suffix(':')).unwrap_or(rest),
            Some(tag),
        ),
        None => (rest, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(violation("has an invalid tag").with_detail("after the colon: 1 to 128 letters, digits, _ . or -"));
    }
    let (registry, path) = match name.split_once('/') {
        Some((first, path)) if is_registry(first) => (Some(first), path),
        _ => (None, name),
    };
    if registry.is_some_and(|registry| host_and_port(registry).is_none()) {
        return Err(
            violation("has an invalid registry").with_detail("before the first /: a host, optionally with a port")
        );
    }
    if path.chars().any(|c| c.is_ascii_uppercase()) {
        return Err(violation("must be lowercase"));
    }
    if !path.split('/').all(is_path_part) {
        return Err(violation("is not a valid image reference"));
    }
    if name.len() > LONGEST {
        return Err(violation("must be at most 255 characters"));
    }
    Ok(Image(text.to_owned()))
}

fn is_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

/// `host` or `host:port`; `None` also for one with a user, or with an IPv6 address.
pub(super) fn host_and_port(text: &str) -> Option<Authority> {
    text.parse().ok().filter(is_host_and_port)
}

pub(super) fn is_host_and_port(authority: &Authority) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let (text, host) = (authority.as_str(), authority.host());
    // For `Authority`, a port that is not a number is none.
    let has_port = text.len() > host.len();
    !text.contains('@') && host.split('.').all(label) && has_port == authority.port_u16().is_some()
}

fn is_path_part(part: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let mut run = String::new();
    for c in part.chars() {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            run.clear();
        } else if matches!(c, '.' | '_' | '-') {
            run.push(c);
            // Two letters are separated by one dot, one or two underscores, or any number of hyphens.
            let valid = run == "." || run == "_" || run == "__" || run.chars().all(|c| c == '-');
            if !valid {
                return false;
            }
        } else {
            return false;
        }
    }
    edge(part.chars().next()) && edge(part.chars().next_back())
}

fn is_tag(tag: &str) -> bool {
    let key = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&tag.len())
        && tag.bytes().next().is_some_and(key)
        && tag.bytes().all(|b| key(b) || b == b'.' || b == b'-')
}

fn is_digest(digest: &str) -> bool {
    digest
        .strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
}

/// The protocols of Seldon Core v1 that clients can use over a path prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Seldon's own, `/api/v1.0/predictions`.
    Seldon,
    /// The open inference protocol, `/v2/models/<model>/infer`.
    V2,
    /// TensorFlow Serving's, `/v1/models/<model>:predict`.
    Tensorflow,
}

impl Protocol {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seldon => "seldon",
            Self::V2 => "v2",
            Self::Tensorflow => "tensorflow",
        }
    }
}

pub(crate) const PROTOCOLS: [Protocol; 3] = [Protocol::Seldon, Protocol::V2, Protocol::Tensorflow];

pub(crate) fn protocol(text: &str) -> Result<Protocol, Violation> {
    PROTOCOLS
        .into_iter()
        .find(|protocol| protocol.as_str() == text)
        .ok_or_else(|| Violation::with_value(text, "must be seldon, v2 or tensorflow", "seldon"))
}

/// Seldon's prepackaged servers with the protocols that have an image; an empty list marks a name that is not a server
/// (operator v1.17.1, `config/manager/configmap.yaml`, `apis/.../v1/prepack.go`).
const SERVERS: [(&str, &[Protocol]); 12] = [
    ("SKLEARN_SERVER", &[Protocol::Seldon, Protocol::V2]),
    ("XGBOOST_SERVER", &[Protocol::Seldon, Protocol::V2]),
    ("MLFLOW_SERVER", &[Protocol::Seldon, Protocol::V2]),
    ("TENSORFLOW_SERVER", &[Protocol::Seldon, Protocol::Tensorflow]),
    ("TRITON_SERVER", &[Protocol::V2]),
    ("HUGGINGFACE_SERVER", &[Protocol::V2]),
    ("TEMPO_SERVER", &[Protocol::V2]),
    ("UNKNOWN_IMPLEMENTATION", &[]),
    ("SIMPLE_MODEL", &[]),
    ("SIMPLE_ROUTER", &[]),
    ("RANDOM_ABTEST", &[]),
    ("AVERAGE_COMBINER", &[]),
];

/// The protocols of a prepackaged server; `None` for one of the site's own.
pub(crate) fn server_protocols(server: &str) -> Option<&'static [Protocol]> {
    let known = SERVERS.iter().find(|(name, _)| *name == server);
    known.map(|(_, protocols)| *protocols)
}

/// Seldon's own implementations.
pub(crate) fn servers() -> impl Iterator<Item = &'static str> {
    SERVERS.iter().map(|(name, _)| *name)
}

/// The name of a prepackaged server: Seldon's, or one that the site added to Seldon's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Implementation(String);

impl Implementation {
    /// `None` for a server of the site's own.
    pub fn protocols(&self) -> Option<&'static [Protocol]> {
        server_protocols(&self.0)
    }

    /// Whether Seldon rejects it without `modelUri`.
    pub fn needs_files(&self) -> bool {
        self.0 != "HUGGINGFACE_SERVER"
    }
}

impl fmt::Display for Implementation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) fn implementation(text: &str) -> Result<Implementation, Violation> {
    const EXAMPLE: &str = "SKLEARN_SERVER";
    match SERVERS.iter().find(|(name, _)| *name == text) {
        Some((_, [])) => {
            return Err(Violation::with_value(text, "does not serve models", EXAMPLE));
        }
        Some(_) => return Ok(Implementation(text.to_owned())),
        None => {}
    }
    let valid = (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-' || b == b'.');
    let names: Vec<&str> = SERVERS
        .iter()
        .filter(|(_, protocols)| !protocols.is_empty())
        .map(|(name, _)| *name)
        .collect();
    // A site may name servers of its own, but hardly one that differs from Seldon's by a single letter.
    let typo = names
        .iter()
        .find(|name| text.len() <= name.len() && strsim::damerau_levenshtein(&text.to_ascii_uppercase(), name) <= 1);
    match (typo, valid) {
        (Some(nearest), _) => Err(Violation::with_value(
            text,
            format!("did you mean `{nearest}`?"),
            *nearest,
        )),
        (None, true) => Ok(Implementation(text.to_owned())),
        (None, false) => Err(Violation::with_value(text, "is not a valid server name", EXAMPLE)
            .with_detail(format!("{}, or a server that your site defined", either(&names)))),
    }
}

/// The implementation of a node of a graph, where Seldon's own A/B test is one too.
pub(crate) fn node_implementation(text: &str) -> Result<Implementation, Violation> {
    if text == "RANDOM_ABTEST" {
        return Ok(Implementation(text.to_owned()));
    }
    implementation(text)
}

/// The URI of a model's files. The schemes are rclone's remotes; a site may define more.
pub(crate) fn model_uri(text: &str) -> Result<String, Violation> {
    const EXAMPLE: &str = "gs://bucket/model";
    const LONGEST: usize = 2048;
    let violation = |rule: &str| Err(Violation::with_value(text, rule, EXAMPLE));
    if has_credentials(text) {
        return Err(Violation::new("must not contain credentials", EXAMPLE).with_detail("put them into storage-secret"));
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return violation("must not contain spaces");
    }
    if text.len() > LONGEST {
        return violation("must be at most 2048 characters");
    }
    if text.starts_with("http://") || text.starts_with("https://") {
        return Err(
            Violation::with_value(text, "must be an rclone remote, not a URL", "web:models/iris").with_detail(
                "define the remote in storage-secret: rclone-config-web-type=http, rclone-config-web-url=…",
            ),
        );
    }
    if let Some(rest) = text.strip_prefix("pvc://")
        && rest.split('/').next().is_none_or(str::is_empty)
    {
        return violation("must name a claim, such as pvc://claim/model");
    }
    if !text.starts_with('/') && !text.contains(':') {
        return violation("must be a URI, such as pvc://claim/model");
    }
    Ok(text.to_owned())
}

/// Whether a URI has a user or settings of its remote, which may be secret: `s3://key:secret@host/path`, or rclone's
/// `:s3,secret_access_key=…:path` (rclone, "Connection strings").
pub(crate) fn has_credentials(uri: &str) -> bool {
    let remote = uri.split(':').next().unwrap_or_default();
    let remote = if remote.is_empty() {
        uri.trim_start_matches(':').split(':').next().unwrap_or_default()
    } else {
        remote
    };
    let authority = uri
        .split_once("://")
        .map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    remote.contains(',') || authority.is_some_and(|authority| authority.contains('@'))
}
