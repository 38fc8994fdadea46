use serde_json::{Value, json};

use super::Parameters;

fn parameters(given: &Value) -> Parameters {
    Parameters::new(given.as_object().unwrap().clone())
}

fn map(given: &Value) -> Result<Value, String> {
    let map = parameters(&json!({"data": given})).map("data")?;
    Ok(map.map_or(Value::Null, Value::Object))
}

#[test]
fn wrong_values_name_parameter_rule_and_example() {
    let wrong = parameters(&json!({"model": 1, "direct": "yes", "timeout": 61, "reward": "much"}));
    assert_eq!(
        wrong.text("model"),
        Err("parameter model: must be text, such as model=iris".to_owned())
    );
    assert_eq!(
        wrong.flag("direct"),
        Err("parameter direct: must be true or false, such as direct=true".to_owned())
    );
    assert_eq!(
        wrong.whole("timeout", &(1..=60)),
        Err("parameter timeout: must be a whole number from 1 to 60, such as timeout=60".to_owned())
    );
    assert_eq!(
        wrong.number("reward"),
        Err("parameter reward: must be a number, such as reward=1.0".to_owned())
    );
    for (wrong, rule) in [
        (json!("x"), "must be a map in JSON or YAML"),
        (json!([1]), "must be a map in JSON or YAML"),
        (json!("[1]"), "must be a map in JSON or YAML"),
        (json!("!tag {a: 1}"), "must not have a YAML tag at line 1, column 1"),
        // How Juju 4 passes a map on.
        (json!("map[a:1]"), "must be a map in JSON or YAML"),
        (json!("{[1]: 2}"), "keys must be text"),
        (json!("{password: hunter2"), "is not valid YAML at line 2, column 1"),
        (json!("{a: 1, a: 2}"), "duplicate key `a` at line 1, column 8"),
    ] {
        let message = map(&wrong).unwrap_err();
        assert!(
            message.starts_with(&format!("parameter data: {rule}")),
            "{wrong}: {message}"
        );
        assert!(
            message.ends_with(", such as --string-args data='{…}'"),
            "{wrong}: {message}"
        );
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn omitted_parameters_have_no_value() {
    for none in [json!({}), json!({"a": null}), json!({"a": ""}), json!({"a": " \n"})] {
        let none = parameters(&none);
        assert_eq!(none.text("a"), Ok(None));
        assert_eq!(none.flag("a"), Ok(false));
        assert_eq!(none.whole("a", &(1..=60)), Ok(None));
        assert_eq!(none.number("a"), Ok(None));
        assert_eq!(none.map("a"), Ok(None));
    }
}

#[test]
fn text_is_parsed_as_flags_and_numbers() {
    for (text, flag) in [("true", true), ("True", true), ("false", false), (" FALSE\n", false)] {
        assert_eq!(parameters(&json!({"direct": text})).flag("direct"), Ok(flag), "{text}");
    }
    for (text, number) in [("1", 1.0), ("-0.5", -0.5), ("1e3", 1000.0)] {
        assert_eq!(parameters(&json!({"reward": text})).number("reward"), Ok(Some(number)));
    }
    for text in ["nan", "inf", "-infinity", "1,5", "0x10"] {
        assert!(parameters(&json!({"reward": text})).number("reward").is_err(), "{text}");
    }
    let whole = |value: Value| parameters(&json!({"timeout": value})).whole("timeout", &(1..=60));
    for value in [json!(60), json!("60"), json!("1"), json!(1)] {
        assert!(matches!(whole(value), Ok(Some(1 | 60))));
    }
    for value in [
        json!("0"),
        json!("61"),
        json!("1.5"),
        json!("-1"),
        json!("4294967297"),
        json!("ten"),
        json!(0),
        json!(61),
        json!(1.5),
        json!(true),
    ] {
        let rule = "parameter timeout: must be a whole number from 1 to 60, such as timeout=60";
        assert_eq!(whole(value.clone()), Err(rule.to_owned()), "{value}");
    }
}

#[test]
fn text_is_parsed_as_maps() {
    let expected = json!({"data": {"ndarray": [[5.1, 3.5]]}});
    for text in [
        "{\"data\": {\"ndarray\": [[5.1, 3.5]]}}",
        "{\n\t\"data\": {\"ndarray\": [[5.1, 3.5]]}\n}\n",
        "data: {ndarray: [[5.1, 3.5]]}",
        "---\ndata:\n  ndarray:\n  - [5.1, 3.5]\n",
    ] {
        assert_eq!(map(&json!(text)), Ok(expected.clone()), "{text}");
    }
    assert_eq!(map(&expected), Ok(expected.clone()));
}

#[test]
fn json_may_be_longer_than_yaml() {
    let zeros = "0,".repeat(200_000);
    let json = format!("{{\"data\": [{zeros}0]}}");
    assert!(map(&json!(json)).is_ok());
    let message = map(&json!(format!("data: [{zeros}0]"))).unwrap_err();
    assert!(
        message.starts_with("parameter data: is 390 KiB long, must be at most 256 KiB"),
        "{message}"
    );
}
