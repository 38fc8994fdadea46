//! The dashboard.
//!
//! It is the same for every application: its variables choose among them. Edit `dashboard.json`. The interface requires base64 of
//! xz, which is in the other file, so that the charm need not compress anything; a test compares the two.

use ring::digest::{SHA256, digest};
use serde_json::json;

use super::{Bag, CHARM};

pub const JSON: &str = include_str!("dashboard.json");
/// The same as base64 of xz, in lines.
pub const ENCODED: &str = include_str!("dashboard.xz.base64");
/// Its name among the dashboards of a relation.
const NAME: &str = "file:seldon-models";

/// The databag of a `grafana_dashboard` relation.
pub fn bag() -> Bag {
    let content: String = ENCODED.split_whitespace().collect();
    // Any id that changes with the content.
    let digest = digest(&SHA256, content.as_bytes());
    let id = digest.as_ref().iter().take(16);
    let id = id.fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let dashboards = json!({
        "templates": {NAME: {
            "charm": CHARM,
            "content": content,
            // The dashboard has its own dropdowns: Canonical's select a Juju unit, and a model's pod is not one.
            "inject_dropdowns": false,
            "juju_topology": {},
        }},
        "uuid": id,
    });
    [("dashboards", dashboards.to_string())].into()
}
