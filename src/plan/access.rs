//! The policies by which a gateway takes requests to a model only with a token.
//!
//! An AuthorizationPolicy denies what has no valid token of the model's issuer and for its audiences, on every way to the model. One that
//! allows would deny everything else at the gateway. What is denied and where is a part of the objects' name: another prefix or
//! gateway gets objects of its own, the old ones stay until no route leads there any more, and no request gets through in between.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::metadata::model_labels;
use super::served::{self, Due, NotServed, Query};
use super::types::{Enforcement, Environment, PlannedAccess, PlannedModel, PlannedPolicy};
use crate::api::istio_security::{
    AuthorizationPolicy, AuthorizationPolicySpec, AuthorizationRule, Condition, JwtHeader, JwtRule, Operation,
    RequestAuthentication, RequestAuthenticationSpec, To, WorkloadSelector,
};
use crate::api::seldon::grpc;
use crate::config::Model;
use crate::config::value::{Access, Keys};
use crate::gateway::GatewayName;
use crate::gateway::hosts::is_dns_label;
use crate::gateway::listeners::Listeners;
use crate::gateway::revision;
use crate::gateway::workload::Workload;
use crate::identity::{Identity, applied_fields};
use crate::labels::{self, ObjectKind};
use crate::observed::Observed;
use crate::text::short_digest;

/// Before the digest of a policy, in a path that it denies to everybody: the gateway shows by it that it has the policy.
const PROOF: &str = "/.seldon-model-access/";
/// The most namespaces that marks make the charm look through.
const MOST_MARKED: usize = 8;

/// `None` where everyone may, or the gateway is not known.
pub fn access(
    model: &Model,
    gateway: Option<&GatewayName>,
    environment: &Environment,
    observed: &Observed,
) -> Result<Option<PlannedAccess>, serde_json::Error> {
    let (Some(access), Some(gateway)) = (&model.access, gateway) else {
        return Ok(None);
    };
    let without_policies = |enforcement| {
        Ok(Some(PlannedAccess {
            policies: Vec::new(),
            enforcement,
            proof: String::new(),
        }))
    };
    if !observed.capabilities.access_policies {
        return without_policies(Enforcement::Unsupported);
    }
    let workload = observed.workloads.get(gateway).cloned().unwrap_or_default();
    // Without labels the policies would be those of every pod in the namespace.
    let listeners = observed
        .gateways
        .get(gateway)
        .filter(|listeners| !listeners.selector.is_empty());
    let (Workload::Found(namespace), Some(listeners)) = (&workload, listeners) else {
        return without_policies(Enforcement::NoPlace(workload));
    };
    let doors = doors(model, &environment.identity);
    let place = json!([
        gateway.to_string(),
        listeners.selector,
        doors.iter().map(Door::to_json).collect::<Vec<_>>()
    ]);
    let name = policy_name(model, &environment.identity, &place);
    let metadata = |annotation: Option<String>| ObjectMeta {
        name: Some(name.clone()),
        namespace: Some(namespace.clone()),
        labels: Some(model_labels(model, environment)),
        annotations: annotation.map(|mark| [(labels::NOT_SERVED.to_owned(), mark)].into()),
        // An owner is in the namespace of what it owns.
        owner_references: (*namespace == environment.identity.namespace)
            .then(|| environment.owner.clone().map(|owner| vec![owner]))
            .flatten(),
        ..ObjectMeta::default()
    };
    let authentication = RequestAuthentication {
        metadata: metadata(None),
        spec: authentication(access, listeners),
    };
    let mut spec = authorization(access, &doors, listeners);
    let digest = short_digest(&serde_json::to_vec(&(&authentication.spec, &spec))?);
    let proof = format!("{PROOF}{digest}");
    spec.rules.insert(0, denied_to_all(&proof));
    let manager = environment.identity.manager();
    let live = observed.access_policy(ObjectKind::AuthorizationPolicy, namespace, &name);
    let live = live.filter(|live| shown(live) == Some(proof.as_str()));
    let query = live.map(|live| Query {
        live,
        answer: observed.enforced.get(&model.name).copied(),
    });
    let keys = observed.access_policy(ObjectKind::RequestAuthentication, namespace, &name);
    let enforcement = match &query {
        Some(query) if keys.is_some() => match query.not_served(observed, &manager) {
            None if served::is_propagated(query.live, observed, &manager) || query.is_current() => {
                Enforcement::Enforced
            }
            None | Some(NotServed::Yet) => Enforcement::Yet,
            Some(NotServed::InTime) => Enforcement::NotInTime,
        },
        _ => Enforcement::Yet,
    };
    let mark = query.and_then(|query| query.mark(observed, &manager));
    let policy = AuthorizationPolicy {
        metadata: metadata(mark),
        spec,
    };
    let planned = |kind, object: Value| PlannedPolicy {
        kind,
        namespace: namespace.clone(),
        name: name.clone(),
        object,
    };
    Ok(Some(PlannedAccess {
        policies: vec![
            planned(ObjectKind::RequestAuthentication, serde_json::to_value(authentication)?),
            planned(ObjectKind::AuthorizationPolicy, serde_json::to_value(policy)?),
        ],
        enforcement,
        proof,
    }))
}

