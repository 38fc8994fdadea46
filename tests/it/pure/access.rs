//! The policies of models with `access`, and when their routes follow.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::DynamicObject;
use seldon_model::changes::change_set;
use seldon_model::gateway::listeners::{Listeners, Scope};
use seldon_model::gateway::revision::Served;
use seldon_model::gateway::workload::Workload;
use seldon_model::labels::ObjectKind;
use seldon_model::observed::Observed;
use seldon_model::plan::access::marked_namespaces;
use seldon_model::plan::types::{Enforcement, PlannedAccess};
use seldon_model::plan::{Environment, PlannedRoute, plan};
use serde_json::{Value, json};

use super::fixture::{answering, configured, site, site_of_ingress};

const ACCESS: &str =
    "{jwt: {issuer: 'https://sso.example', audiences: [iris, fleet], jwks-uri: 'https://sso.example/keys'}}";
const APPLIED: &str = "2026-01-01T00:00:00Z";

/// A cluster with the gateway's pods in its own namespace.
fn cluster(site: &Environment) -> Observed {
    let config = configured(&json!({"image": "iris:1"}));
    let gateway = site.gateway.for_model(&config.models[0]).unwrap().clone();
    let listeners = Listeners {
        selector: BTreeMap::from([("istio".to_owned(), "ingressgateway".to_owned())]),
        scope: Scope::Cluster,
        http: true,
        hosts: vec!["*".to_owned()],
        ..Listeners::default()
    };
    Observed {
        workloads: [(gateway.clone(), Workload::Found(gateway.namespace.clone()))].into(),
        gateways: [(gateway, listeners)].into(),
        now: Some(APPLIED.parse().unwrap()),
        ..Observed::default()
    }
}

fn planned(options: &Value, site: &Environment, observed: &Observed) -> PlannedAccess {
    let model = plan(&configured(options), site, observed).unwrap().models.remove(0);
    model.access.unwrap()
}

/// As if the policies had been applied.
fn apply(access: &PlannedAccess, observed: &mut Observed) {
    observed.request_authentications = vec![applied(&access.policies[0].object)];
    observed.authorization_policies = vec![applied(&access.policies[1].object)];
}

/// An object as if the charm had applied it at that time.
fn applied(object: &Value) -> DynamicObject {
    let mut object = object.clone();
    let manager = "seldon-model-iris-aaaaaaaa";
    let entry = json!({"manager": manager, "operation": "Apply", "time": APPLIED, "fieldsV1": {}});
    object["metadata"]["managedFields"] = json!([entry]);
    serde_json::from_value(object).unwrap()
}

#[test]
fn every_way_to_a_model_is_closed() {
    let options = json!({
        "image": "iris:1", "access": ACCESS, "hosts": "a.example,grpc.a.example", "grpc-host": "grpc.a.example", "protocol": "v2",
    });
    for (name, site) in [("istio", site()), ("gateway-api", site_of_ingress())] {
        let observed = cluster(&site);
        let access = planned(&options, &site, &observed);
        let objects: Vec<&Value> = access.policies.iter().map(|policy| &policy.object).collect();
        insta::assert_yaml_snapshot!(format!("access_{name}"), objects);
    }
}

/// Whether a text is as a policy has it, where a `*` at the end stands for any rest.
fn is_like(text: Option<&str>, pattern: &str) -> bool {
    match (text, pattern.strip_suffix('*')) {
        (Some(text), Some(begin)) => text.starts_with(begin),
        (text, _) => text == Some(pattern),
    }
}

/// A request of anybody, without a token.
struct Request<'a> {
    path: &'a str,
    headers: &'a [(&'a str, &'a str)],
}

