//! The option `manifest`, with whatever text in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seldon_model::observed::Observed;
use seldon_model_fuzz::{gateway, options, reconciled, within_bounds};

fuzz_target!(|text: &str| {
    within_bounds(|| {
        reconciled(
            &options([("manifest", text.to_owned())]),
            gateway(),
            &Observed::default(),
        );
    });
});
