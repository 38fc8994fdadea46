//! The requests of a model, as far as routes can tell them apart.

use super::pattern::{Fit, Pattern, Regexes};
use crate::api::seldon::grpc;
use crate::gateway::GatewayName;
use crate::gateway::listeners::Listeners;
use crate::gateway::prefix::Prefix;

/// Those that clients of a model send to its gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRequests {
    pub model: String,
    pub namespace: String,
    pub gateway: GatewayName,
    /// `*` is every host.
    pub hosts: Vec<String>,
    pub prefix: Prefix,
    pub grpc_host: Option<String>,
}

/// Part of a model's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestKind {
    /// HTTP, below the prefix.
    Http,
    /// gRPC, to the model's own host.
    GrpcByHost,
    /// gRPC, with the headers that Seldon's client sends.
    GrpcByHeaders,
}

/// The methods of gRPC that models serve (`SeldonIO/seldon-core` v1.17.1, `proto/prediction.proto`,
/// `executor/api/grpc`).
const CALLS: [&str; 4] = [
    "/seldon.protos.Seldon/Predict",
    "/seldon.protos.Seldon/SendFeedback",
    "/tensorflow.serving.PredictionService/Predict",
    "/inference.GRPCInferenceService/ModelInfer",
];

impl ModelRequests {
    /// Paths that clients request.
    pub(super) fn paths(&self, kind: RequestKind) -> Vec<String> {
        if kind != RequestKind::Http {
            return CALLS.map(str::to_owned).to_vec();
        }
        let (prefix, model) = (&self.prefix, &self.model);
        vec![
            prefix.bare().to_owned(),
            prefix.to_string(),
            format!("{prefix}api/v1.0/predictions"),
            format!("{prefix}api/v1.0/feedback"),
            format!("{prefix}v1/models/{model}:predict"),
            format!("{prefix}v2/models/{model}/infer"),
            format!("{prefix}v2/health/ready"),
        ]
    }

    /// Seldon's API has these two.
    pub(super) fn methods(kind: RequestKind) -> &'static [&'static str] {
        match kind {
            RequestKind::Http => &["POST", "GET"],
            RequestKind::GrpcByHost | RequestKind::GrpcByHeaders => &["POST"],
        }
    }

    /// How far a condition on a header holds. The names of others are in lower case.
    pub(super) fn header(&self, kind: RequestKind, name: &str, value: &Pattern, regexes: &mut Regexes) -> Fit {
        let own = [(grpc::SELDON, &self.model), (grpc::NAMESPACE, &self.namespace)];
        if let Some((_, own)) = own.iter().find(|(header, _)| *header == name) {
            let fit = value.fits(&[own.as_str()], regexes);
            // Other requests do without them.
            return match kind {
                RequestKind::GrpcByHeaders => fit,
                RequestKind::Http | RequestKind::GrpcByHost => fit.min(Fit::Possible),
            };
        }
        match (name, kind) {
            (grpc::CONTENT_TYPE, RequestKind::Http) => {
                let is_grpc = |text: &str| text.starts_with(grpc::MEDIA_TYPE);
                match value {
                    Pattern::Exact(text) | Pattern::Prefix(text) if is_grpc(text) => Fit::Never,
                    _ => value.fits(&["application/json"], regexes).max(Fit::Possible),
                }
            }
            (grpc::CONTENT_TYPE, _) => {
                let texts = [grpc::MEDIA_TYPE, "application/grpc+proto"];
                value.fits(&texts, regexes)
            }
            (":method", _) => value.fits(Self::methods(kind), regexes),
            _ => Fit::Possible,
        }
    }

    /// How far a condition on the host of the request holds. Clients add a port that is neither 80 nor 443.
    pub(super) fn authority(
        &self,
        kind: RequestKind,
        value: &Pattern,
        listeners: Option<&Listeners>,
        regexes: &mut Regexes,
    ) -> Fit {
        let ports: Vec<u16> = listeners.iter().flat_map(|listeners| listeners.ports()).collect();
        let with_ports = |host: &String| {
            let with_port = ports.iter().map(move |port| format!("{host}:{port}"));
            [host.clone()].into_iter().chain(with_port).collect::<Vec<_>>()
        };
        if let (RequestKind::GrpcByHost, Some(host)) = (kind, &self.grpc_host) {
            return value.fits(&with_ports(host), regexes);
        }
        let (wildcards, hosts): (Vec<&String>, Vec<&String>) =
            self.hosts.iter().partition(|host| host.starts_with('*'));
        let exact: Vec<String> = hosts.into_iter().flat_map(with_ports).collect();
        let fit = value.fits(&exact, regexes);
        if fit == Fit::Certain || wildcards.is_empty() {
            return fit;
        }
        // A client that sends Seldon's headers calls the gateway, not the host of another model.
        if kind == RequestKind::GrpcByHeaders && *value != Pattern::Present {
            return Fit::Never;
        }
        match value {
            Pattern::Exact(text) => {
                let name = text.rsplit_once(':').map_or(text.as_str(), |(name, _)| name);
                let is_ours = |wildcard: &&String| wildcard.strip_prefix('*').is_some_and(|end| name.ends_with(end));
                if wildcards.iter().any(is_ours) {
                    Fit::Possible
                } else {
                    fit
                }
            }
            Pattern::Present => Fit::Certain,
            Pattern::Prefix(_) | Pattern::Regex(_) => Fit::Possible,
        }
    }
}
