//! Models that take requests with a token only, at a real gateway.

use std::time::{Duration, Instant};

use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};
use serde_json::json;

use crate::fixture::{FLOWER, Model, SERVES, SOON, until};
use crate::load::{Answer, Load, send, send_as};
use crate::support::assert_contains;
use crate::support::kinds::{authorization_policy, kind, request_authentication};
use crate::tokens::Issuer;

/// The namespace of the gateway's pods.
const GATEWAY: &str = "istio-system";
/// For a model behind a login.
const HEADER: &str = "x-model-token";
/// What Envoy answers to a request that a policy denies.
const DENIED: &str = "RBAC: access denied";

fn with(url: &str, name: &str, value: &str) -> Answer {
    send_as(url, FLOWER, &[(name, value)])
}

fn with_token(url: &str, token: &str) -> u16 {
    with(url, "authorization", token).status
}

/// The model's policies, by their kinds.
fn policies(model: &Model) -> Vec<DynamicObject> {
    let ours = ListParams::default().labels(&format!("seldon-model/model-uuid={}", model.world.model.uuid));
    let kinds = [authorization_policy(), request_authentication()];
    let list = |resource| {
        let api: Api<DynamicObject> = Api::namespaced_with(model.client.clone(), GATEWAY, &resource);
        model.wait(api.list(&ours)).unwrap().items
    };
    kinds.into_iter().flat_map(list).collect()
}

pub fn tokens_open_their_model_and_nothing_else() {
    let sso = Issuer::new("https://sso.guarded");
    let mut model = Model::inside("guarded");
    model.agent.listen().unwrap();
    model.configure(&[("access", &sso.access("guarded", Some("X-Model-Token")))]);
    let neighbour = Model::serving("unguarded");
    model.until_says(SERVES, &["active: "]);
    let url = model.predictions("guarded");

    // In a header of its own, and the tokens of others stay theirs.
    let others = Issuer::new("https://somebody.else").bearer("x");
    assert_eq!(send(&url, FLOWER).status, 403);
    assert_eq!(with(&url, "x-model-token", &sso.token("guarded", 3600)).status, 200);
    assert_eq!(with_token(&url, &sso.bearer("guarded")), 403, "in another header");
    assert_eq!(with_token(&neighbour.predictions("unguarded"), &others), 200);

    // In the header Authorization, those of others are answered by 401 wherever they go.
    let says = model.configure(&[("access", &sso.access("guarded", None))]);
    assert_contains(&says, &["active: "]);
    until(SOON, "the header is another one", || {
        match with_token(&url, &sso.bearer("guarded")) {
            200 => Ok(()),
            other => Err(other.to_string()),
        }
    });
    assert_eq!(with_token(&neighbour.predictions("unguarded"), &others), 401);
    assert_eq!(neighbour.predict().status, 200);

    let seldons = model.url("/seldon/guarded/iris/api/v0.1/predictions");
    let valid = sso.bearer("guarded");
    for url in [&url, &seldons] {
        let answer = send(url, FLOWER);
        assert_eq!((answer.status, answer.body.as_str()), (403, DENIED), "{url}");
        assert_eq!(with_token(url, &valid), 200, "{url}");
        assert_eq!(with_token(url, &sso.bearer("other")), 403, "of another audience: {url}");
    }
    let expired = format!("Bearer {}", sso.token("guarded", -120));
    assert_eq!(with_token(&url, &expired), 401, "expired");
    let forger = Issuer::new("https://sso.guarded");
    assert_eq!(
        with_token(&url, &forger.bearer("guarded")),
        401,
        "signed by another key"
    );
    // The beginning of the issuer's name, and the revision of the route, which is no way to the model.
    let near = Issuer::new("https://sso.guarded/evil");
    assert_eq!(with_token(&url, &near.bearer("guarded")), 401);
    let requests = model.requests_counted("default");
    let prefix = model.url("/model/guarded/");
    assert_eq!(with(&prefix, "x-seldon-model-revision", "show").status, 302);
    assert_eq!(with(&prefix, "x-seldon-model-revision", "hide").status, 403);
    assert_eq!(with(&url, "x-seldon-model-revision", "show").status, 403);
    // URLs are logged, so a token in one is none, here and for the neighbours.
    let in_url = |url: &str, token: &str| send(&format!("{url}?access_token={token}"), FLOWER).status;
    assert_eq!(in_url(&url, &sso.token("guarded", 3600)), 403);
    let neighbours = neighbour.predictions("unguarded");
    assert_eq!(in_url(&neighbours, others.trim_start_matches("Bearer ")), 200);
    let by_headers = [("seldon", "iris"), ("namespace", "guarded")];
    let anywhere = model.url("/seldon.protos.Seldon/Predict");
    assert_eq!(send_as(&anywhere, FLOWER, &by_headers).status, 403);
    assert_eq!(model.requests_counted("default"), requests, "the model got one of them");
    let results = model.act("diagnose", &json!({})).unwrap().results;
    assert_eq!(results["iris"]["broken"], "nothing");
    assert_contains(
        results["report"].as_str().unwrap(),
        &["access: takes tokens of https://sso.guarded for guarded in the header Authorization"],
    );
    let told = model.act("predict", &json!({"data": FLOWER})).unwrap();
    assert_contains(&told.message, &["status code 403 (it takes tokens of ", "direct=true"]);
    assert_eq!(
        model
            .act("predict", &json!({"data": FLOWER, "direct": true}))
            .unwrap()
            .status,
        "completed"
    );

    let renewed = keys_rotate(&mut model, &url, &valid);
    let moved = prefix_moves(&mut model, &url, &renewed);
    deleted_policies_are_put_back(&mut model, &moved);
    application_leaves(model, &moved);
}