impl Request<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn is_denied(&self, policy: &Value) -> bool {
        let texts = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap_or_default() };
        let is_one_of = |text: Option<&str>, of: &Value| texts(of).iter().any(|pattern| is_like(text, pattern));
        let satisfies = |condition: &Value| {
            let key = condition["key"].as_str().unwrap();
            let header = key
                .strip_prefix("request.headers[")
                .and_then(|key| key.strip_suffix(']'));
            let text = header.and_then(|name| self.header(name));
            if condition["values"].is_null() {
                !is_one_of(text, &condition["notValues"])
            } else {
                is_one_of(text, &condition["values"])
            }
        };
        policy["spec"]["rules"].as_array().unwrap().iter().any(|rule| {
            let operation = &rule["to"][0]["operation"];
            let is_there = operation["paths"].is_null() || is_one_of(Some(self.path), &operation["paths"]);
            let conditions = rule["when"].as_array().into_iter().flatten();
            is_there && !is_one_of(Some(self.path), &operation["notPaths"]) && conditions.into_iter().all(satisfies)
        })
    }

    /// The rule of an HTTPRoute that gets it: exact paths come first, then longer ones, then those with more headers.
    fn rule<'a>(&self, route: &'a Value) -> Option<&'a Value> {
        let matches = |one: &Value| {
            let path = one["path"]["value"].as_str().unwrap();
            let below = self.path.strip_prefix(path.trim_end_matches('/'));
            let is_at = match one["path"]["type"].as_str().unwrap() {
                "Exact" => self.path == path,
                _ => below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            };
            is_at
                && one["headers"].as_array().into_iter().flatten().all(|header| {
                    let value = header["value"].as_str().unwrap().replace(".*", "*");
                    is_like(self.header(header["name"].as_str().unwrap()), &value)
                })
        };
        let rank = |one: &Value| {
            let path = &one["path"];
            let length = path["value"].as_str().unwrap().len();
            (
                path["type"] == "Exact",
                length,
                one["headers"].as_array().map_or(0, Vec::len),
            )
        };
        let rules = route["spec"]["rules"].as_array().unwrap().iter();
        let all = rules.flat_map(|rule| rule["matches"].as_array().unwrap().iter().map(move |one| (one, rule)));
        // The last of equal ones, as `max_by_key` has it, is the first of the list.
        let matching: Vec<_> = all.filter(|(one, _)| matches(one)).collect();
        matching
            .into_iter()
            .rev()
            .max_by_key(|(one, _)| rank(one))
            .map(|(_, rule)| rule)
    }
}

#[test]
fn no_request_that_shows_the_revision_gets_to_a_model() {
    let site = site_of_ingress();
    let options = json!({
        "implementation": "SKLEARN_SERVER", "model-uri": "gs://a/b", "access": ACCESS,
        "explainer": "{type: AnchorTabular, model-uri: gs://a/c}",
        "canary": "{model-uri: gs://a/d, match: {x-a: one, x-b: two}}",
    });
    let observed = Observed {
        seldon_deployments: answering(&["default", "canary"]).seldon_deployments,
        deployments: answering(&["default", "canary"]).deployments,
        ..cluster(&site)
    };
    let model = plan(&configured(&options), &site, &observed).unwrap().models.remove(0);
    let route = &super::fixture::objects(&model)["route"];
    let policy = &model.access.as_ref().unwrap().policies[1].object;
    let show = ("x-seldon-model-revision", "show");
    let canary = [("x-a", "one"), ("x-b", "two"), show];
    for path in [
        "/model/iris",
        "/model/iris/",
        "/model/iris/api/v1.0/predictions",
        "/model/iris/explainer/",
        "/model/iris/explainer/api/v1.0/explain",
        "/seldon/edge/iris/api/v1.0/predictions",
    ] {
        for headers in [&[][..], &[show], &canary, &canary[..2]] {
            let request = Request { path, headers };
            let rule = request
                .rule(route)
                .unwrap_or_else(|| panic!("{path} is not routed: {route}"));
            assert!(
                request.is_denied(policy) || rule["backendRefs"].is_null(),
                "{path} {headers:?} gets to {rule}"
            );
        }
    }
    let query = Request {
        path: "/model/iris/",
        headers: &[show],
    };
    assert!(!query.is_denied(policy) && query.rule(route).unwrap()["backendRefs"].is_null());
    let denied = Request {
        path: &model.access.as_ref().unwrap().proof,
        headers: &[],
    };
    assert!(denied.is_denied(policy));
}

#[test]
fn tokens_in_the_url_are_none() {
    let rule = |access: &str| {
        let access = planned(
            &json!({"image": "iris:1", "access": access}),
            &site(),
            &cluster(&site()),
        );
        access.policies[0].object["spec"]["jwtRules"][0].clone()
    };
    assert_eq!(
        rule(ACCESS)["fromHeaders"],
        json!([{"name": "Authorization", "prefix": "Bearer "}])
    );
    let of_its_own = ACCESS.replace("{jwt: {", "{jwt: {header: x-token, ");
    assert_eq!(rule(&of_its_own)["fromHeaders"], json!([{"name": "x-token"}]));
}

#[test]
fn route_of_seldon_is_at_no_gateway() {
    let gateway = |options: &Value| {
        let model = plan(&configured(options), &site(), &cluster(&site()))
            .unwrap()
            .models
            .remove(0);
        model.deployment["metadata"]["annotations"]["seldon.io/istio-gateway"].clone()
    };
    assert_eq!(gateway(&json!({"image": "iris:1"})), Value::Null);
    assert_eq!(gateway(&json!({"image": "iris:1", "access": ACCESS})), "no-gateway");
    let manifest = "{apiVersion: machinelearning.seldon.io/v1, kind: SeldonDeployment, \
        metadata: {annotations: {seldon.io/istio-gateway: istio-system/open}}, \
        spec: {predictors: [{name: default, graph: {name: iris, implementation: SKLEARN_SERVER, modelUri: 'gs://a/b'}}]}}";
    assert_eq!(gateway(&json!({"manifest": manifest, "access": ACCESS})), "no-gateway");
}

