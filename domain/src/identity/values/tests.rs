use super::*;

fn refused<T: std::fmt::Debug>(result: Result<T, InvalidText>) -> String {
    result.expect_err("is refused").to_string()
}

#[test]
fn a_password_is_bounded_and_not_trivial() {
    let email = EmailAddress::parse("Ada@example.org").expect("is an address");
    let refused = |text: &str| refused(Password::parse(text, &email));
    assert_eq!(refused("1234567"), "must have at least 8 characters");
    assert_eq!(refused(&"ab".repeat(65)), "must have at most 128 characters");
    assert_eq!(refused("ääääääää"), "must not be one character over and over");
    assert_eq!(refused("my ADA@EXAMPLE.ORG"), "must not contain the mail address");
    let password = Password::parse(" pässwörd", &email).expect("is accepted");
    assert_eq!(password.expose(), " pässwörd", "spaces count");
    assert!(!format!("{password:?}").contains("wörd"));
}

#[test]
fn preferences_are_small_objects_without_reserved_keys() {
    let parse = |json: Value| Preferences::parse(json.as_object().cloned().unwrap_or_default());
    let words = "must not have keys that start with $";
    assert_eq!(refused(parse(serde_json::json!({"$secret": 1}))), words);
    assert_eq!(refused(parse(serde_json::json!({"a": [{"$personal": {}}]}))), words);
    assert_eq!(refused(parse(serde_json::json!({"a": [[[[]]]]}))), "must be nested at most 4 deep");
    assert_eq!(
        refused(parse(serde_json::json!({"a": "x".repeat(9_000)}))),
        "must have at most 8192 bytes as JSON"
    );
    let many = (0..101).map(|n| (n.to_string(), Value::Null)).collect();
    assert_eq!(refused(Preferences::parse(many)), "must have at most 100 keys");
    let some = parse(serde_json::json!({"theme": "dark", "beta": true})).expect("fits");
    let changes = serde_json::json!({"theme": null, "size": 2}).as_object().cloned().unwrap_or_default();
    let merged = some.merged(changes).expect("fits");
    assert_eq!(Value::Object(merged.as_object().clone()), serde_json::json!({"beta": true, "size": 2}));
}

#[test]
fn texts_of_a_form_are_checked() {
    assert!(Locale::parse("pt-BR").is_ok() && Locale::parse("zh-Hant-TW").is_ok());
    assert!(Locale::parse("").is_err() && Locale::parse("english please").is_err());
    assert!(
        ["post:read", "post:*", "post", "*", "api-key:create"].iter().all(|text| Scope::parse(text).is_ok())
    );
    assert!(
        ["", ":", "Post:read", "post:", "*:read", "post:read:all"]
            .iter()
            .all(|text| Scope::parse(text).is_err())
    );
    assert!(PictureUrl::parse("https://example.org/a.png").is_ok());
    assert!(PictureUrl::parse("javascript:alert(1)").is_err() && PictureUrl::parse("a.png").is_err());
    assert!(PhoneNumber::parse("+49 30 123456").is_ok() && PhoneNumber::parse("call me").is_err());
    assert!(PersonName::parse(&"x".repeat(101)).is_err() && PersonName::parse("  ").is_err());
}
