//! What the API server rejects, sorted by what a person does about it.

mod rejection;

use std::error::Error;
use std::time::Duration;

use crate::labels::ObjectKind;
use crate::permissions::Permission;
use crate::text::clean;
pub use rejection::field_errors;
use rejection::rejection;

/// Pauses before a request is sent again that failed for a transient reason.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];
/// How often a request is sent again that an overloaded API server has rejected.
const MAX_REJECTED: usize = 5;
/// The pause before that, where the server names none: it names this one unless it is overloaded for long (kubernetes/apiserver,
/// pkg/server/filters, `Retry-After`).
const LATER: Duration = Duration::from_secs(1);

/// Why a request failed. [`crate::status`] has the message for each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// No connection, or none that can be trusted.
    #[error("Kubernetes API unreachable: {why}")]
    Unreachable {
        /// The innermost cause.
        why: String,
    },
    #[error("the Kubernetes API did not answer within the time of the hook")]
    DeadlineExceeded,
    #[error("Kubernetes API certificate not trusted: {why}")]
    Untrusted {
        why: String,
        /// Whether it has expired or is not valid yet, by this machine's clock.
        time: bool,
    },
    #[error("Kubernetes API overloaded")]
    Throttled {
        /// The pause before the next request.
        after: Duration,
    },
    /// An error of its own.
    #[error("Kubernetes API error: {why}")]
    ServerError { why: String },
    #[error("the Kubernetes API rejects the service account's token")]
    Unauthorized,
    #[error("no service account token: {why}")]
    NoToken {
        /// The file, and what is wrong with it.
        why: String,
    },
    #[error("not allowed: {why}")]
    Forbidden {
        /// The API server's reason.
        why: String,
        /// The permissions that are missing, once they were checked.
        missing: Vec<Permission>,
    },
    #[error("CRD {kind} not found")]
    CrdMissing { kind: String },
    #[error("not found")]
    NotFound,
    /// Another field manager owns fields that we apply.
    #[error("{} of {object} is managed by {manager}", fields.join(", "))]
    Conflict {
        /// Kind and name.
        object: String,
        manager: String,
        fields: Vec<String>,
    },
    /// The object was changed or replaced at the same time.
    #[error("changed by another client at the same time")]
    ConcurrentChange,
    #[error("webhook {name} does not answer: {why}")]
    WebhookDown { name: String, why: String },
    /// Rejected by a webhook or by the schema.
    #[error("{object} rejected: {why}")]
    Invalid {
        /// Kind and name.
        object: String,
        why: String,
    },
    #[error("quota: {why}")]
    Quota {
        /// Which, and how much.
        why: String,
    },
    #[error("the namespace is being deleted")]
    Terminating,
    /// A fault of this program: no request was sent.
    #[error("cannot write an object as JSON: {why}")]
    Unserializable { why: String },
}

impl ApiError {
    /// The pause before the same request is sent again, after that many failures; `None` where it would fail again.
    pub(crate) fn pause(&self, failed: usize) -> Option<Duration> {
        match self {
            Self::Throttled { after } => (failed < MAX_REJECTED).then_some(*after),
            Self::Unreachable { .. } | Self::ServerError { .. } | Self::WebhookDown { .. } | Self::ConcurrentChange => {
                PAUSES.get(failed).copied()
            }
            _ => None,
        }
    }

    /// Whether every further request would fail in the same way.
    pub fn concerns_all(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Untrusted { .. }
                | Self::DeadlineExceeded
                | Self::Throttled { .. }
                | Self::Unauthorized
                | Self::NoToken { .. }
                | Self::Forbidden { .. }
                | Self::CrdMissing { .. }
                | Self::Terminating
                | Self::Unserializable { .. }
        )
    }

    /// The same of that object. One that need not be in our namespace is named with its own.
    pub(crate) fn for_object(self, kind: ObjectKind, namespace: &str, name: &str) -> Self {
        let object = if kind.is_access_policy() {
            format!("{} {namespace}/{name}", kind.as_str())
        } else {
            format!("{} {name}", kind.as_str())
        };
        match self {
            // That of a gateway, which is not the one of the models.
            Self::Terminating if kind.is_access_policy() => Self::ServerError {
                why: format!("namespace {namespace} is being deleted"),
            },
            Self::Conflict { manager, fields, .. } => Self::Conflict {
                object,
                manager,
                fields,
            },
            Self::Invalid { why, .. } => Self::Invalid { object, why },
            Self::NotFound => Self::CrdMissing {
                kind: kind.as_str().to_owned(),
            },
            other => other,
        }
    }
}

