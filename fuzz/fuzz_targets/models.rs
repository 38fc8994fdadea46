//! The option `models` with any text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seldon_model::observed::Observed;
use seldon_model_fuzz::{evaluate, gateway, options, within_bounds};

fuzz_target!(|text: &str| {
    within_bounds(|| {
        evaluate(&options([("models", text.to_owned())]), gateway(), &Observed::default());
    });
});
