//! When a gateway is queried for which revision of a model's route it serves, and what follows from the answer.
//!
//! A hook that changes a route asks for it, and so do the hooks after it until the status is active. A route that its gateway did
//! not serve in time is marked by an annotation, and queried until it is served. So a hook in which nothing has changed asks for
//! none, and none that is not served is forgotten.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;

use super::readiness::propagation_remaining;
use super::types::{PlannedModel, PlannedRoute};
use crate::config::Model;
use crate::gateway::revision::Served;
use crate::identity::{applied_at, applied_fields, route_name};
use crate::labels;
use crate::observed::Observed;
use juju_hooks::{State, Status};

/// How long after a change of a route its gateway is queried. Juju runs a hook every five minutes.
const YOUNG: SignedDuration = SignedDuration::from_mins(10);
/// How long a gateway may take to serve a change. It takes less than a second unless istiod is busy or starting.
const IN_TIME: SignedDuration = SignedDuration::from_secs(10);
/// How soon a gateway is queried again that has not served a change yet, and one that did not in time.
const SOON: Duration = Duration::from_secs(2);
const LATER: Duration = Duration::from_secs(30);

/// A change of a model's route that its gateway does not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotServed {
    Yet,
    InTime,
}

impl NotServed {
    /// How soon the gateway should be queried again.
    pub fn retry_after(self) -> Duration {
        match self {
            Self::Yet => SOON,
            Self::InTime => LATER,
        }
    }
}

/// Which routes are queried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Those that were not served at the last query.
    Marked,
    /// Those too that have changed lately.
    Changed,
}

impl Due {
    /// A hook leaves an active status only after it has queried what it changed.
    pub fn after(status: Option<&Status>) -> Self {
        match status {
            Some(status) if status.state == State::Active => Self::Marked,
            _ => Self::Changed,
        }
    }
}

/// An object that a gateway should serve, of the planned revision.
pub struct Query<'a> {
    pub live: &'a DynamicObject,
    /// What the gateway answered, if it was queried and reached.
    pub answer: Option<Served>,
}

impl Query<'_> {
    /// Whether the gateway should be queried now.
    pub fn is_due(&self, due: Due, observed: &Observed, manager: &str) -> bool {
        let is_young = || age(self.live, observed, manager).is_some_and(|age| age.abs() < YOUNG);
        is_marked(self.live, manager) || (due == Due::Changed && is_young())
    }

    pub fn is_current(&self) -> bool {
        self.answer == Some(Served::Current)
    }

    /// A change that is not served, as far as the gateway shows it. One that is not reached is as it was when it last was.
    pub fn not_served(&self, observed: &Observed, manager: &str) -> Option<NotServed> {
        let is_marked = is_marked(self.live, manager);
        match self.answer {
            Some(Served::Current | Served::Unknown) => None,
            Some(Served::Stale) if is_marked || self.is_overdue(observed, manager) => Some(NotServed::InTime),
            Some(Served::Stale) => Some(NotServed::Yet),
            None => is_marked.then_some(NotServed::InTime),
        }
    }

    /// The mark of a planned object that its gateway does not serve: since when.
    pub(super) fn mark(&self, observed: &Observed, manager: &str) -> Option<String> {
        let has_mark = match self.answer {
            Some(Served::Current | Served::Unknown) => false,
            Some(Served::Stale) if self.is_overdue(observed, manager) => true,
            _ => is_marked(self.live, manager),
        };
        has_mark.then(|| changed_at(self.live, manager).unwrap_or_default().to_string())
    }

    fn is_overdue(&self, observed: &Observed, manager: &str) -> bool {
        age(self.live, observed, manager).is_some_and(|age| age >= IN_TIME)
    }
}

/// Whether a change is so old that the gateway has it, if nothing is wrong.
pub fn is_propagated(live: &DynamicObject, observed: &Observed, manager: &str) -> bool {
    observed
        .now
        .is_some_and(|now| propagation_remaining(false, applied_at(live, manager), now).is_zero())
}

/// Whether the live route of a model is of the planned revision.
pub fn is_current(planned: &PlannedModel, observed: &Observed) -> bool {
    current_route(planned, observed).is_some()
}

/// Whether the gateway of a model should be queried for its route now.
pub fn is_due(planned: &PlannedModel, due: Due, observed: &Observed, manager: &str) -> bool {
    query(planned, observed).is_some_and(|query| query.is_due(due, observed, manager))
}