#[test]
fn only_marks_of_the_charm_are_followed() {
    let site = site();
    let object = |name: &str, manager: &str, mark: &str| {
        json!({
            "apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment",
            "metadata": {
                "name": name, "namespace": "edge",
                "labels": {"seldon-model/application": "iris", "seldon-model/model-uuid": site.identity.model_uuid},
                "annotations": {"seldon-model/access": mark},
                "managedFields": [{
                    "manager": manager, "operation": "Apply", "time": APPLIED,
                    "fieldsV1": {"f:metadata": {"f:annotations": {"f:seldon-model/access": {}}}},
                }],
            },
        })
    };
    let ours = site.identity.manager();
    let mut objects = vec![
        object("a", "kubectl-edit", "kube-system,a,b,c,d,e,f,g,h"),
        object("b", &ours, "gateways,../kube-system"),
    ];
    // As many as make up a fleet, all at one gateway.
    objects.extend((0..20).map(|index| object(&format!("m-{index}"), &ours, "istio-system")));
    objects.push(object("z", &ours, "old-gateways"));
    let observed = Observed {
        seldon_deployments: objects
            .into_iter()
            .map(|object| serde_json::from_value(object).unwrap())
            .collect(),
        ..Observed::default()
    };
    let marked = marked_namespaces(&observed, &site.identity);
    assert_eq!(Vec::from_iter(marked), ["gateways", "istio-system", "old-gateways"]);
}