/// Names the application by what nobody else has, as the namespace is not ours alone.
fn policy_name(model: &Model, identity: &Identity, place: &Value) -> String {
    format!(
        "{}-{}-{}-{}",
        identity.application,
        identity.model_uuid,
        model.name,
        short_digest(place.to_string().as_bytes())
    )
}

/// The live policy of a model's plan, if it is of that revision.
fn current_policy<'a>(planned: &PlannedAccess, observed: &'a Observed) -> Option<&'a DynamicObject> {
    let policy = planned
        .policies
        .iter()
        .find(|policy| policy.kind == ObjectKind::AuthorizationPolicy)?;
    let live = observed.access_policy(policy.kind, &policy.namespace, &policy.name)?;
    (shown(live) == Some(planned.proof.as_str())).then_some(live)
}

/// Whether the gateway of a model should be queried for whether it has the policies.
pub fn is_due(planned: &PlannedModel, due: Due, observed: &Observed, manager: &str) -> bool {
    let access = planned.access.as_ref();
    let live = access.and_then(|access| current_policy(access, observed));
    live.is_some_and(|live| Query { live, answer: None }.is_due(due, observed, manager))
}

/// The path by which a policy of ours shows its revision.
fn shown(policy: &DynamicObject) -> Option<&str> {
    policy.data.pointer("/spec/rules/0/to/0/operation/paths/0")?.as_str()
}

/// The namespaces in which policies exist for a model, or may be left over.
pub fn mark(model: &Model, access: Option<&PlannedAccess>, identity: &Identity, observed: &Observed) -> Option<String> {
    let planned = access.into_iter().flat_map(|access| &access.policies);
    let planned = planned.map(|policy| policy.namespace.clone());
    let existing = [ObjectKind::RequestAuthentication, ObjectKind::AuthorizationPolicy]
        .into_iter()
        .flat_map(|kind| observed.access_policies(kind))
        .filter(|object| identity.has_labels(object) && object.labels().get(labels::MODEL) == Some(&model.name))
        .filter_map(ResourceExt::namespace);
    let namespaces: BTreeSet<String> = planned.chain(existing).collect();
    (!namespaces.is_empty()).then(|| namespaces.into_iter().collect::<Vec<_>>().join(","))
}

/// The namespaces that the charm has marked its SeldonDeployments with, going by the API server's record of field ownership: in a
/// namespace that somebody else names the charm may lack the right to look, and could then not look after anything.
pub fn marked_namespaces(observed: &Observed, identity: &Identity) -> BTreeSet<String> {
    let manager = identity.manager();
    let field = format!("f:{}", labels::ACCESS);
    let is_ours = |object: &&DynamicObject| {
        let owned = applied_fields(object, &manager).and_then(|fields| fields.pointer("/f:metadata/f:annotations"));
        identity.has_our_labels(object) && owned.is_some_and(|owned| owned.get(&field).is_some())
    };
    let ours = observed.seldon_deployments.iter().filter(is_ours);
    let marks = ours.filter_map(|object| object.annotations().get(labels::ACCESS));
    let names: BTreeSet<&str> = marks.flat_map(|mark| mark.split(',')).collect();
    let names = names.into_iter().filter(|name| is_dns_label(name));
    names.map(ToOwned::to_owned).take(MOST_MARKED).collect()
}

/// A way to a model.
struct Door {
    operation: Operation,
    headers: Vec<(&'static str, String)>,
    /// Whether the route may show its revision there: only at the path of the rule that no other rule of a route comes before.
    shows_revision: bool,
}

impl Door {
    fn to_json(&self) -> Value {
        json!([self.operation, self.headers, self.shows_revision])
    }

