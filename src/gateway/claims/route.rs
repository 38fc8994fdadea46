//! A route of another client, whatever its kind.

use super::pattern::{Fit, Pattern, Regexes};
use super::requests::{ModelRequests, RequestKind};
use crate::gateway::GatewayName;

/// Its place in the gateway's order, compared with the model's own route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precedence {
    /// Whatever its age, as its host or its path is more specific.
    First,
    /// The older one comes first.
    ByAge,
    /// It matches every path. Since 1.15 Istio sorts it behind all others; before, the older one comes first.
    CatchAll,
}

/// A route of either kind.
pub(super) struct Route {
    pub(super) gateways: Vec<ParentGateway>,
    pub(super) hosts: Vec<String>,
    pub(super) matches: Vec<RouteMatch>,
}

pub(super) struct ParentGateway {
    pub(super) name: GatewayName,
    /// Of its listeners that the route is limited to.
    pub(super) port: Option<u16>,
}

/// All of its conditions have to be satisfied.
#[derive(Default)]
pub(super) struct RouteMatch {
    /// `None` for those of the route.
    pub(super) gateways: Option<Vec<GatewayName>>,
    pub(super) path: Option<PathPattern>,
    pub(super) method: Option<Pattern>,
    pub(super) scheme: Option<Pattern>,
    pub(super) authority: Option<Pattern>,
    /// Names are in lower case.
    pub(super) headers: Vec<(String, Pattern)>,
    pub(super) without_headers: Vec<(String, Pattern)>,
    pub(super) query_params: usize,
    pub(super) port: Option<u16>,
    /// Whether there is another condition.
    pub(super) has_more: bool,
}

pub(super) struct PathPattern {
    pub(super) text: Pattern,
    pub(super) ignores_case: bool,
    /// Whether a prefix covers whole segments only, as in the Gateway API: `/a` not `/ab`.
    pub(super) by_segments: bool,
}

impl RouteMatch {
    pub(super) fn is_every_path(&self) -> bool {
        self.path.as_ref().is_none_or(|path| path.text.is_every_path())
    }

    /// Whether it has a condition besides the path.
    pub(super) fn is_conditional(&self) -> bool {
        let texts = [&self.method, &self.scheme, &self.authority];
        texts.into_iter().any(Option::is_some)
            || !self.headers.is_empty()
            || !self.without_headers.is_empty()
            || self.query_params > 0
            || self.has_more
    }
}

impl PathPattern {
    pub(super) fn fit(&self, kind: RequestKind, model: &ModelRequests, regexes: &mut Regexes) -> Fit {
        let lower = |text: &str| {
            if self.ignores_case {
                text.to_lowercase()
            } else {
                text.to_owned()
            }
        };
        let paths = || -> Vec<String> { model.paths(kind).iter().map(|path| lower(path)).collect() };
        match &self.text {
            Pattern::Regex(pattern) => {
                if cannot_begin(pattern, model.prefix.bare()) && kind == RequestKind::Http {
                    return Fit::Never;
                }
                let Some(regex) = regexes.compile(pattern) else {
                    return Fit::Possible;
                };
                if model.paths(kind).iter().any(|path| regex.matches(path)) {
                    return Fit::Certain;
                }
                let below = kind == RequestKind::Http && regex.matches_below(&model.prefix.to_string());
                if below { Fit::Possible } else { Fit::Never }
            }
            text if text.is_every_path() => Fit::Certain,
            Pattern::Prefix(claimed) => {
                let claimed = lower(claimed);
                let covers = |path: &String| {
                    path.starts_with(&claimed)
                        && (!self.by_segments || matches!(path.as_bytes().get(claimed.len()), None | Some(b'/')))
                };
                let is_below = kind == RequestKind::Http && claimed.starts_with(&lower(&model.prefix.to_string()));
                Fit::when(is_below || paths().iter().any(covers))
            }
            Pattern::Exact(claimed) => {
                let claimed = lower(claimed);
                let is_below = kind == RequestKind::Http && claimed.starts_with(&lower(&model.prefix.to_string()));
                Fit::when(is_below || paths().contains(&claimed))
            }
            Pattern::Present => Fit::Certain,
        }
    }
}

/// Whether a regular expression begins with plain text that no path below `path` begins with. Saves compiling those of
/// neighbours with prefixes of their own.
fn cannot_begin(pattern: &str, path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_~".contains(c);
    let plain: String = pattern.chars().take_while(|c| plain(*c)).collect();
    // The last character may belong to a repetition.
    let plain = plain.get(..plain.len().saturating_sub(1)).unwrap_or_default();
    !pattern.contains('|') && !plain.starts_with(path) && !path.starts_with(plain)
}
