//! Any content of the gateway relations' data bags.
#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use juju_hooks::Relation;
use libfuzzer_sys::fuzz_target;
use seldon_model::inputs::gateway::RelatedGateway;
use seldon_model::observed::Observed;
use seldon_model_fuzz::{evaluate, options, within_bounds};

#[derive(Arbitrary, Debug)]
struct Bag<'a> {
    application: &'a str,
    gateway_name: Option<&'a str>,
    gateway_namespace: Option<&'a str>,
    gateway_up: Option<&'a str>,
    metadata: Option<&'a str>,
    other: BTreeMap<&'a str, &'a str>,
}

fuzz_target!(|bags: (Vec<Bag>, Vec<Bag>)| {
    within_bounds(|| {
        let (info, metadata) = bags;
        let [info, metadata] = [info, metadata].map(|bags| bags.iter().map(relation).collect::<Vec<Relation>>());
        let gateway = RelatedGateway::read(&info, &metadata);
        let options = options([("image", "iris:1".to_owned())]);
        evaluate(&options, gateway, &Observed::default());
    });
});

fn relation(bag: &Bag) -> Relation {
    let known = [
        ("gateway_name", bag.gateway_name),
        ("gateway_namespace", bag.gateway_namespace),
        ("gateway_up", bag.gateway_up),
        ("metadata", bag.metadata),
    ];
    let known = known.into_iter().filter_map(|(key, value)| Some((key, value?)));
    let other = bag.other.iter().map(|(key, value)| (*key, *value));
    Relation {
        id: "gateway-info:1".to_owned(),
        application: bag.application.to_owned(),
        bag: other
            .chain(known)
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
    }
}
