//! Which gateway models are reached by, as relations name it.

use serde::Deserialize;

use crate::config::Model;
use crate::config::value::{self, GatewayName};
use crate::juju::Relation;

/// The language in which a gateway is told of routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Istio's own: `VirtualService`.
    Istio,
    /// Kubernetes' Gateway API: `HTTPRoute`.
    GatewayApi,
}

impl Language {
    /// The endpoint that names a gateway which speaks it.
    #[must_use]
    pub const fn endpoint(self) -> &'static str {
        match self {
            Self::Istio => "gateway-info",
            Self::GatewayApi => "gateway-metadata",
        }
    }
}

/// Who names a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// The application.
    pub application: String,
    /// What its gateway is spoken to in.
    pub language: Language,
}

impl Provider {
    /// That application, of that language.
    #[must_use]
    pub fn new(application: &str, language: Language) -> Self {
        Self {
            application: application.to_owned(),
            language,
        }
    }
}

/// What the relations that name a gateway say, `gateway-info` and `gateway-metadata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelatedGateway {
    /// There is no such relation.
    Missing,
    /// There is one, but the other side has not said which gateway.
    Silent(Provider),
    /// There are several, and no way to choose.
    Several(Vec<Provider>),
    /// This one.
    Named {
        /// Its name.
        gateway: GatewayName,
        /// Whether the other side says that it takes requests.
        up: bool,
        /// Who says so.
        by: Provider,
    },
}

impl RelatedGateway {
    /// Reads the relations of both endpoints: `info` names an Istio Gateway, `metadata` one of the Gateway API.
    #[must_use]
    pub fn read(info: &[Relation], metadata: &[Relation]) -> Self {
        let of = |language| move |relation: &'_ Relation| Provider::new(&relation.application, language);
        let of_istio = info.iter().zip(info.iter().map(of(Language::Istio)));
        let of_gateway_api = metadata.iter().zip(metadata.iter().map(of(Language::GatewayApi)));
        let providers: Vec<(&Relation, Provider)> = of_istio.chain(of_gateway_api).collect();
        match providers.as_slice() {
            [] => Self::Missing,
            [(relation, by)] => {
                let named = match by.language {
                    Language::Istio => of_info(relation),
                    Language::GatewayApi => of_metadata(relation),
                };
                match named {
                    Some((gateway, up)) => Self::Named {
                        gateway,
                        up,
                        by: by.clone(),
                    },
                    None => Self::Silent(by.clone()),
                }
            }
            several => Self::Several(several.iter().map(|(_, by)| by.clone()).collect()),
        }
    }

    /// The one that names a gateway of the Gateway API, or is to.
    #[must_use]
    pub fn by_metadata(&self) -> Option<&Provider> {
        let providers = match self {
            Self::Missing => &[],
            Self::Silent(by) | Self::Named { by, .. } => std::slice::from_ref(by),
            Self::Several(all) => all.as_slice(),
        };
        providers
            .iter()
            .find(|provider| provider.language == Language::GatewayApi)
    }

    /// What gateways are spoken to in: all of an application in one language, as there is one provider at a time.
    #[must_use]
    pub fn language(&self) -> Language {
        self.by_metadata().map_or(Language::Istio, |provider| provider.language)
    }

    /// The gateway of a model: the one that it names, which is an Istio Gateway, or the related one. None where both are there and
    /// speak different languages: which of the two is meant only a person knows.
    #[must_use]
    pub fn of<'a>(&'a self, model: &'a Model) -> Option<&'a GatewayName> {
        match (&model.gateway, self) {
            (Some(named), _) => self.by_metadata().is_none().then_some(named),
            (None, Self::Named { gateway, .. }) => Some(gateway),
            (None, _) => None,
        }
    }
}

/// The application bag of an istio-gateway-info relation. A missing `gateway_up` means that it is up
/// (`canonical/istio-operators`, `lib/charms/istio_pilot/v0/istio_gateway_info.py`).
fn of_info(relation: &Relation) -> Option<(GatewayName, bool)> {
    let get = |key: &str| relation.bag.get(key).map(String::as_str).unwrap_or_default();
    let text = format!("{}/{}", get("gateway_namespace"), get("gateway_name"));
    let gateway = value::gateway(&text).ok()?;
    Some((gateway, get("gateway_up") != "false"))
}

/// The application bag of a `gateway_metadata` relation. It is written once the gateway takes requests, and not taken back
/// (`canonical/charmlibs`, `interfaces/gateway-metadata`; `canonical/istio-ingress-k8s-operator`, `src/charm.py`).
fn of_metadata(relation: &Relation) -> Option<(GatewayName, bool)> {
    #[derive(Deserialize)]
    struct Metadata {
        namespace: String,
        gateway_name: String,
    }
    let said: Metadata = serde_json::from_str(relation.bag.get("metadata")?).ok()?;
    let gateway = value::gateway(&format!("{}/{}", said.namespace, said.gateway_name)).ok()?;
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
    fn metadata_names_a_gateway_of_the_gateway_api_once_it_is_whole() {
        let read =
            |text: &str| RelatedGateway::read(&[], &[relation("gateway-metadata:4", "ingress", &[("metadata", text)])]);
        let whole =
            r#"{"namespace": "edge", "gateway_name": "ingress", "deployment_name": "x", "service_account": "x"}"#;
        let RelatedGateway::Named { gateway, up, by } = read(whole) else {
            panic!("it is named");
        };
        assert_eq!(
            (gateway.to_string().as_str(), up, by.language),
            ("edge/ingress", true, Language::GatewayApi)
        );
        for text in ["", "{}", "[]", r#"{"namespace": "", "gateway_name": "x"}"#] {
            assert!(
                matches!(read(text), RelatedGateway::Silent(by) if by.language == Language::GatewayApi),
                "{text}"
            );
        }
    }

    #[test]
    fn one_of_each_is_one_too_many() {
        let info = relation(
            "gateway-info:3",
            "istio-pilot",
            &[("gateway_name", "g"), ("gateway_namespace", "n")],
        );
        let metadata = relation("gateway-metadata:4", "ingress", &[]);
        let both = RelatedGateway::read(std::slice::from_ref(&info), &[metadata]);
        assert!(matches!(&both, RelatedGateway::Several(all) if all.len() == 2));
        assert_eq!(both.language(), Language::GatewayApi);
        assert_eq!(RelatedGateway::read(&[info], &[]).language(), Language::Istio);
    }
}
