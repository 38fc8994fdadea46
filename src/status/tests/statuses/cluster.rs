//! Messages about gateways, objects of others and the API server.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use super::{Entry, Scene, examples};
use crate::api_error::ApiError;
use crate::changes::{Conflict, Unmanaged};
use crate::gateway::GatewayKind;
use crate::gateway::listeners::Listeners;
use crate::inputs::gateway::{Provider, RelatedGateway};
use crate::labels::ObjectKind;
use crate::permissions::REQUIRED;
use crate::plan::Unsupported;
use crate::status::problem::GatewayProblem;
use crate::status::tests::gateway_name;
use crate::status::{ApplicationProblem, Problem, removal_incomplete, unmanaged};
use juju_hooks::HookTools;

fn why(text: &str) -> String {
    text.to_owned()
}

fn provider(name: &str, language: GatewayKind) -> Provider {
    Provider::new(name, language)
}

fn named(up: bool, by: Provider) -> RelatedGateway {
    RelatedGateway::Known {
        gateway: gateway_name(),
        up,
        by,
    }
}

/// A scene of these options behind a gateway of the Gateway API.
fn behind_gateway_api(options: &str) -> Scene {
    let mut scene = Scene::serving(serde_yaml::from_str(options).unwrap());
    scene.gateway = named(true, provider("istio-ingress-k8s", GatewayKind::GatewayApi));
    scene
}

pub fn addresses() -> Vec<Entry> {
    let pilot = || provider("istio-pilot", GatewayKind::Istio);
    let ingress = || provider("istio-ingress-k8s", GatewayKind::GatewayApi);
    let related = examples!(RelatedGateway {
        RelatedGateway::None => RelatedGateway::None,
            "";
        RelatedGateway::Pending(_) => RelatedGateway::Pending(pilot()),
            "istio-pilot before 1.16 names its gateway only when it exists, within five minutes.";
        RelatedGateway::Pending(_) => RelatedGateway::Pending(ingress()), "";
        RelatedGateway::Ambiguous(_) => RelatedGateway::Ambiguous(vec![pilot(), provider("other-pilot", GatewayKind::Istio)]),
            "A model has one address. To name the gateway by an option: `juju config iris gateway=namespace/name`.";
        RelatedGateway::Ambiguous(_) => RelatedGateway::Ambiguous(vec![pilot(), ingress()]),
            "See [how to change over](../how-to/istio-ingress-k8s.md#change-over-and-back).";
        RelatedGateway::Known { up: false, .. } => named(false, pilot()),
            "If its Service is of type LoadBalancer and never gets an address: \
             `juju config istio-gateway gateway_service_type=NodePort`.";
        RelatedGateway::Known { up: true, .. } => named(true, pilot()), "";
    });
    let with = |change: &dyn Fn(&mut Scene)| {
        let mut scene = Scene::iris();
        change(&mut scene);
        scene
    };
    let mut entries: Vec<Entry> = related
        .into_iter()
        // That one is no problem.
        .filter(|(gateway, _)| !matches!(gateway, RelatedGateway::Known { up: true, .. }))
        .map(|(gateway, behind)| Entry::from_scene(&with(&|scene| scene.gateway = gateway.clone()), behind))
        .collect();
    entries.push(Entry::from_scene(&with(&|scene| scene.observed.gateways.clear()), ""));
    let options = serde_json::json!({"image": "iris:1", "gateway": "istio/gaet"});
    entries.push(Entry::from_scene(
        &Scene::serving(options),
        "The value is the namespace and name of a Gateway, as in `istio/gate`. `kubectl get gateways.networking.istio.io -A` lists them.",
    ));
    for (hosts, behind) in [
        (
            vec!["models.example"],
            "The Gateway serves certain host names, and `hosts` has none of them.",
        ),
        (vec![], "The Gateway takes routes of its own namespace only."),
    ] {
        let mut scene = Scene::serving(serde_json::json!({"image": "iris:1", "hosts": "iris.example"}));
        let listeners = Listeners {
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            http: true,
            ..Listeners::default()
        };
        scene.observed.gateways.insert(gateway_name(), listeners);
        entries.push(Entry::from_scene(&scene, behind));
    }
    entries.extend(of_gateway_api());
    entries
}

