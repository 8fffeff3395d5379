//! The parts of a post in a body, and their media: in short as a string, or whole as an object.

use std::{borrow::Cow, fmt, marker::PhantomData};

use annals_domain::{
    kernel::MediaId,
    publishing::post::{MediaDraft, PartDraft},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::views::{MediaView, PartView};

/// A file of the media library.
#[derive(Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct MediaBody {
    pub id: Uuid,
    /// What it shows, for those who can't see it: at most 2 000 characters.
    pub alt: Option<String>,
}

impl TryFrom<&str> for MediaBody {
    type Error = &'static str;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        let id = text.parse().map_err(|_| "must be a medium's id, or an object with its id")?;
        Ok(Self { id, alt: None })
    }
}

impl From<MediaBody> for MediaDraft {
    fn from(body: MediaBody) -> Self {
        Self { asset_id: MediaId::new(body.id), alt: body.alt }
    }
}

/// A part of a thread.
#[derive(Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct PartBody {
    /// 1 to 10 000 characters.
    pub content: String,
    #[serde(default)]
    #[schema(value_type = Vec<MediaEntry>)]
    pub media: Vec<StringOr<MediaBody>>,
    /// Seconds after the part before it is published, at most a week; 0: at once.
    #[serde(default)]
    pub delay_seconds: u64,
}

impl TryFrom<&str> for PartBody {
    type Error = &'static str;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Ok(Self { content: text.to_string(), media: Vec::new(), delay_seconds: 0 })
    }
}

impl From<PartBody> for PartDraft {
    fn from(body: PartBody) -> Self {
        Self { content: body.content, media: drafts(body.media), delay_seconds: body.delay_seconds }
    }
}

impl From<MediaView> for StringOr<MediaBody> {
    fn from(view: MediaView) -> Self {
        Self(MediaBody { id: view.id, alt: view.alt })
    }
}

impl From<PartView> for StringOr<PartBody> {
    fn from(view: PartView) -> Self {
        let PartView { content, media, delay_seconds } = view;
        Self(PartBody { content, media: bodies(media), delay_seconds: u64::from(delay_seconds) })
    }
}

/// A post's parts or media as they were read, to be sent back.
pub(crate) fn bodies<V, B: From<V>>(views: Vec<V>) -> Vec<B> {
    views.into_iter().map(B::from).collect()
}

/// What the command is given.
pub(crate) fn drafts<B, D: From<B>>(bodies: Vec<StringOr<B>>) -> Vec<D> {
    bodies.into_iter().map(|StringOr(body)| D::from(body)).collect()
}

/// A medium's id, or with what it shows.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it only says what the document shows for `StringOr<MediaBody>`")]
pub(crate) enum MediaEntry {
    Id(Uuid),
    WithAlt(MediaBody),
}

/// A text, or a text with what belongs to it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it only says what the document shows for `StringOr<PartBody>`")]
pub(crate) enum ThreadEntry {
    Text(String),
    Part(PartBody),
}

/// Reads `T` from an object or, in short, from a string. Unlike an untagged enum, it says what is
/// wrong with the object.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct StringOr<T>(pub(crate) T);

impl<'de, T> Deserialize<'de> for StringOr<T>
where
    T: Deserialize<'de> + for<'t> TryFrom<&'t str, Error = &'static str>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StringOrVisitor(PhantomData)).map(Self)
    }
}

impl<T: JsonSchema> JsonSchema for StringOr<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("StringOr{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let whole = generator.subschema_for::<T>();
        json_schema!({"anyOf": [{"type": "string"}, whole]})
    }
}

struct StringOrVisitor<T>(PhantomData<T>);

impl<'de, T> Visitor<'de> for StringOrVisitor<T>
where
    T: Deserialize<'de> + for<'t> TryFrom<&'t str, Error = &'static str>,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an object")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::try_from(text).map_err(E::custom)
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<T, M::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(text: &str) -> Result<T, String>
    where
        T: for<'de> Deserialize<'de> + for<'t> TryFrom<&'t str, Error = &'static str>,
    {
        serde_json::from_str::<StringOr<T>>(text).map(|read| read.0).map_err(|error| error.to_string())
    }

    #[test]
    fn a_string_is_short_for_an_object() {
        let id = "0198e000-0000-7000-8000-000000000042";
        let short: MediaBody = read(&format!("\"{id}\"")).unwrap();
        let whole: MediaBody = read(&format!(r#"{{"id":"{id}","alt":"a cat"}}"#)).unwrap();
        assert_eq!((short.id, short.alt), (whole.id, None));
        assert_eq!(whole.alt.as_deref(), Some("a cat"));
        let part: PartBody = read(&format!(r#"{{"content":"more","media":["{id}"]}}"#)).unwrap();
        assert_eq!((part.content.as_str(), part.media.len()), ("more", 1));
        assert_eq!(read::<PartBody>("\"more\"").unwrap().content, "more");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, words) in [
            (r#"{"content":"x","colour":1}"#, "unknown field `colour`"),
            ("{}", "missing field `content`"),
            ("7", "expected a string or an object"),
        ] {
            let why = read::<PartBody>(text).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
        let why = read::<MediaBody>("\"cat.png\"").unwrap_err();
        assert!(why.contains("must be a medium's id"), "{why}");
    }
}
