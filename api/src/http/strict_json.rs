//! JSON as this API takes it: UTF-8, no deeper than 32, no U+0000, and every fault named by its path.

use std::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::answer::{ApiError, FieldError};

/// Arrays and objects within each other.
pub(super) const DEPTH_MAX: usize = 32;

/// Parses a whole document into a wire struct.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        ApiError::field("body", format!("must be UTF-8; byte {} is not", error.valid_up_to()))
    })?;
    check(text)?;
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        ApiError::validation(vec![name_fault(&path, &error.into_inner().to_string())])
    })
}

/// From a deserializer's words and the path it stopped at, the field and what to do about it.
///
/// `serde` knows an unknown or missing field only by the path of what surrounds it.
pub(super) fn name_fault(path: &str, words: &str) -> FieldError {
    let words = words.rfind(" at line ").map_or(words, |end| &words[..end]);
    let parent = if path == "." { "" } else { path };
    let quoted = |rest: &str| rest.split('`').next().unwrap_or_default().to_string();
    if let Some(rest) = words.strip_prefix("unknown field `") {
        let name = quoted(rest);
        let known = rest.split_once("expected ").map(|(_, known)| known.replace('`', ""));
        let known = known.map_or_else(String::new, |known| format!("; known here: {}", strip_count(&known)));
        return FieldError::new(join(parent, &name), format!("is not a known field{known}"));
    }
    if let Some(rest) = words.strip_prefix("missing field `") {
        return FieldError::new(join(parent, &quoted(rest)), "is required");
    }
    if let Some(rest) = words.strip_prefix("duplicate field `") {
        return FieldError::new(join(parent, &quoted(rest)), "must be given once");
    }
    let field = if parent.is_empty() { "body" } else { parent };
    for prefix in ["invalid type: ", "invalid value: "] {
        if let Some((found, expected)) =
            words.strip_prefix(prefix).and_then(|rest| rest.rsplit_once(", expected "))
        {
            return FieldError::new(field, format!("must be {expected}, not {found}"));
        }
    }
    // What the standard library says of a number in a query string.
    let words = match words {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "must be a whole number, not negative"
        }
        "number too large to fit in target type" => "is too large",
        words => words,
    };
    FieldError::new(field, words)
}

/// `one of a, b` and `a or b` read the same after "known here:".
fn strip_count(known: &str) -> &str {
    known.strip_prefix("one of ").unwrap_or(known)
}

fn join(parent: &str, name: &str) -> String {
    // Some deserializers report the unknown key itself as the path.
    if parent.is_empty() || parent == name || parent.ends_with(&format!(".{name}")) {
        return if parent.is_empty() { name.to_string() } else { parent.to_string() };
    }
    format!("{parent}.{name}")
}

/// Walks a document once for what a wire struct's own parser can't know.
fn check(text: &str) -> Result<(), ApiError> {
    let mut walk = Walk { path: Vec::new(), fault: None };
    let mut json = serde_json::Deserializer::from_str(text);
    let result = Node { walk: &mut walk }.deserialize(&mut json).and_then(|()| json.end());
    match (result, walk.fault) {
        (_, Some(fault)) => Err(ApiError::validation(vec![fault])),
        (Err(error), None) => Err(ApiError {
            code: "INVALID_JSON",
            ..ApiError::field("body", format!("must be valid JSON: {error}"))
        }),
        (Ok(()), None) => Ok(()),
    }
}

struct Walk {
    path: Vec<Step>,
    fault: Option<FieldError>,
}

enum Step {
    Key(String),
    Index(usize),
}

impl Walk {
    fn stop<E: de::Error>(&mut self, message: &str) -> E {
        self.fault = Some(FieldError::new(self.path(), message));
        E::custom(message)
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        if path.is_empty() { "body".to_string() } else { path }
    }

    fn text<E: de::Error>(&mut self, text: &str) -> Result<(), E> {
        if text.contains('\0') { Err(self.stop("must not contain U+0000")) } else { Ok(()) }
    }

    fn deeper<E: de::Error>(&mut self) -> Result<(), E> {
        if self.path.len() >= DEPTH_MAX {
            return Err(self.stop(&format!("must not nest deeper than {DEPTH_MAX}")));
        }
        Ok(())
    }
}

