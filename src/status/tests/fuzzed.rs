//! What fuzzing found, each by its name.

use super::*;

#[test]
fn unprintable_application_name_keeps_status_printable() {
    let mut scene = Scene::iris();
    scene.gateway = RelatedGateway::Pending(Provider::new("\0\0-", GatewayKind::Istio));
    let says = scene.says();
    assert!(!says.contains(char::is_control), "{says:?}");
}