/// Messages about a gateway of the Gateway API.
fn of_gateway_api() -> Vec<Entry> {
    let scene = behind_gateway_api("{image: 'iris:1'}");
    let gateway = gateway_name;
    let answers = [
        (GatewayProblem::RoutePending(gateway()), ""),
        (GatewayProblem::RouteNotServedYet(gateway()), ""),
        (
            GatewayProblem::RouteNotServed(gateway()),
            "A single route that Envoy rejects keeps a gateway from all new ones. See [what the gateway \
             serves](../explanation/routing.md#what-the-gateway-serves).",
        ),
        (
            GatewayProblem::AccessNotEnforcedYet(gateway()),
            "Its route is applied, or changed, once the gateway denies requests without a token.",
        ),
        (
            GatewayProblem::AccessNotEnforced(gateway()),
            "A route that exists stays as it is. The gateway's pods may not be Istio's, or istiod may not be able to reach them.",
        ),
        (GatewayProblem::AccessWithoutPods(gateway()), ""),
        (
            GatewayProblem::AccessAmbiguous {
                gateway: gateway(),
                namespaces: ["edge", "istio-system"].map(ToOwned::to_owned).into(),
            },
            "Anybody with a namespace can give pods and Services the labels that a Gateway selects.",
        ),
        (GatewayProblem::AccessUnsupported(gateway()), ""),
        (
            GatewayProblem::RouteRejected {
                gateway: gateway(),
                why: why("no listener takes routes of the namespace edge"),
            },
            "The cause is the gateway's.",
        ),
        (
            GatewayProblem::UnresolvedRefs {
                gateway: gateway(),
                why: why("no Service iris-default"),
            },
            "Until Seldon Core has created the Service.",
        ),
    ];
    let mut entries: Vec<Entry> = answers
        .into_iter()
        .map(|(problem, details)| Entry::of_problem(&scene, Problem::Gateway(problem), details))
        .collect();
    let lacks = "See [what is different there](../how-to/istio-ingress-k8s.md#what-is-different).";
    let omitted = examples!(Unsupported {
        Unsupported::Retries => Unsupported::Retries, lacks;
        Unsupported::PartialMirroring => Unsupported::PartialMirroring, lacks;
    });
    let in_entry = behind_gateway_api("{models: '{iris: {image: \"iris:1\"}}'}");
    for scene in [&scene, &in_entry] {
        for (unsupported, details) in &omitted {
            entries.push(Entry::of_problem(scene, Problem::Unsupported(*unsupported), details));
        }
    }
    for options in [
        "{image: 'iris:1', gateway: istio/gate}",
        "{models: '{iris: {image: \"iris:1\", gateway: istio/gate}}'}",
    ] {
        entries.push(Entry::from_scene(&behind_gateway_api(options), ""));
    }
    entries
}