struct Node<'w> {
    walk: &'w mut Walk,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.walk.text(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.walk.deeper()?;
        for index in 0.. {
            self.walk.path.push(Step::Index(index));
            let more = items.next_element_seed(Node { walk: self.walk })?.is_some();
            self.walk.path.pop();
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.walk.deeper()?;
        while let Some(key) = entries.next_key::<String>()? {
            if key.contains('\0') {
                self.walk.path.push(Step::Key(key.replace('\0', "\u{2400}")));
                return Err(self.walk.stop("must not contain U+0000 in its name"));
            }
            self.walk.path.push(Step::Key(key));
            entries.next_value_seed(Node { walk: self.walk })?;
            self.walk.path.pop();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    #[expect(dead_code, reason = "only parsed")]
    struct Post {
        content: String,
        integrations: Vec<Target>,
        scheduled_at: Option<chrono::DateTime<chrono::Utc>>,
        #[serde(default)]
        settings: serde_json::Value,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Target {
        id: u64,
    }

    #[track_caller]
    fn check_fault(body: &str, field: &str, message: &str) {
        let error = parse::<Post>(body.as_bytes()).expect_err("is refused");
        assert_eq!(error.status.as_u16(), 400);
        assert_eq!(error.errors.len(), 1);
        assert_eq!(error.errors[0].field, field);
        assert!(error.errors[0].message.contains(message), "{}", error.errors[0].message);
    }

    #[test]
    fn a_fault_is_named_by_its_path() {
        check_fault(r#"{"content":5,"integrations":[]}"#, "content", "must be a string, not integer `5`");
        check_fault(
            r#"{"content":"a","integrations":[{"id":1},{"id":"x"}]}"#,
            "integrations[1].id",
            "must be u64",
        );
        check_fault(r#"{"content":"a"}"#, "integrations", "is required");
        check_fault(r#"{"content":"a","integrations":[{}]}"#, "integrations[0].id", "is required");
        check_fault(r#"{"content":"a","integrations":[],"contnt":1}"#, "contnt", "known here: content");
        check_fault(
            r#"{"content":"a","integrations":[{"id":1,"x":2}]}"#,
            "integrations[0].x",
            "not a known field",
        );
        check_fault(r#"{"content":"a","integrations":[],"scheduledAt":"soon"}"#, "scheduledAt", "");
        check_fault(r#"{"content":"a","content":"b","integrations":[]}"#, "content", "once");
        check_fault("[]", "body", "");
    }

    #[test]
    fn the_null_character_is_refused_in_texts_and_in_names() {
        check_fault(r#"{"content":"a\u0000b","integrations":[]}"#, "content", "U+0000");
        check_fault(
            r#"{"content":"a","integrations":[],"settings":{"x":["\u0000"]}}"#,
            "settings.x[0]",
            "U+0000",
        );
        check_fault(r#"{"content":"a","integrations":[],"settings":{"k\u0000":1}}"#, "settings.k␀", "U+0000");
    }

    #[test]
    fn nesting_is_bounded_and_32_is_fine() {
        let nested = |depth: usize| {
            let inner = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            format!(r#"{{"content":"a","integrations":[],"settings":{inner}}}"#)
        };
        parse::<Post>(nested(31).as_bytes()).expect("32 levels with the object around them");
        let error = parse::<Post>(nested(32).as_bytes()).expect_err("33 levels");
        assert!(error.errors[0].message.contains("deeper than 32"));
        parse::<Post>(nested(100_000).as_bytes()).expect_err("and no stack is lost on a hostile one");
    }

    #[test]
    fn what_is_no_json_or_no_utf8_is_said_to_be() {
        let error = parse::<Post>(br#"{"content":"#).expect_err("is cut off");
        assert_eq!(error.code, "INVALID_JSON");
        let error = parse::<Post>(b"{} {}").expect_err("trails");
        assert_eq!(error.code, "INVALID_JSON");
        let error = parse::<Post>(b"{\"content\":\"\xff\"}").expect_err("is Latin 1");
        assert!(error.errors[0].message.contains("UTF-8"));
        parse::<Post>(b"").expect_err("is empty");
    }
}