/// A change of a model's route that its gateway does not serve.
pub fn not_served(planned: &PlannedModel, observed: &Observed, manager: &str) -> Option<NotServed> {
    query(planned, observed)?.not_served(observed, manager)
}

fn query<'a>(planned: &PlannedModel, observed: &'a Observed) -> Option<Query<'a>> {
    Some(Query {
        live: current_route(planned, observed)?,
        answer: observed.served.get(&planned.model.name).copied(),
    })
}

/// The mark of a planned route that its gateway does not serve: since when.
pub(super) fn mark(model: &Model, route: &Value, observed: &Observed, manager: &str) -> Option<String> {
    let name = route_name(&model.name);
    let live = match route.pointer("/spec/http") {
        Some(_) => observed.virtual_service(&name),
        None => observed.http_route(&name),
    };
    // A mark of another revision says nothing of this one.
    let live = live.filter(|live| shown(&live.data) == shown(route))?;
    let answer = observed.served.get(&model.name).copied();
    Query { live, answer }.mark(observed, manager)
}

/// When the charm wrote the current revision of a route. To mark it is a change of the object, but not of the revision.
pub fn changed_at(live: &DynamicObject, manager: &str) -> Option<Timestamp> {
    let marked = live.annotations().get(labels::NOT_SERVED);
    let marked = marked
        .filter(|_| is_marked(live, manager))
        .and_then(|time| time.parse().ok());
    marked.or_else(|| applied_at(live, manager))
}

/// The live route of a model, if it is of the planned revision.
fn current_route<'a>(planned: &PlannedModel, observed: &'a Observed) -> Option<&'a DynamicObject> {
    let path = planned.revision.as_ref()?.path(&planned.model.prefix);
    let name = route_name(&planned.model.name);
    let live = match planned.route {
        PlannedRoute::HttpRoute(_) => observed.http_route(&name),
        _ => observed.virtual_service(&name),
    };
    live.filter(|live| shown(&live.data) == Some(path.as_str()))
}

/// The path by which a route of ours shows its revision.
fn shown(route: &Value) -> Option<&str> {
    let paths = [
        "/spec/http/0/redirect/uri",
        "/spec/rules/0/filters/0/requestRedirect/path/replaceFullPath",
    ];
    paths.iter().find_map(|path| route.pointer(path)?.as_str())
}

/// Going by the API server's record of field ownership, like all annotations that decide something.
fn is_marked(live: &DynamicObject, manager: &str) -> bool {
    let annotations = applied_fields(live, manager).and_then(|fields| fields.pointer("/f:metadata/f:annotations"));
    annotations.is_some_and(|owned| owned.get(format!("f:{}", labels::NOT_SERVED)).is_some())
        && live.annotations().contains_key(labels::NOT_SERVED)
}

/// How long ago the charm changed a route, by the API server's clock and this machine's.
fn age(live: &DynamicObject, observed: &Observed, manager: &str) -> Option<SignedDuration> {
    Some(observed.now?.duration_since(applied_at(live, manager)?))
}

#[cfg(test)]
mod tests {
    use kube::api::DynamicObject;
    use serde_json::json;

    use super::*;
    use crate::config;
    use crate::plan::{Environment, Plan, plan};

    const MANAGER: &str = "seldon-model-iris-0";
    const APPLIED: &str = "2026-01-01T00:00:00Z";
    /// The time in the mark.
    const WRITTEN: &str = "2025-12-31T00:00:00Z";

    fn planned(options: &Value, observed: &Observed) -> Plan {
        let config = config::parse("iris", options.as_object().unwrap());
        plan(&config, &Environment::example(), observed).unwrap()
    }

    /// A site on which the route was applied, with the annotation or not, and that many seconds passed since.
    fn site(marked: bool, seconds: i64, served: Option<Served>) -> Observed {
        let options = json!({"image": "iris:1"});
        let PlannedRoute::VirtualService(mut route) = planned(&options, &Observed::default()).models[0].route.clone()
        else {
            panic!("no VirtualService");
        };
        let mut owned = json!({"f:metadata": {"f:annotations": {}}});
        if marked {
            route["metadata"]["annotations"] = json!({labels::NOT_SERVED: WRITTEN});
            owned["f:metadata"]["f:annotations"][format!("f:{}", labels::NOT_SERVED)] = json!({});
        }
        let entry = json!({"manager": MANAGER, "operation": "Apply", "time": APPLIED, "fieldsV1": owned});
        route["metadata"]["managedFields"] = json!([entry]);
        let applied: k8s_openapi::jiff::Timestamp = APPLIED.parse().unwrap();
        Observed {
            virtual_services: vec![serde_json::from_value::<DynamicObject>(route).unwrap()],
            now: Some(applied + SignedDuration::from_secs(seconds)),
            served: served.map(|served| ("iris".to_owned(), served)).into_iter().collect(),
            ..Observed::default()
        }
    }

