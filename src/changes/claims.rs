//! Which other routes take requests of our models.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use kube::ResourceExt as _;
use kube::api::DynamicObject;

use super::model_of;
use crate::gateway::GatewayName;
use crate::gateway::claims::{Claim, ClaimReader, ModelRequests, Precedence, RequestKind, RouteClaim};
use crate::gateway::listeners::Listeners;
use crate::identity::{Identity, route_name};
use crate::labels::ObjectKind;
use crate::observed::Observed;
use crate::plan::{Plan, PlannedModel, PlannedRoute};

/// A route of another client that does not keep a model from being served, and may all the same get its requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CompetingRoute {
    pub how: Competition,
    pub kind: ObjectKind,
    /// As `namespace/name`.
    pub route: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Competition {
    /// It comes first, and matches some requests or cannot be decided, as with a header or a regular expression.
    MayTake,
    /// It matches the model's requests and comes later, as long as the model's own route exists.
    ComesLater,
    /// It matches every path that no other route matches.
    CatchAll,
}

/// Of one model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompetingRoutes {
    /// At most [`Self::NAMED`], those that may take requests first.
    pub named: Vec<CompetingRoute>,
    /// How many more there are.
    pub more: usize,
}

impl CompetingRoutes {
    const NAMED: usize = 8;

    fn new(mut routes: Vec<CompetingRoute>) -> Self {
        routes.sort();
        let more = routes.len().saturating_sub(Self::NAMED);
        routes.truncate(Self::NAMED);
        Self { named: routes, more }
    }
}

pub struct Claims<'a> {
    /// The live routes of planned models.
    own: BTreeMap<String, OwnRoute<'a>>,
    /// Other routes in our namespace.
    near: Vec<RouteClaim>,
    /// Those in other namespaces.
    far: &'a [RouteClaim],
}

/// Read only where another route claims the same requests, which is rare.
struct OwnRoute<'a> {
    kind: ObjectKind,
    object: &'a DynamicObject,
    requests: ModelRequests,
    gateways: &'a BTreeMap<GatewayName, Listeners>,
    claim: OnceCell<RouteClaim>,
}

impl OwnRoute<'_> {
    fn claim(&self) -> &RouteClaim {
        self.claim.get_or_init(|| {
            // Against the other models, none of ours is decided.
            let requests = std::slice::from_ref(&self.requests);
            ClaimReader::new(requests, self.gateways).read_object(self.kind, self.object)
        })
    }
}

impl<'a> Claims<'a> {
    /// Leaves out those of ours that are about to be deleted, and those that Seldon makes for our models.
    pub fn read(plan: &Plan, observed: &'a Observed, identity: &Identity) -> Self {
        let requests: Vec<_> = plan
            .models
            .iter()
            .filter_map(|planned| planned.requests(&identity.namespace))
            .collect();
        let mut reader = ClaimReader::new(&requests, &observed.gateways);
        let mut claims = Self {
            own: BTreeMap::new(),
            near: Vec::new(),
            far: &observed.other_routes,
        };
        let models = plan.models.iter();
        let by_route: BTreeMap<String, &PlannedModel> = models
            .map(|planned| (route_name(&planned.model.name), planned))
            .collect();
        for (kind, object) in observed.routes() {
            if identity.has_our_labels(object)
                && let Some(planned) = by_route.get(&object.name_any())
            {
                // It may be of the other kind, which is about to be deleted.
                let requests = planned.requests(&identity.namespace);
                if let Some(requests) = requests.filter(|_| route_kind(planned) == Some(kind)) {
                    let own = OwnRoute {
                        kind,
                        object,
                        requests,
                        gateways: &observed.gateways,
                        claim: OnceCell::new(),
                    };
                    claims.own.insert(planned.model.name.clone(), own);
                }
                continue;
            }
            let is_deleted = plan.prune && identity.owns(object) && !plan.frozen.contains(&model_of(object));
            if is_deleted || is_made_for_ours(object, observed) {
                continue;
            }
            claims.near.push(reader.read_object(kind, object));
        }
        claims
    }

    /// Of the kind of the model's own route.
    fn others(&self, planned: &PlannedModel) -> impl Iterator<Item = &RouteClaim> {
        let kind = route_kind(planned);
        let others = self.near.iter().chain(self.far);
        others.filter(move |route| Some(route.kind) == kind)
    }

    /// Whether a gateway tries this route first for requests that both match.
    fn comes_first(&self, route: &RouteClaim, claim: Claim, planned: &PlannedModel) -> bool {
        let name = &planned.model.name;
        // The age of our route counts only for what it claims already.
        let is_same = |own: Claim| {
            own.requests == claim.requests && (own.certain || claim.requests == RequestKind::GrpcByHeaders)
        };
        let matches_already = |own: &&RouteClaim| own.of_model(name).any(is_same);
        match claim.precedence {
            Precedence::First => true,
            Precedence::ByAge | Precedence::CatchAll => {
                let own = self.own.get(name).map(OwnRoute::claim).filter(matches_already);
                own.is_none_or(|own| route.is_older_than(own))
            }
        }
    }

    /// The first route that surely takes requests of a model by a claim like this.
    pub fn taken(&self, planned: &PlannedModel, is_one: impl Fn(&Claim) -> bool) -> Option<&RouteClaim> {
        self.others(planned).find(|route| {
            let mut claims = route.of_model(&planned.model.name).filter(|claim| claim.certain);
            claims.any(|claim| is_one(&claim) && self.comes_first(route, claim, planned))
        })
    }

    /// The other routes that a model has to share its requests with.
    pub fn competing(&self, planned: &PlannedModel) -> CompetingRoutes {
        let name = &planned.model.name;
        let competition = |route: &RouteClaim, claim: Claim| {
            if claim.precedence == Precedence::CatchAll {
                Some(Competition::CatchAll)
            } else if self.comes_first(route, claim, planned) {
                Some(Competition::MayTake)
            } else {
                claim.certain.then_some(Competition::ComesLater)
            }
        };
        let worst = |route: &RouteClaim| route.of_model(name).filter_map(|claim| competition(route, claim)).min();
        let routes = self.others(planned).filter_map(|route| {
            Some(CompetingRoute {
                how: worst(route)?,
                kind: route.kind,
                route: route.qualified_name(),
            })
        });
        CompetingRoutes::new(routes.collect())
    }
}

fn route_kind(planned: &PlannedModel) -> Option<ObjectKind> {
    match planned.route {
        PlannedRoute::VirtualService(_) => Some(ObjectKind::VirtualService),
        PlannedRoute::HttpRoute(_) => Some(ObjectKind::HttpRoute),
        PlannedRoute::Delete | PlannedRoute::Keep => None,
    }
}

/// Whether Seldon made a route for one of our models, which it does unless it is configured to leave that to others.
fn is_made_for_ours(object: &DynamicObject, observed: &Observed) -> bool {
    let mut owners = object.owner_references().iter();
    owners.any(|owner| {
        let of_same_name = observed.seldon_deployment(&owner.name);
        owner.kind == ObjectKind::SeldonDeployment.as_str()
            && of_same_name.is_some_and(|live| live.uid().as_ref() == Some(&owner.uid))
    })
}