#[test]
fn page_of_a_model_and_the_token_stay_outside() {
    let render = |options: Value| {
        let planned = plan(&configured(&options), &site(), &cluster(&site()))
            .unwrap()
            .models
            .remove(0);
        serde_json::to_string(&super::fixture::objects(&planned)["route"]).unwrap()
    };
    let open = render(json!({"image": "iris:1", "protocol": "v2"}));
    assert!(open.contains("referer") && !open.contains("authorization"), "{open}");
    let closed = render(json!({"image": "iris:1", "protocol": "v2", "access": ACCESS}));
    assert!(!closed.contains("referer"), "{closed}");
    assert!(closed.contains(r#""remove":["authorization"]"#), "{closed}");
}

#[test]
fn route_follows_once_the_gateway_has_the_policies() {
    let options = json!({"image": "iris:1", "access": ACCESS});
    let site = site();
    let mut observed = cluster(&site);
    let enforcement = |observed: &Observed| planned(&options, &site, observed).enforcement;
    assert_eq!(enforcement(&observed), Enforcement::Yet, "nothing is applied");
    let access = planned(&options, &site, &observed);
    apply(&access, &mut observed);
    for (seconds, answer, expected) in [
        (0, None, Enforcement::Yet),
        (1, None, Enforcement::Yet),
        // A gateway that cannot be queried, or is behind a login, has them after a while.
        (2, None, Enforcement::Enforced),
        (0, Some(Served::Unknown), Enforcement::Yet),
        (2, Some(Served::Unknown), Enforcement::Enforced),
        (0, Some(Served::Current), Enforcement::Enforced),
        // One that shows that it does not have them is not believed to.
        (3, Some(Served::Stale), Enforcement::Yet),
        (9, Some(Served::Stale), Enforcement::Yet),
        (10, Some(Served::Stale), Enforcement::NotInTime),
        (86_400, Some(Served::Stale), Enforcement::NotInTime),
        (86_400, None, Enforcement::Enforced),
    ] {
        observed.now = Some(APPLIED.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds));
        observed.enforced = answer.map(|answer| ("iris".to_owned(), answer)).into_iter().collect();
        assert_eq!(enforcement(&observed), expected, "{seconds} {answer:?}");
    }
    observed.enforced = BTreeMap::new();
    // A policy of other rules, and keys that are gone.
    let mut other = observed.clone();
    other.authorization_policies[0].data["spec"]["rules"][0]["to"][0]["operation"]["paths"] = json!(["/"]);
    assert_eq!(enforcement(&other), Enforcement::Yet);
    observed.request_authentications.clear();
    assert_eq!(enforcement(&observed), Enforcement::Yet);
}

/// What is to be applied and to be deleted, by kind.
fn changes(options: &Value, site: &Environment, observed: &Observed) -> (Vec<ObjectKind>, Vec<ObjectKind>) {
    let plan = plan(&configured(options), site, observed).unwrap();
    let changes = change_set(&plan, observed, &site.identity).unwrap();
    (
        changes.applies.iter().map(|apply| apply.kind).collect(),
        changes.deletes.iter().map(|delete| delete.kind).collect(),
    )
}

#[test]
fn new_prefix_is_applied_after_its_policies_and_before_the_old_ones_go() {
    use ObjectKind::{AuthorizationPolicy, RequestAuthentication, SeldonDeployment, VirtualService};
    let site = site();
    let mut observed = cluster(&site);
    let later = |observed: &mut Observed| {
        observed.now = Some(observed.now.unwrap() + SignedDuration::from_secs(60));
    };
    let options = |prefix: &str| json!({"image": "iris:1", "access": ACCESS, "prefix": prefix});
    let (old, new) = (options("/old/"), options("/new/"));
    let (applies, _) = changes(&old, &site, &observed);
    assert_eq!(applies, [SeldonDeployment, RequestAuthentication, AuthorizationPolicy]);
    apply(&planned(&old, &site, &observed), &mut observed);
    let (applies, _) = changes(&old, &site, &observed);
    assert_eq!(applies, [SeldonDeployment], "the gateway may not have them yet");
    later(&mut observed);
    let (applies, _) = changes(&old, &site, &observed);
    assert_eq!(applies, [SeldonDeployment, VirtualService]);

    observed.virtual_services = vec![route(&old, &site, &observed)];
    let (applies, deletes) = changes(&new, &site, &observed);
    assert_eq!(applies, [SeldonDeployment, RequestAuthentication, AuthorizationPolicy]);
    assert_eq!(deletes, [], "the old prefix is open to no one");
    let before = observed.clone();
    apply(&planned(&new, &site, &observed), &mut observed);
    observed.request_authentications.extend(before.request_authentications);
    observed.authorization_policies.extend(before.authorization_policies);
    later(&mut observed);
    let (applies, deletes) = changes(&new, &site, &observed);
    assert_eq!((applies, deletes), (vec![SeldonDeployment, VirtualService], vec![]));
    observed.virtual_services = vec![route(&new, &site, &observed)];
    observed.virtual_services[0].metadata.managed_fields.as_mut().unwrap()[0].time = observed.now.map(Time);
    let (_, deletes) = changes(&new, &site, &observed);
    assert_eq!(deletes, [], "the gateway may still have the old route");
    later(&mut observed);
    let (_, deletes) = changes(&new, &site, &observed);
    assert_eq!(deletes, [AuthorizationPolicy, RequestAuthentication]);
}

/// The model's route, as if it had been applied.
fn route(options: &Value, site: &Environment, observed: &Observed) -> DynamicObject {
    let planned = plan(&configured(options), site, observed).unwrap().models.remove(0);
    let PlannedRoute::VirtualService(route) = &planned.route else {
        panic!("{planned:?}");
    };
    applied(route)
}

#[test]
fn place_and_ways_make_the_name_and_who_may_does_not() {
    let site = site();
    let observed = cluster(&site);
    let name = |options: Value| planned(&options, &site, &observed).policies[1].name.clone();
    let first = name(json!({"image": "iris:1", "access": ACCESS}));
    assert!(
        first.starts_with("iris-aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee-iris-"),
        "{first}"
    );
    let other_issuer = ACCESS.replace("issuer: 'https://sso.example'", "issuer: other");
    assert_eq!(name(json!({"image": "iris:1", "access": other_issuer})), first);
    assert_eq!(
        name(json!({"image": "iris:2", "access": ACCESS, "timeout": "1s"})),
        first
    );
    for (option, value) in [
        ("prefix", "/other/"),
        ("hosts", "a.example"),
        ("grpc-host", "g.example"),
    ] {
        assert_ne!(
            name(json!({"image": "iris:1", "access": ACCESS, option: value})),
            first,
            "{option}"
        );
    }
}

#[test]
fn pods_that_are_not_found_keep_the_route_away() {
    let options = json!({"image": "iris:1", "access": ACCESS});
    let site = site();
    let ambiguous = Workload::Ambiguous(["a", "b"].map(ToOwned::to_owned).into());
    for workload in [Workload::Absent, ambiguous] {
        let mut observed = cluster(&site);
        for found in observed.workloads.values_mut() {
            *found = workload.clone();
        }
        let access = planned(&options, &site, &observed);
        assert_eq!(access.enforcement, Enforcement::NoPlace(workload));
        assert_eq!(access.policies, []);
    }
    let mut observed = cluster(&site);
    for listeners in observed.gateways.values_mut() {
        listeners.selector.clear();
    }
    let access = planned(&options, &site, &observed);
    assert_eq!(
        access.policies,
        [],
        "policies without a selector are those of every pod"
    );
    let mut observed = cluster(&site);
    observed.capabilities.access_policies = false;
    assert_eq!(
        planned(&options, &site, &observed).enforcement,
        Enforcement::Unsupported
    );
}