    fn rule(&self, condition: Condition) -> AuthorizationRule {
        let headers = self.headers.iter().map(|(name, text)| Condition {
            key: header_key(name),
            values: vec![text.clone()],
            not_values: Vec::new(),
        });
        // The gateway answers such a request by itself, and no model gets it.
        let revision = self.shows_revision.then(|| Condition {
            key: header_key(revision::HEADER),
            values: Vec::new(),
            not_values: vec![revision::SHOW.to_owned()],
        });
        AuthorizationRule {
            to: (self.operation != Operation::default())
                .then(|| To {
                    operation: self.operation.clone(),
                })
                .into_iter()
                .collect(),
            when: headers.chain(revision).chain([condition]).collect(),
        }
    }
}

/// All ways to a model: its prefix, its gRPC calls, and those of the route that Seldon itself makes, on every host
/// (`SeldonIO/seldon-core` v1.17.1, `operator/controllers/seldondeployment_controller.go`, `createIstioResources`).
fn doors(model: &Model, identity: &Identity) -> Vec<Door> {
    let namespace = &identity.namespace;
    let seldon = format!("/seldon/{namespace}/{}", model.name);
    let below = |path: &str| format!("{path}/*");
    let door = |operation, headers| Door {
        operation,
        headers,
        shows_revision: false,
    };
    let paths = |paths: Vec<String>| Operation {
        paths,
        ..Operation::default()
    };
    let shown_at = model.prefix.to_string();
    let own = Operation {
        hosts: hosts(&model.hosts),
        paths: vec![model.prefix.bare().to_owned(), format!("{}*", model.prefix)],
        not_paths: vec![shown_at.clone()],
    };
    let revision = Door {
        operation: Operation {
            hosts: hosts(&model.hosts),
            ..paths(vec![shown_at])
        },
        headers: Vec::new(),
        shows_revision: true,
    };
    let own = door(own, Vec::new());
    let of_seldon = door(
        paths(vec![
            seldon.clone(),
            below(&seldon),
            below(&format!("{seldon}-explainer")),
        ]),
        Vec::new(),
    );
    let by_headers = door(
        Operation::default(),
        vec![(grpc::SELDON, model.name.clone()), (grpc::NAMESPACE, namespace.clone())],
    );
    let by_host = model.grpc_host.as_ref().map(|host| {
        let operation = Operation {
            hosts: hosts(std::slice::from_ref(host)),
            ..Operation::default()
        };
        door(operation, vec![(grpc::CONTENT_TYPE, format!("{}*", grpc::MEDIA_TYPE))])
    });
    [own, revision, of_seldon, by_headers]
        .into_iter()
        .chain(by_host)
        .collect()
}

/// With and without a port, which clients add that use neither 80 nor 443. Empty for every host.
fn hosts(hosts: &[String]) -> Vec<String> {
    let named = hosts.iter().filter(|host| *host != "*");
    named.flat_map(|host| [host.clone(), format!("{host}:*")]).collect()
}

fn header_key(name: &str) -> String {
    format!("request.headers[{name}]")
}

fn selector(listeners: &Listeners) -> WorkloadSelector {
    WorkloadSelector {
        match_labels: listeners.selector.clone(),
    }
}

/// No audiences: a token for another model would be answered by 401 on every path of the gateway.
fn authentication(access: &Access, listeners: &Listeners) -> RequestAuthenticationSpec {
    let (jwks, jwks_uri) = match &access.keys {
        Keys::Inline(keys) => (Some(keys.clone()), None),
        Keys::Uri(uri) => (None, Some(uri.clone())),
    };
    RequestAuthenticationSpec {
        selector: selector(listeners),
        jwt_rules: vec![JwtRule {
            issuer: access.issuer.clone(),
            jwks,
            jwks_uri,
            // Named in any case: by default Envoy takes a token from the URL too, which is logged and gets to the model.
            from_headers: vec![match &access.header {
                Some(name) => JwtHeader {
                    name: name.clone(),
                    prefix: None,
                },
                None => JwtHeader {
                    name: "Authorization".to_owned(),
                    prefix: Some("Bearer ".to_owned()),
                },
            }],
            // On other paths of the gateway somebody else may read it; the model's route removes it.
            forward_original_token: true,
        }],
    }
}

/// The claims are compared whole. A principal is `issuer/subject`, of which only a beginning could be compared, and an issuer
/// may be the beginning of another.
fn authorization(access: &Access, doors: &[Door], listeners: &Listeners) -> AuthorizationPolicySpec {
    let claims = [("iss", vec![access.issuer.clone()]), ("aud", access.audiences.clone())];
    let is_not = |(claim, values): &(&str, Vec<String>)| Condition {
        key: format!("request.auth.claims[{claim}]"),
        values: Vec::new(),
        not_values: values.clone(),
    };
    let rules = doors
        .iter()
        .flat_map(|door| claims.iter().map(|claim| door.rule(is_not(claim))));
    AuthorizationPolicySpec {
        selector: selector(listeners),
        action: "DENY".to_owned(),
        rules: rules.collect(),
    }
}

fn denied_to_all(path: &str) -> AuthorizationRule {
    AuthorizationRule {
        to: vec![To {
            operation: Operation {
                paths: vec![path.to_owned()],
                ..Operation::default()
            },
        }],
        when: Vec::new(),
    }
}
