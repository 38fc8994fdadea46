//! What the API server refuses, told apart by what a person would do about it.

use std::error::Error;
use std::time::Duration;

use crate::labels::ObjectKind;
use crate::permissions::Permission;

/// Pauses before a request that failed in passing is sent again.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];
/// How often a request is sent again that an overloaded API server has turned away.
const MAX_REJECTED: usize = 5;
/// When, where it does not say: what it says itself unless it is overloaded for long (kubernetes/apiserver,
/// pkg/server/filters, `Retry-After`).
const LATER: Duration = Duration::from_secs(1);

/// Why a request got nowhere. [`crate::status`] has the words for each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// No connection, or none that can be trusted.
    #[error("the Kubernetes API cannot be reached: {why}")]
    Unreachable {
        /// The innermost cause.
        why: String,
    },
    /// The hook's time ended before an answer came.
    #[error("the Kubernetes API did not answer within the hook's time")]
    DeadlineExceeded,
    /// What answers does not show a certificate of the cluster's API server.
    #[error("the Kubernetes API's certificate cannot be trusted: {why}")]
    Untrusted {
        /// Why.
        why: String,
        /// Whether it is of another time: it has expired, or is not valid yet, by this machine's clock.
        time: bool,
    },
    /// It has too much to do.
    #[error("the Kubernetes API is overloaded")]
    Throttled {
        /// When to ask again.
        after: Duration,
    },
    /// It answers that it cannot answer: a fault of its own.
    #[error("the Kubernetes API is not well: {why}")]
    ServerError {
        /// What it said.
        why: String,
    },
    /// It does not know who we are.
    #[error("the Kubernetes API does not accept the service account's token")]
    Unauthorized,
    /// The service account may not do it.
    #[error("not allowed: {why}")]
    Forbidden {
        /// What the API server said.
        why: String,
        /// The rights that are missing, once they were asked for.
        missing: Vec<Permission>,
    },
    /// There is no such kind of object.
    #[error("the cluster does not know the kind {kind}")]
    CrdMissing {
        /// The kind.
        kind: String,
    },
    /// There is no such object.
    #[error("not found")]
    NotFound,
    /// Another field manager owns what we want to set.
    #[error("{} of {object} is managed by {manager}", fields.join(", "))]
    Conflict {
        /// Kind and name.
        object: String,
        /// Who owns it.
        manager: String,
        /// The fields.
        fields: Vec<String>,
    },
    /// Somebody else changed or replaced it at that moment.
    #[error("it was changed by somebody else at that moment")]
    ConcurrentChange,
    /// A webhook that must be asked does not answer.
    #[error("the webhook {name} does not answer: {why}")]
    WebhookDown {
        /// Its name.
        name: String,
        /// What happened.
        why: String,
    },
    /// A webhook or the schema says no.
    #[error("{object} is refused: {why}")]
    Invalid {
        /// Kind and name.
        object: String,
        /// Why.
        why: String,
    },
    /// The namespace has used up a quota.
    #[error("quota: {why}")]
    Quota {
        /// Which, and how much.
        why: String,
    },
    /// The namespace is being deleted.
    #[error("the namespace is being deleted")]
    Terminating,
}

impl ApiError {
    /// How long to wait until the same request is sent again, after it has failed so often already; `None` where it would
    /// fail again.
    pub(crate) fn pause(&self, failed: usize) -> Option<Duration> {
        match self {
            Self::Throttled { after } => (failed < MAX_REJECTED).then_some(*after),
            Self::Unreachable { .. } | Self::ServerError { .. } | Self::WebhookDown { .. } | Self::ConcurrentChange => {
                PAUSES.get(failed).copied()
            }
            _ => None,
        }
    }

    /// Whether every further request would meet the same.
    #[must_use]
    pub fn concerns_all(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Untrusted { .. }
                | Self::DeadlineExceeded
                | Self::Throttled { .. }
                | Self::Unauthorized
                | Self::Forbidden { .. }
                | Self::CrdMissing { .. }
                | Self::Terminating
        )
    }

    /// The same, said of that object.
    pub(crate) fn for_object(self, kind: ObjectKind, name: &str) -> Self {
        let object = format!("{} {name}", kind.as_str());
        match self {
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

/// The innermost cause of an error: what lies around it says only that there was one.
pub fn chain(error: &dyn Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// What leads to the cluster cannot be used.
pub fn unusable(error: &dyn Error) -> ApiError {
    ApiError::Unreachable { why: chain(error) }
}

impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => api(&status),
            // The API answered, but not as one.
            kube::Error::SerdeError(error) => Self::ServerError {
                why: format!("its answer cannot be read ({error})"),
            },
            other => unreachable(chain(&other)),
        }
    }
}

/// The words are those of rustls.
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
    let message = status.message.trim().to_owned();
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
    if let Some((_, rest)) = message.split_once("denied the request: ") {
        return ApiError::Invalid {
            object: String::new(),
            why: rest.to_owned(),
        };
    }
    // The answer to an apply with a field that the definition lacks, though the code is 500.
    if message.contains("field not declared in schema") {
        return ApiError::Invalid {
            object: String::new(),
            why: message,
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
        400 | 413 | 415 | 422 => ApiError::Invalid {
            object: String::new(),
            why: message,
        },
        code => ApiError::ServerError {
            why: if message.is_empty() {
                format!("HTTP {code}")
            } else {
                format!("HTTP {code}, {message}")
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
        .map(|cause| cause.field.trim_start_matches('.').to_owned())
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
        manager: manager.to_owned(),
        fields,
    }
}
