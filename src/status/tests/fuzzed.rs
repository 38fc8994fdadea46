//! What fuzzing found, each by its name.

use super::*;

#[test]
fn an_application_with_an_unprintable_name_keeps_its_line_printable() {
    let mut scene = Scene::iris();
    scene.gateway = RelatedGateway::Pending(Provider::new("\0\0-", GatewayKind::Istio));
    let says = scene.says();
    assert!(!says.contains(char::is_control), "{says:?}");
}
