//! Options with any text, and a secret in the environment.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use seldon_model::observed::Observed;
use seldon_model_fuzz::{SECRET, evaluate, gateway, options, within_bounds};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    image: &'a str,
    implementation: &'a str,
    model_uri: &'a str,
    protocol: &'a str,
    parameters: &'a str,
    resources: &'a str,
    engine_resources: &'a str,
    image_pull_policy: &'a str,
    prefix: &'a str,
    hosts: &'a str,
    timeout: &'a str,
    gateway: &'a str,
    labels: &'a str,
    annotations: &'a str,
    replicas: &'a str,
    retries: &'a str,
    before_env: &'a str,
    after_env: &'a str,
}

fuzz_target!(|input: Input| {
    within_bounds(|| {
        // On a line of its own: a preceding tag or quote would make it a part of a key.
        let env = format!("{}\nPASSWORD: {SECRET}\n{}", input.before_env, input.after_env);
        let pairs = [
            ("image", input.image),
            ("implementation", input.implementation),
            ("model-uri", input.model_uri),
            ("protocol", input.protocol),
            ("parameters", input.parameters),
            ("resources", input.resources),
            ("engine-resources", input.engine_resources),
            ("image-pull-policy", input.image_pull_policy),
            ("prefix", input.prefix),
            ("hosts", input.hosts),
            ("timeout", input.timeout),
            ("gateway", input.gateway),
            ("labels", input.labels),
            ("annotations", input.annotations),
            ("replicas", input.replicas),
            ("retries", input.retries),
            ("env", env.as_str()),
        ];
        // If the input contains the word itself, it may be a name.
        let own = [input.before_env, input.after_env]
            .into_iter()
            .chain(pairs[..pairs.len() - 1].iter().map(|pair| pair.1));
        let has_it = own.into_iter().any(|text| text.contains(SECRET));
        let mut map = options(pairs.map(|(name, text)| (name, text.to_owned())));
        // Juju passes these two as numbers.
        for name in ["replicas", "retries"] {
            if let Some(number) = map[name].as_str().and_then(|text| text.parse::<i64>().ok()) {
                map.insert(name.to_owned(), number.into());
            }
        }
        let report = evaluate(&map, gateway(), &Observed::default());
        let messages = format!("{}\n{:?}", report.status.message, report.problems);
        assert!(has_it || !messages.contains(SECRET), "{messages}");
    });
});
