//! The `tracing` relation: where to send the traces of a model's requests.
//!
//! The interface is `tracing` v2 of `canonical/charm-relation-interfaces`: the requirer lists the protocols it
//! supports in `receivers`, and the provider answers with a URL for each.

use http::Uri;
use serde::Deserialize;

use crate::config::value::{Collector, Tracing};
use juju_hooks::{HookContext, HookTools, Relation, ToolError};

pub const ENDPOINT: &str = "tracing";
/// The only protocol of the interface that Seldon's executor supports: that of Jaeger's Go client.
const PROTOCOL: &str = "jaeger_thrift_http";
/// The path at a Jaeger collector.
const PATH: &str = "/api/traces";

/// `None` without a relation, and until it is answered.
pub fn read(relations: &[Relation]) -> Option<Tracing> {
    relations.iter().find_map(receiver)
}

/// Requests the protocol in each relation that has not been answered yet.
pub fn request_receivers(tools: HookTools, context: &HookContext, relations: &[Relation]) -> Result<(), ToolError> {
    let mut unanswered = relations.iter().filter(|relation| receiver(relation).is_none());
    unanswered.try_for_each(|relation| request(tools, context, relation))
}

fn receiver(relation: &Relation) -> Option<Tracing> {
    #[derive(Deserialize)]
    struct Receiver {
        protocol: ReceiverProtocol,
        url: String,
    }
    #[derive(Deserialize)]
    struct ReceiverProtocol {
        name: String,
    }
    let receivers: Vec<Receiver> = serde_json::from_str(relation.bag.get("receivers")?).ok()?;
    let receiver = receivers.iter().find(|receiver| receiver.protocol.name == PROTOCOL)?;
    let url = crate::config::value::url(receiver.url.trim_end_matches('/')).ok()?;
    let uri: Uri = url.parse().ok()?;
    let url = if uri.path() == "/" { format!("{url}{PATH}") } else { url };
    Some(Tracing::all(Collector::Endpoint(url)))
}

/// Requests the protocol once. Only the leader may write application data, and read what it wrote before.
fn request(tools: HookTools, context: &HookContext, relation: &Relation) -> Result<(), ToolError> {
    let desired = format!("[\"{PROTOCOL}\"]");
    if !tools.is_leader()? {
        return Ok(());
    }
    match tools.relation_get(&relation.id, &context.application)? {
        Some(written) if written.get("receivers") != Some(&desired) => {
            tools.relation_set(&relation.id, "receivers", &desired)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracing_for(receivers: &str) -> Option<Tracing> {
        super::receiver(&Relation {
            id: "tracing:1".into(),
            application: "tempo".into(),
            bag: [("receivers".to_owned(), receivers.to_owned())].into(),
        })
    }

    fn receiver(name: &str, url: &str) -> String {
        format!(r#"[{{"protocol": {{"name": "{name}", "type": "http"}}, "url": "{url}"}}]"#)
    }

    #[test]
    fn traces_go_to_the_jaeger_thrift_receiver() {
        for url in [
            "http://tempo.cos.svc:14268",
            "http://tempo.cos.svc:14268/",
            "http://tempo.cos.svc:14268/api/traces",
        ] {
            let to = Collector::Endpoint("http://tempo.cos.svc:14268/api/traces".into());
            assert_eq!(tracing_for(&receiver(PROTOCOL, url)), Some(Tracing::all(to)));
        }
        assert_eq!(tracing_for(&receiver("otlp_http", "http://tempo.cos.svc:4318")), None);
        assert_eq!(tracing_for(&receiver(PROTOCOL, "tempo")), None);
        assert_eq!(tracing_for("[]"), None);
        assert_eq!(tracing_for("garbage"), None);
    }
}
