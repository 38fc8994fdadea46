//! The namespace in which a gateway's pods and Services are.
//!
//! Anybody with a namespace can give a pod and a Service the labels that a Gateway selects. So what has those labels
//! is the gateway's only if it is in one namespace, and the Gateway's own comes first.

use std::collections::{BTreeMap, BTreeSet};

use super::GatewayName;
use super::listeners::{Listeners, Scope};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Workload {
    #[default]
    Absent,
    /// In this namespace.
    Found(String),
    /// In these namespaces, none of which is the Gateway's own.
    Ambiguous(BTreeSet<String>),
}

impl Workload {
    /// `pods` are the namespaces of the pods with the labels that the gateway selects; `services` the namespaces and
    /// selectors of any Services. A Service counts without pods too, or a gateway whose pods are all gone could be
    /// replaced by somebody else's.
    pub fn find<'a>(
        gateway: &GatewayName,
        listeners: &Listeners,
        pods: impl IntoIterator<Item = &'a str>,
        services: impl IntoIterator<Item = (&'a str, &'a BTreeMap<String, String>)>,
    ) -> Self {
        let services = services.into_iter();
        let services = services.filter(|(_, selector)| selects_gateway(selector, &listeners.selector));
        let services = services.map(|(namespace, _)| namespace);
        let mut namespaces: BTreeSet<&str> = pods.into_iter().chain(services).collect();
        if namespaces.contains(gateway.namespace.as_str()) {
            return Self::Found(gateway.namespace.clone());
        }
        if listeners.scope == Scope::Namespace {
            return Self::Absent;
        }
        match (namespaces.pop_first(), namespaces.is_empty()) {
            (None, _) => Self::Absent,
            (Some(only), true) => Self::Found(only.to_owned()),
            (Some(first), false) => {
                let all = namespaces.into_iter().chain([first]);
                Self::Ambiguous(all.map(ToOwned::to_owned).collect())
            }
        }
    }

    pub fn is_in(&self, namespace: &str) -> bool {
        matches!(self, Self::Found(found) if found == namespace)
    }
}

/// Whether a Service with this selector is for the pods with those labels, as far as the labels show.
pub fn selects_gateway(selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    !selector.is_empty() && (includes(selector, labels) || includes(labels, selector))
}

pub fn includes(all: &BTreeMap<String, String>, some: &BTreeMap<String, String>) -> bool {
    some.iter().all(|(key, value)| all.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> BTreeMap<String, String> {
        [("istio".to_owned(), "ingressgateway".to_owned())].into()
    }

    fn find(pods: &[&str], services: &[&str], scope: Scope) -> Workload {
        let gateway = GatewayName::parse("models/gate").unwrap();
        let listeners = Listeners {
            selector: labels(),
            scope,
            ..Listeners::default()
        };
        let selector = labels();
        let services = services.iter().map(|namespace| (*namespace, &selector));
        Workload::find(&gateway, &listeners, pods.iter().copied(), services)
    }

    #[test]
    fn own_namespace_comes_before_all_others() {
        let own = Workload::Found("models".to_owned());
        assert_eq!(find(&["evil", "models"], &["evil"], Scope::Cluster), own);
        assert_eq!(
            find(&["evil"], &["evil", "models"], Scope::Cluster),
            own,
            "its pods are gone, its Service is not"
        );
        assert_eq!(find(&["models"], &[], Scope::Namespace), own);
    }

    #[test]
    fn one_other_namespace_is_followed_for_istio_only() {
        let system = Workload::Found("istio-system".to_owned());
        assert_eq!(
            find(&["istio-system", "istio-system"], &["istio-system"], Scope::Cluster),
            system
        );
        assert_eq!(find(&[], &["istio-system"], Scope::Cluster), system);
        assert_eq!(
            find(&["istio-system"], &["istio-system"], Scope::Namespace),
            Workload::Absent
        );
        assert_eq!(find(&[], &[], Scope::Cluster), Workload::Absent);
    }

    #[test]
    fn several_other_namespaces_are_ambiguous() {
        let ambiguous = Workload::Ambiguous(["evil", "istio-system"].map(ToOwned::to_owned).into());
        assert_eq!(find(&["istio-system", "evil"], &[], Scope::Cluster), ambiguous);
        assert_eq!(find(&["evil"], &["istio-system"], Scope::Cluster), ambiguous);
        assert_eq!(find(&["istio-system"], &["evil"], Scope::Cluster), ambiguous);
        assert!(!ambiguous.is_in("evil") && !ambiguous.is_in("istio-system"));
    }

    #[test]
    fn service_of_other_labels_does_not_count() {
        let other = [("app".to_owned(), "web".to_owned())].into();
        assert!(!selects_gateway(&other, &labels()));
        assert!(!selects_gateway(&BTreeMap::new(), &labels()));
        let more = [labels(), other].into_iter().flatten().collect();
        assert!(selects_gateway(&more, &labels()));
    }
}