pub fn conflicts() -> Vec<Entry> {
    let scene = Scene::iris();
    examples!(Conflict {
        Conflict::NameTaken { .. } => Conflict::NameTaken {
            kind: ObjectKind::SeldonDeployment, name: "iris".into(), application: None,
        }, "To rename the model, deploy the charm as another application or list the model in `models`.";
        Conflict::NameTaken { .. } => Conflict::NameTaken {
            kind: ObjectKind::Secret, name: "iris-image-pull".into(), application: Some("old".into()),
        }, "";
        Conflict::ForeignOwner { .. } => Conflict::ForeignOwner {
            kind: ObjectKind::SeldonDeployment, name: "iris".into(), owner: "ConfigMap/theirs".into(),
        }, "Objects of the charm are owned by its own StatefulSet and by nothing else.";
        Conflict::ForeignFinalizer { .. } => Conflict::ForeignFinalizer {
            kind: ObjectKind::VirtualService, name: "iris-route".into(), finalizer: "example.com/hold".into(),
        }, "";
        Conflict::PrefixTaken { .. } => Conflict::PrefixTaken {
            prefix: "/model/iris/".into(), kind: ObjectKind::VirtualService, route: "other/theirs".into(),
        }, "The older route would win, see [how routes win](../explanation/routing.md).";
        Conflict::PrefixTaken { .. } => Conflict::PrefixTaken {
            prefix: "/model/iris/".into(), kind: ObjectKind::HttpRoute, route: "other/theirs".into(),
        }, "At a gateway of the Gateway API the longer path wins.";
        Conflict::GrpcHostTaken { .. } => Conflict::GrpcHostTaken {
            host: "iris.example".into(), kind: ObjectKind::VirtualService, route: "other/theirs".into(),
        }, "";
        Conflict::ShadowedByCatchAll { .. } => Conflict::ShadowedByCatchAll { route: "other/all".into() }, "";
    })
    .into_iter()
    .map(|(conflict, behind)| Entry::of_problem(&scene, Problem::Conflict(conflict), behind))
    .chain([Entry::in_status(
        &with_copies(2),
        "Copies with the charm's labels, made from `kubectl get -o yaml`. The log and `diagnose` name each.",
    )])
    .chain([Entry::in_status(
        &beside_others(),
        "See [how routes win](../explanation/routing.md). The log and `diagnose` name each.",
    )])
    .collect()
}

/// A model that serves, next to copies of its SeldonDeployment.
fn with_copies(count: usize) -> Scene {
    let mut scene = Scene::iris();
    let mut copy = scene.observed.seldon_deployments[0].clone();
    copy.metadata.managed_fields = None;
    for number in 1..=count {
        copy.metadata.name = Some(format!("iris-copy-{number}"));
        scene.observed.seldon_deployments.push(copy.clone());
    }
    scene
}

/// A model that serves, next to routes of others.
fn beside_others() -> Scene {
    let mut scene = Scene::iris();
    let conditions = json!({"uri": {"prefix": "/model/iris/"}, "headers": {"tenant": {"exact": "b"}}});
    for name in ["one", "two"] {
        let metadata = json!({"namespace": "other", "name": name});
        let spec = json!({"hosts": ["*"], "gateways": ["istio/gate"], "http": [{"match": [conditions]}]});
        let route = serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap();
        scene.observed.virtual_services[0].metadata.creation_timestamp = Some(Time(Timestamp::MAX));
        scene.share_gateway(&route);
    }
    scene
}