    /// Whether it is queried, what is not served, and whether the planned route has the mark.
    fn outcome(options: &Value, observed: &Observed) -> (bool, Option<NotServed>, bool) {
        let plan = planned(options, observed);
        let model = &plan.models[0];
        let PlannedRoute::VirtualService(route) = &model.route else {
            panic!("no VirtualService");
        };
        (
            is_due(model, Due::Changed, observed, MANAGER),
            not_served(model, observed, MANAGER),
            route["metadata"]["annotations"].get(labels::NOT_SERVED).is_some(),
        )
    }

    #[test]
    fn young_and_marked_routes_are_queried() {
        use NotServed::{InTime, Yet};
        use Served::{Current, Stale, Unknown};
        let options = json!({"image": "iris:1"});
        for (marked, seconds, served, expected) in [
            (false, 0, None, (true, None, false)),
            (false, 599, None, (true, None, false)),
            // Quiet from then on.
            (false, 600, None, (false, None, false)),
            (false, 1, Some(Current), (true, None, false)),
            (false, 20, Some(Unknown), (true, None, false)),
            (false, 9, Some(Stale), (true, Some(Yet), false)),
            (false, 10, Some(Stale), (true, Some(InTime), true)),
            // The mark was written a second ago, or a day.
            (true, 1, Some(Stale), (true, Some(InTime), true)),
            (true, 86_400, Some(Stale), (true, Some(InTime), true)),
            // Meanwhile there is a login in front of it.
            (true, 86_400, Some(Unknown), (true, None, false)),
            (true, 86_400, Some(Current), (true, None, false)),
            // A gateway that is not reached is as it was, also for an action, which does not ask.
            (true, 86_400, None, (true, Some(InTime), true)),
            // This machine's clock is behind that of the API server, a little or much.
            (false, -5, Some(Stale), (true, Some(Yet), false)),
            (false, -86_400, None, (false, None, false)),
        ] {
            let observed = site(marked, seconds, served);
            assert_eq!(outcome(&options, &observed), expected, "{marked} {seconds} {served:?}");
        }
    }

    #[test]
    fn active_unit_asks_for_marked_routes_only() {
        let is_due = |marked: bool, state: State| {
            let observed = site(marked, 1, None);
            let plan = planned(&json!({"image": "iris:1"}), &observed);
            let status = Status::new(state, "");
            is_due(&plan.models[0], Due::after(Some(&status)), &observed, MANAGER)
        };
        assert!(!is_due(false, State::Active));
        assert!(is_due(true, State::Active));
        assert!(is_due(false, State::Waiting));
        assert!(is_due(false, State::Blocked));
    }

    #[test]
    fn another_revision_has_no_mark() {
        let observed = site(true, 86_400, Some(Served::Stale));
        let changed = json!({"image": "iris:1", "timeout": "1s"});
        assert_eq!(outcome(&changed, &observed), (false, None, false));
    }

    #[test]
    fn mark_keeps_the_time_of_the_change() {
        for (marked, time) in [(false, APPLIED), (true, WRITTEN)] {
            let observed = site(marked, 20, Some(Served::Stale));
            let plan = planned(&json!({"image": "iris:1"}), &observed);
            let PlannedRoute::VirtualService(route) = &plan.models[0].route else {
                panic!("no VirtualService");
            };
            assert_eq!(route["metadata"]["annotations"][labels::NOT_SERVED], time);
            let changed = changed_at(&observed.virtual_services[0], MANAGER).unwrap();
            assert_eq!(changed.to_string(), time);
        }
    }

    #[test]
    fn mark_of_another_client_decides_nothing() {
        let mut observed = site(true, 86_400, None);
        let mut object = serde_json::to_value(&observed.virtual_services[0]).unwrap();
        object["metadata"]["managedFields"][0]["fieldsV1"] = json!({});
        observed.virtual_services = vec![serde_json::from_value(object).unwrap()];
        assert_eq!(outcome(&json!({"image": "iris:1"}), &observed), (false, None, false));
    }
}
