//! The gateway that relations name.

use serde::Deserialize;

use crate::config::Model;
use crate::gateway::{GatewayKind, GatewayName};
use juju_hooks::Relation;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    pub application: String,
    pub kind: GatewayKind,
}

impl Provider {
    pub fn new(application: &str, kind: GatewayKind) -> Self {
        Self {
            application: application.to_owned(),
            kind,
        }
    }
}

/// What the `gateway-info` and `gateway-metadata` relations say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelatedGateway {
    None,
    /// Related, but the other side has not named its gateway.
    Pending(Provider),
    /// Several are related; which one to use is undecided.
    Ambiguous(Vec<Provider>),
    Known {
        gateway: GatewayName,
        /// Whether the other side reports that it accepts requests. `false` may be out of date.
        up: bool,
        by: Provider,
    },
}

impl RelatedGateway {
    /// `info` relations name an Istio Gateway, `metadata` relations one of the Gateway API.
    pub fn read(info: &[Relation], metadata: &[Relation]) -> Self {
        let provider = |kind| move |relation: &'_ Relation| Provider::new(&relation.application, kind);
        let istio = info.iter().zip(info.iter().map(provider(GatewayKind::Istio)));
        let gateway_api = metadata
            .iter()
            .zip(metadata.iter().map(provider(GatewayKind::GatewayApi)));
        let providers: Vec<(&Relation, Provider)> = istio.chain(gateway_api).collect();
        match providers.as_slice() {
            [] => Self::None,
            [(relation, by)] => {
                let named = match by.kind {
                    GatewayKind::Istio => read_gateway_info(relation),
                    GatewayKind::GatewayApi => read_gateway_metadata(relation),
                };
                match named {
                    Some((gateway, up)) => Self::Known {
                        gateway,
                        up,
                        by: by.clone(),
                    },
                    None => Self::Pending(by.clone()),
                }
            }
            several => Self::Ambiguous(several.iter().map(|(_, by)| by.clone()).collect()),
        }
    }

    /// The provider of a gateway of the Gateway API, if there is one.
    pub fn by_metadata(&self) -> Option<&Provider> {
        let providers = match self {
            Self::None => &[],
            Self::Pending(by) | Self::Known { by, .. } => std::slice::from_ref(by),
            Self::Ambiguous(all) => all.as_slice(),
        };
        providers
            .iter()
            .find(|provider| provider.kind == GatewayKind::GatewayApi)
    }

    /// The kind of all gateways of the application, as there is one provider at a time.
    pub fn kind(&self) -> GatewayKind {
        self.by_metadata().map_or(GatewayKind::Istio, |provider| provider.kind)
    }

    /// The gateway of a model: the Istio Gateway in its options, or the related one. `None` if the options name an
    /// Istio Gateway and the relation is one of the Gateway API: only the operator knows which is meant.
    pub fn for_model<'a>(&'a self, model: &'a Model) -> Option<&'a GatewayName> {
        match (&model.gateway, self) {
            (Some(named), _) => self.by_metadata().is_none().then_some(named),
            (None, Self::Known { gateway, .. }) => Some(gateway),
            (None, _) => None,
        }
    }
}

/// The application data of an istio-gateway-info relation. A missing `gateway_up` means that it is up
/// (`canonical/istio-operators`, `lib/charms/istio_pilot/v0/istio_gateway_info.py`).
fn read_gateway_info(relation: &Relation) -> Option<(GatewayName, bool)> {
    let get = |key: &str| relation.bag.get(key).map(String::as_str).unwrap_or_default();
    let text = format!("{}/{}", get("gateway_namespace"), get("gateway_name"));
    let gateway = GatewayName::parse(&text)?;
    Some((gateway, get("gateway_up") != "false"))
}

/// The application data of a `gateway_metadata` relation. It is written once the gateway accepts requests, and never
/// withdrawn (`canonical/charmlibs`, `interfaces/gateway-metadata`; `canonical/istio-ingress-k8s-operator`,
/// `src/charm.py`).
fn read_gateway_metadata(relation: &Relation) -> Option<(GatewayName, bool)> {
    #[derive(Deserialize)]
    struct Metadata {
        namespace: String,
        gateway_name: String,
    }
    let parsed: Metadata = serde_json::from_str(relation.bag.get("metadata")?).ok()?;
    let gateway = GatewayName::parse(&format!("{}/{}", parsed.namespace, parsed.gateway_name))?;
    Some((gateway, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(id: &str, application: &str, bag: &[(&str, &str)]) -> Relation {
        Relation {
            id: id.into(),
            application: application.into(),
            bag: bag.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        }
    }

    #[test]
    fn gateway_is_known_once_metadata_is_complete() {
        let read =
            |text: &str| RelatedGateway::read(&[], &[relation("gateway-metadata:4", "ingress", &[("metadata", text)])]);
        let whole =
            r#"{"namespace": "edge", "gateway_name": "ingress", "deployment_name": "x", "service_account": "x"}"#;
        let RelatedGateway::Known { gateway, up, by } = read(whole) else {
            panic!("it is named");
        };
        assert_eq!(
            (gateway.to_string().as_str(), up, by.kind),
            ("edge/ingress", true, GatewayKind::GatewayApi)
        );
        for text in ["", "{}", "[]", r#"{"namespace": "", "gateway_name": "x"}"#] {
            assert!(
                matches!(read(text), RelatedGateway::Pending(by) if by.kind == GatewayKind::GatewayApi),
                "{text}"
            );
        }
    }

    #[test]
    fn gateways_of_both_kinds_are_ambiguous() {
        let info = relation(
            "gateway-info:3",
            "istio-pilot",
            &[("gateway_name", "g"), ("gateway_namespace", "n")],
        );
        let metadata = relation("gateway-metadata:4", "ingress", &[]);
        let endpoints = RelatedGateway::read(std::slice::from_ref(&info), &[metadata]);
        assert!(matches!(&endpoints, RelatedGateway::Ambiguous(all) if all.len() == 2));
        assert_eq!(endpoints.kind(), GatewayKind::GatewayApi);
        assert_eq!(RelatedGateway::read(&[info], &[]).kind(), GatewayKind::Istio);
    }
}
