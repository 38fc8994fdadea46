//! Any output of the hook tools.
#![no_main]

use juju_hooks::answer;
use libfuzzer_sys::fuzz_target;
use seldon_model::observed::Observed;
use seldon_model_fuzz::{SECRET, evaluate, gateway, within_bounds};

fuzz_target!(|answer: &[u8]| {
    within_bounds(|| {
        let mut errors = Vec::new();
        if let Ok(options) = answer::config_get(answer) {
            evaluate(&options, gateway(), &Observed::default());
        }
        errors.extend(answer::config_get(answer).err());
        errors.extend(answer::is_leader(answer).err());
        errors.extend(answer::relation_ids(answer).err());
        errors.extend(answer::relation_list_app(answer).err());
        errors.extend(answer::relation_get(answer).err());
        errors.extend(answer::goal_state(answer).err());
        errors.extend(answer::status_get(answer).err());
        // Errors contain nothing of the output.
        for error in errors {
            assert!(!error.to_string().contains(SECRET), "{error}");
        }
    });
});
