//! What fuzzing found, each by its name.

use super::*;

fn faults(models: &str) -> Vec<String> {
    let config = parsed(json!({"models": models}));
    config.faults.iter().map(ToString::to_string).collect()
}

#[test]
fn a_word_that_nobody_knows_is_told_in_one_printable_line() {
    for entry in ["{a: {image: x, \"imst\\tusage\": 1}}", "a: {image: x, env\t\ty: 1}"] {
        let faults = faults(entry);
        assert!(!faults.is_empty());
        for fault in faults {
            assert!(!fault.contains(char::is_control), "{fault:?}");
        }
    }
}
