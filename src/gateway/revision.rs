//! The revision of a model's route, by which a gateway shows what it serves.
//!
//! A gateway may serve another route than the one that is written: Envoy rejects the routes of a whole gateway for a
//! mistake in a single one, and keeps those before it. So the first rule of each route answers a request with the header
//! [`HEADER`] by a redirect whose location contains the route's revision. The model gets no such request.

use super::prefix::Prefix;
use crate::text::short_digest;

/// In lower case, as Istio requires it.
pub const HEADER: &str = "x-seldon-model-revision";
/// The value that asks for the revision.
pub const SHOW: &str = "show";
/// Found, which no client caches unless a header allows it.
pub const REDIRECT: u16 = 302;

/// A digest of the route's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteRevision(String);

/// What a gateway serves of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// The planned revision.
    Current,
    /// Another revision, another route, or none.
    Stale,
    /// Something in front of the gateway answered.
    Unknown,
}

/// What a gateway answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    pub origin: Origin,
    /// Whether the body is that of a denial by an access policy.
    pub is_denial: bool,
}

/// What Envoy answers to a request that a policy denies (`envoyproxy/envoy`,
/// `source/extensions/filters/http/rbac/rbac_filter.cc`).
pub const DENIAL: &str = "RBAC: access denied";

impl Answer {
    /// What an answer to a request that a policy denies to everybody shows of that policy. A login in front of the gateway
    /// answers everything in its own way.
    pub fn shows_denial(&self) -> Served {
        match (self.status, self.origin) {
            (403, _) if self.is_denial => Served::Current,
            (401 | 403 | 407 | 429 | 300..=399 | 500.., _) | (_, Origin::Unknown) => Served::Unknown,
            (_, Origin::Service) | (404, Origin::Gateway) => Served::Stale,
            (_, Origin::Gateway) => Served::Unknown,
        }
    }
}

/// Who gave an answer, going by the headers that Envoy sets. Something between the charm and the gateway may answer too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// A Service behind the gateway.
    Service,
    /// The gateway itself.
    Gateway,
    #[default]
    Unknown,
}

impl RouteRevision {
    /// Of a route without the rule that shows it.
    pub fn of(route: &[u8]) -> Self {
        Self(short_digest(route))
    }

    /// The path of the redirect. A client that follows it without the header gets what the model has there.
    pub fn path(&self, prefix: &Prefix) -> String {
        format!("{prefix}{}", self.0)
    }

    /// What an answer to a request for the revision shows. Only what nothing but the gateway's routes can have answered
    /// is stale: a login in front of it may answer everything, also by a redirect.
    pub fn served(&self, prefix: &Prefix, answer: &Answer) -> Served {
        let path = answer.location.as_deref().map(path);
        let shown = path.and_then(|path| path.strip_prefix(&prefix.to_string()).filter(|text| is_revision(text)));
        match (answer.status, shown) {
            (REDIRECT, Some(shown)) if shown == self.0 => Served::Current,
            (REDIRECT, Some(_)) => Served::Stale,
            (401 | 403 | 407 | 429 | 300..=399 | 500.., _) => Served::Unknown,
            (status, _) => match answer.origin {
                Origin::Service => Served::Stale,
                Origin::Gateway if status == 404 => Served::Stale,
                Origin::Gateway | Origin::Unknown => Served::Unknown,
            },
        }
    }
}

fn is_revision(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The path of a location, which is absolute or only a path.
fn path(location: &str) -> &str {
    let path = match location.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default(),
        None => location,
    };
    path.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certain_answers_are_current_or_stale() {
        let prefix = Prefix::new("/model/iris/").unwrap();
        let revision = RouteRevision::of(b"new");
        let (new, old) = (revision.path(&prefix), RouteRevision::of(b"old").path(&prefix));
        let answer = |status: u16, location: &str, origin: Origin| Answer {
            status,
            location: Some(location.to_owned()).filter(|location| !location.is_empty()),
            origin,
            is_denial: false,
        };
        let absolute = |path: &str| format!("http://10.0.0.7:31380{path}");
        let to_login = "https://login.example/?rd=";
        for (answer, served) in [
            (answer(302, &absolute(&new), Origin::Gateway), Served::Current),
            (answer(302, &new, Origin::Gateway), Served::Current),
            (answer(302, &format!("{new}?a=b"), Origin::Unknown), Served::Current),
            // An older revision.
            (answer(302, &absolute(&old), Origin::Gateway), Served::Stale),
            // No route at all.
            (answer(404, "", Origin::Gateway), Served::Stale),
            // The route of an earlier charm, or of another client.
            (answer(404, "", Origin::Service), Served::Stale),
            (answer(200, "", Origin::Service), Served::Stale),
            (answer(405, "", Origin::Service), Served::Stale),
            // A login.
            (
                answer(302, &format!("{to_login}/model/iris/"), Origin::Gateway),
                Served::Unknown,
            ),
            (
                answer(302, "/oauth2/start?rd=%2Fmodel%2Firis%2F", Origin::Gateway),
                Served::Unknown,
            ),
            (
                answer(302, &format!("{to_login}{new}"), Origin::Gateway),
                Served::Unknown,
            ),
            (answer(200, "", Origin::Gateway), Served::Unknown),
            (answer(401, "", Origin::Gateway), Served::Unknown),
            (answer(403, "", Origin::Service), Served::Unknown),
            // A redirect to HTTPS.
            (
                answer(301, "https://10.0.0.7/model/iris/", Origin::Gateway),
                Served::Unknown,
            ),
            // A limit of requests, and a gateway that does not work.
            (answer(429, "", Origin::Service), Served::Unknown),
            (answer(503, "", Origin::Gateway), Served::Unknown),
            (answer(504, "", Origin::Service), Served::Unknown),
            (answer(302, "", Origin::Gateway), Served::Unknown),
            // A proxy on the way.
            (answer(404, "", Origin::Unknown), Served::Unknown),
        ] {
            assert_eq!(revision.served(&prefix, &answer), served, "{answer:?}");
        }
    }

    #[test]
    fn revision_of_another_model_is_no_revision() {
        let revision = RouteRevision::of(b"new");
        let other = revision.path(&Prefix::new("/model/other/").unwrap());
        let answer = Answer {
            status: REDIRECT,
            location: Some(other),
            origin: Origin::Gateway,
            is_denial: false,
        };
        let prefix = Prefix::new("/model/iris/").unwrap();
        assert_eq!(revision.served(&prefix, &answer), Served::Unknown);
    }

    #[test]
    fn only_a_policy_denies_in_its_own_words() {
        for (status, origin, is_denial, served) in [
            (403, Origin::Gateway, true, Served::Current),
            // A login that forbids.
            (403, Origin::Gateway, false, Served::Unknown),
            (302, Origin::Gateway, false, Served::Unknown),
            (401, Origin::Gateway, false, Served::Unknown),
            // No policy and no route, or somebody's route for every path.
            (404, Origin::Gateway, false, Served::Stale),
            (404, Origin::Service, false, Served::Stale),
            (200, Origin::Service, false, Served::Stale),
            (403, Origin::Service, false, Served::Unknown),
            (503, Origin::Gateway, false, Served::Unknown),
            (404, Origin::Unknown, false, Served::Unknown),
        ] {
            let answer = Answer {
                status,
                location: None,
                origin,
                is_denial,
            };
            assert_eq!(answer.shows_denial(), served, "{answer:?}");
        }
    }
}
