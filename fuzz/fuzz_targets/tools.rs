//! What the hook tools print, whichever of them.
#![no_main]

use juju_hooks::answer;
use libfuzzer_sys::fuzz_target;
use seldon_model::observed::Observed;
use seldon_model_fuzz::{SECRET, gateway, reconciled, within_bounds};

fuzz_target!(|answer: &[u8]| {
    within_bounds(|| {
        let mut said = Vec::new();
        if let Ok(options) = answer::config_get(answer) {
            reconciled(&options, gateway(), &Observed::default());
        }
        said.extend(answer::config_get(answer).err());
        said.extend(answer::is_leader(answer).err());
        said.extend(answer::relation_ids(answer).err());
        said.extend(answer::relation_list_app(answer).err());
        said.extend(answer::relation_get(answer).err());
        said.extend(answer::goal_state(answer).err());
        said.extend(answer::status_get(answer).err());
        // Nothing of an answer is repeated.
        for error in said {
            assert!(!error.to_string().contains(SECRET), "{error}");
        }
    });
});