/// A request that got through without a token.
fn got_through(load: Load) -> Vec<Answer> {
    let answers = load.stop().into_iter();
    answers.filter(|answer| ![403, 404].contains(&answer.status)).collect()
}

/// Another key is taken at once, and tokens of the old one are not. Returns the issuer with it.
fn keys_rotate(model: &mut Model, url: &str, old: &str) -> Issuer {
    let renewed = Issuer::new("https://sso.guarded");
    let says = model.configure(&[("access", &renewed.access("guarded", None))]);
    assert_contains(&says, &["active: "]);
    let rotated = Instant::now();
    until(Duration::from_secs(3), "the new key is taken, the old is not", || {
        let both = (with_token(url, &renewed.bearer("guarded")), with_token(url, old));
        if both == (200, 401) {
            Ok(())
        } else {
            Err(format!("{both:?}"))
        }
    });
    eprintln!("keys rotated {} ms after the hook", rotated.elapsed().as_millis());
    renewed
}

/// Neither the old prefix nor the new one is open for a moment. Returns the URL.
fn prefix_moves(model: &mut Model, url: &str, issuer: &Issuer) -> String {
    let moved = model.url("/moved-guarded/api/v0.1/predictions");
    let loads = [Load::start(url, FLOWER, 2), Load::start(&moved, FLOWER, 2)];
    let says = model.configure(&[("prefix", "/moved-guarded/")]);
    assert_contains(&says, &["active: "]);
    until(SOON, "it has moved", || {
        match with_token(&moved, &issuer.bearer("guarded")) {
            200 => Ok(()),
            other => Err(other.to_string()),
        }
    });
    for load in loads {
        let open = got_through(load);
        assert!(open.is_empty(), "{open:?}");
    }
    assert_eq!(policies(model).len(), 2);
    moved
}

/// The watcher has them put back.
fn deleted_policies_are_put_back(model: &mut Model, url: &str) {
    for policy in policies(model) {
        let resource = if policy.types.as_ref().unwrap().kind == "AuthorizationPolicy" {
            authorization_policy()
        } else {
            request_authentication()
        };
        let api: Api<DynamicObject> = Api::namespaced_with(model.client.clone(), GATEWAY, &resource);
        model
            .wait(api.delete(policy.metadata.name.as_deref().unwrap(), &DeleteParams::default()))
            .unwrap();
    }
    model.runs_for(Duration::from_secs(6));
    assert_eq!(policies(model).len(), 2);
    until(SOON, "it is closed again", || match send(url, FLOWER).status {
        403 => Ok(()),
        other => Err(other.to_string()),
    });
}

fn application_leaves(mut model: Model, url: &str) {
    let load = Load::start(url, FLOWER, 2);
    model.remove_application();
    assert!(policies(&model).is_empty());
    let open = got_through(load);
    assert!(open.is_empty(), "{open:?}");
}

/// The filter of istio-pilot for a login is inserted before all others of the gateway (`canonical/istio-operators`,
/// `charms/istio-pilot/src/manifests/auth_filter.yaml.j2`). This one is in the same place and answers as a login does, for one model.
fn put_login_in_front(model: &Model, path: &str) {
    let redirects = format!(
        "function envoy_on_request(handle)\n  if handle:headers():get(':path'):sub(1, {}) == '{path}' then\n    \
         handle:respond({{[':status'] = '302', ['location'] = '/dex/auth'}}, '')\n  end\nend\n",
        path.len()
    );
    let filter = json!({
        "apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter",
        "metadata": {"name": "login"},
        "spec": {
            "workloadSelector": {"labels": {"istio": "ingressgateway"}},
            "configPatches": [{
                "applyTo": "HTTP_FILTER",
                "match": {"context": "GATEWAY", "listener": {"filterChain": {"filter": {
                    "name": "envoy.filters.network.http_connection_manager"}}}},
                "patch": {"operation": "INSERT_BEFORE", "value": {
                    "name": "envoy.filters.http.lua",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                        "default_source_code": {"inline_string": redirects},
                    },
                }},
            }],
        },
    });
    let filter = serde_json::from_value(filter).unwrap();
    model
        .wait(filters(model).create(&PostParams::default(), &filter))
        .unwrap();
}

fn filters(model: &Model) -> Api<DynamicObject> {
    let resource = kind("networking.istio.io", "v1alpha3", "EnvoyFilter");
    Api::namespaced_with(model.client.clone(), GATEWAY, &resource)
}

pub fn login_comes_before_tokens() {
    let sso = Issuer::new("https://sso.behind");
    let mut model = Model::inside("behind-login");
    // A header of its own: other tests send tokens of other issuers through this gateway.
    model.configure(&[("access", &sso.access("behind", Some(HEADER)))]);
    model.until_says(SERVES, &["active: "]);
    let url = model.predictions("behind-login");
    let token = sso.token("behind", 3600);
    assert_eq!(with(&url, HEADER, &token).status, 200);
    put_login_in_front(&model, "/model/behind-login/");
    until(SOON, "the login answers", || match with(&url, HEADER, &token).status {
        302 => Ok(()),
        other => Err(other.to_string()),
    });
    assert_eq!(send(&url, FLOWER).status, 302);
    let seldons = model.url("/seldon/behind-login/iris/api/v0.1/predictions");
    assert_eq!(
        send(&seldons, FLOWER).status,
        403,
        "what the login lets through is asked for a token"
    );
    assert_eq!(with(&seldons, HEADER, &token).status, 200);
    assert_contains(&model.update_status(), &["active: "]);
    model
        .wait(filters(&model).delete("login", &DeleteParams::default()))
        .unwrap();
    model.remove_application();
}