pub fn errors() -> Vec<Entry> {
    let seldon = "Seldon Core's CRDs are missing.";
    let mut entries: Vec<Entry> = examples!(ApiError {
        ApiError::CrdMissing { .. } => ApiError::CrdMissing { kind: "SeldonDeployment".into() }, seldon;
        ApiError::CrdMissing { .. } => ApiError::CrdMissing { kind: "VirtualService".into() }, "Istio's CRDs are missing.";
        ApiError::CrdMissing { .. } => ApiError::CrdMissing { kind: "HTTPRoute".into() },
            "The Gateway API's CRDs are missing, and `gateway-metadata` is related.";
        ApiError::Forbidden { .. } => ApiError::Forbidden { why: String::new(), missing: REQUIRED.to_vec() },
            "[rbac.yaml](../../rbac.yaml) grants exactly what is needed, `juju trust` far more.";
        ApiError::Forbidden { .. } => ApiError::Forbidden { why: why("a policy forbids it"), missing: Vec::new() },
            "The charm has all permissions; an admission policy of the cluster denies the request.";
        ApiError::Conflict { .. } => ApiError::Conflict {
            object: "VirtualService iris-route".into(), manager: "argocd".into(), fields: vec!["spec.http".into()],
        }, "Two managers of one field would overwrite each other for ever. Changes made with kubectl are reverted instead.";
        ApiError::Conflict { .. } => ApiError::Conflict {
            object: "SeldonDeployment iris".into(), manager: "argocd-application-controller-of-another-cluster".into(),
            fields: vec!["spec.protocol".into()],
        }, "";
        ApiError::Invalid { .. } => ApiError::Invalid {
            object: "SeldonDeployment iris".into(), why: why("spec.predictors: Invalid value"),
        }, "The cause is that of a webhook or of the schema. The command shows the options.";
        ApiError::Quota { .. } => ApiError::Quota { why: why("exceeded quota: small, requested: memory=1Gi") }, "";
        ApiError::Unreachable { .. } => ApiError::Unreachable { why: why("connection refused") }, "";
        ApiError::Untrusted { time: true, .. } => ApiError::Untrusted { why: why("certificate expired"), time: true }, "";
        ApiError::Untrusted { time: false, .. } => ApiError::Untrusted { why: why("UnknownIssuer"), time: false },
            "MicroK8s is renewing its certificates.";
        ApiError::Throttled { .. } => ApiError::Throttled { after: Duration::from_secs(1) }, "";
        ApiError::DeadlineExceeded => ApiError::DeadlineExceeded, "";
        ApiError::ServerError { .. } => ApiError::ServerError { why: why("HTTP 500: etcdserver: no leader") }, "";
        ApiError::Unauthorized => ApiError::Unauthorized, "";
        ApiError::NoToken { .. } => ApiError::NoToken {
            why: why("/var/run/secrets/kubernetes.io/serviceaccount/token is empty"),
        }, "If it lasts, delete the unit's pod: Juju starts it again, and the models keep serving.";
        ApiError::Terminating => ApiError::Terminating, "";
        ApiError::Unserializable { .. } => ApiError::Unserializable { why: why("key must be a string") },
            "Report it with the log. No such fault is known.";
        ApiError::ConcurrentChange => ApiError::ConcurrentChange, "";
        ApiError::NotFound => ApiError::NotFound, "An object disappeared between two requests.";
        ApiError::WebhookDown { .. } => ApiError::WebhookDown {
            name: "v1.vseldondeployment.kb.io".into(), why: why("connection refused"),
        }, "Seldon Core's webhook validates each model.";
        ApiError::WebhookDown { .. } => ApiError::WebhookDown {
            name: "validation.istio.io".into(), why: why("connection refused"),
        }, "Istio's webhook validates each route.";
    })
    .into_iter()
    .map(|(error, details)| {
        let is_of_model = matches!(
            error,
            ApiError::Conflict { .. } | ApiError::Invalid { .. } | ApiError::Quota { .. } | ApiError::ConcurrentChange
        );
        if is_of_model {
            Entry::of_problem(&Scene::iris(), Problem::Rejected(error), details)
        } else {
            Entry::of_application(ApplicationProblem::Api(error), details)
        }
    })
    .collect();
    entries.dedup_by(|one, other| one.text == other.text);
    entries.insert(1, Entry::of_application(ApplicationProblem::SeldonIsDeploying, ""));
    // Outside a hook there are no hook tools.
    let error = HookTools.config_get().unwrap_err();
    entries.push(Entry::of_application(
        ApplicationProblem::HookTool(error.to_string()),
        "The unit agent did not answer.",
    ));
    entries
}

pub fn removal() -> Vec<Entry> {
    let left = removal_incomplete(&["SeldonDeployment iris".into()]);
    let copy = Unmanaged {
        kind: ObjectKind::SeldonDeployment,
        name: "iris-copy".into(),
    };
    vec![
        Entry::in_log(
            left,
            "Kubernetes stops a model's pods first, which may take longer than the hook.",
        ),
        Entry::in_log(
            unmanaged("edge", &copy),
            "A copy, or an object that a backup restored under an unused name.",
        ),
    ]
}