/// The innermost cause of an error: the outer ones only say that there was one.
pub fn chain(error: &dyn Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    clean(&inner.to_string())
}

/// The client's configuration or certificates cannot be used.
pub fn unusable(error: &dyn Error) -> ApiError {
    ApiError::Unreachable { why: chain(error) }
}

impl From<serde_json::Error> for ApiError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unserializable { why: error.to_string() }
    }
}

impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => api(&status),
            // Something answered, but not in the API's format.
            kube::Error::SerdeError(error) => Self::ServerError {
                why: clean(&format!("invalid answer: {error}")),
            },
            other => unreachable(chain(&other)),
        }
    }
}

/// The texts are those of rustls.
fn unreachable(why: String) -> ApiError {
    let Some((_, why)) = why.split_once("invalid peer certificate: ") else {
        return ApiError::Unreachable { why };
    };
    // What follows a colon are seconds since 1970.
    let why = why.split(':').next().unwrap_or(why);
    ApiError::Untrusted {
        why: why.to_owned(),
        time: why.contains("expired") || why.contains("not valid yet"),
    }
}

fn api(status: &kube::core::Status) -> ApiError {
    let message = clean(&status.message);
    let causes = status.details.iter().flat_map(|details| &details.causes);
    if causes.clone().any(|cause| cause.reason == "NamespaceTerminating") {
        return ApiError::Terminating;
    }
    if let Some((_, rest)) = message.split_once("failed calling webhook ") {
        let (name, why) = rest.split_once(": ").unwrap_or((rest, ""));
        return ApiError::WebhookDown {
            name: name.trim_matches('"').to_owned(),
            why: why.rsplit(": ").next().unwrap_or(why).to_owned(),
        };
    }
    if let Some(why) = rejection(status) {
        return ApiError::Invalid {
            object: String::new(),
            why,
        };
    }
    match status.code {
        401 => ApiError::Unauthorized,
        403 if message.contains("exceeded quota") => {
            let why = message.find("exceeded quota").and_then(|at| message.get(at..));
            ApiError::Quota {
                why: why.unwrap_or(&message).to_owned(),
            }
        }
        403 => ApiError::Forbidden {
            why: message,
            missing: Vec::new(),
        },
        404 => ApiError::NotFound,
        409 => conflict(status),
        429 => {
            let seconds = status.details.as_ref().map(|details| details.retry_after_seconds);
            let after = seconds.filter(|seconds| *seconds > 0).map(u64::from);
            ApiError::Throttled {
                after: after.map_or(LATER, Duration::from_secs),
            }
        }
        code => ApiError::ServerError {
            why: if message.is_empty() {
                format!("HTTP {code}")
            } else {
                format!("HTTP {code}: {message}")
            },
        },
    }
}

/// The API server names a manager in each cause, as `conflict with "<manager>" using <version>`.
fn conflict(status: &kube::core::Status) -> ApiError {
    let causes = status
        .details
        .iter()
        .flat_map(|details| &details.causes)
        .filter(|cause| cause.reason == "FieldManagerConflict");
    let fields: Vec<String> = causes
        .clone()
        .map(|cause| clean(cause.field.trim_start_matches('.')))
        .collect();
    if fields.is_empty() {
        return ApiError::ConcurrentChange;
    }
    let manager = causes
        .clone()
        .find_map(|cause| cause.message.split('"').nth(1))
        .unwrap_or("another client");
    ApiError::Conflict {
        object: String::new(),
        manager: clean(manager),
        fields,
    }
}
