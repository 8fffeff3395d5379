//! Values that must not be read by everyone (invariant 7).
//!
//! Both types serialize as an object with one reserved key, which the log
//! recognises and seals when an event is appended, and restores when it is
//! loaded by someone who may open it:
//!
//! ```json
//! {"$personal": {"subject": "user:0198…", "value": "ada@example.org"}}
//! {"$secret":   {"owner": "integration:0198…", "value": "app-password"}}
//! ```
//!
//! `value` is `null` once the key is destroyed, or where the reader may not
//! open it. Every decoder therefore accepts the missing value: [`Personal::get`]
//! and [`Secret::get`] return an `Option`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

use super::{IntegrationId, UserId};

/// Whose personal data it is, such as `user:0198…`. Forgetting is by subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Subject(String);

impl Subject {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A subject that is not a user yet: an invited address, by the invitation's id.
    pub fn invitation(id: super::InvitationId) -> Self {
        Self(format!("invitation:{id}"))
    }
}

impl From<&str> for Subject {
    /// A subject as [`Subject::as_str`] gave it.
    fn from(text: &str) -> Self {
        Self(text.to_string())
    }
}

impl From<UserId> for Subject {
    fn from(id: UserId) -> Self {
        Self(format!("user:{id}"))
    }
}

/// Which aggregate's secret it is, such as `integration:0198…`; its key is destroyed with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(String);

impl Owner {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An owner of any kind; `kind` is the aggregate's short name.
    pub fn of(kind: &str, id: impl std::fmt::Display) -> Self {
        Self(format!("{kind}:{id}"))
    }
}

impl From<IntegrationId> for Owner {
    fn from(id: IntegrationId) -> Self {
        Self::of("integration", id)
    }
}

macro_rules! confidential {
    ($name:ident, $envelope:ident, $by:ident: $By:ty, $key:literal) => {
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name<T> {
            $by: $By,
            value: Option<T>,
        }

        #[derive(Serialize, Deserialize)]
        struct $envelope<T> {
            $by: $By,
            value: Option<T>,
        }

        impl<T> $name<T> {
            pub fn new($by: impl Into<$By>, value: T) -> Self {
                Self { $by: $by.into(), value: Some(value) }
            }

            /// The value, unless its key is gone or the reader may not open it.
            pub fn get(&self) -> Option<&T> {
                self.value.as_ref()
            }

            pub fn into_inner(self) -> Option<T> {
                self.value
            }

            pub fn $by(&self) -> &$By {
                &self.$by
            }

            /// The same, with the value gone.
            pub fn erased(&self) -> Self {
                Self { $by: self.$by.clone(), value: None }
            }
        }

        // Never the value: events are printed by tests and by logs.
        impl<T> std::fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let state = if self.value.is_some() { "sealed" } else { "erased" };
                write!(f, "{}({}, {state})", stringify!($name), self.$by.as_str())
            }
        }

        impl<T: Serialize> Serialize for $name<T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry($key, &$envelope { $by: self.$by.clone(), value: self.value.as_ref() })?;
                map.end()
            }
        }

        impl<'de, T: DeserializeOwned> Deserialize<'de> for $name<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                #[serde(bound = "T: DeserializeOwned")]
                struct Outer<T> {
                    #[serde(rename = $key)]
                    inner: $envelope<T>,
                }
                let outer = Outer::<T>::deserialize(deserializer)?;
                Ok(Self { $by: outer.inner.$by, value: outer.inner.value })
            }
        }
    };
}

confidential!(Personal, PersonalEnvelope, subject: Subject, "$personal");
confidential!(Secret, SecretEnvelope, owner: Owner, "$secret");

/// Where events go to whoever may read them, personal data leaves as `null`; readers with the right
/// to it, elsewhere, find a value of the type.
impl<T: JsonSchema> JsonSchema for Personal<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Personal_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [generator.subschema_for::<T>(), {"type": "null"}],
            "x-sealed": "personal",
        })
    }
}

/// A secret never leaves: its form is nobody's business.
impl<T> JsonSchema for Secret<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "null", "x-sealed": "secret"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_personal_value_carries_its_subject_in_the_reserved_key() {
        let subject = UserId::default();
        let sealed = Personal::new(subject, "ada@example.org".to_string());
        let json = serde_json::to_value(&sealed).expect("serializes");
        assert_eq!(
            json,
            serde_json::json!({"$personal": {
                "subject": "user:00000000-0000-0000-0000-000000000000",
                "value": "ada@example.org",
            }})
        );
        let back: Personal<String> = serde_json::from_value(json).expect("deserializes");
        assert_eq!(back, sealed);
    }

    #[test]
    fn an_erased_value_decodes_and_does_not_print_what_it_was() {
        let json = serde_json::json!({"$secret": {"owner": "user:1", "value": null}});
        let secret: Secret<String> = serde_json::from_value(json).expect("deserializes");
        assert_eq!(secret.get(), None);
        let open = Secret::new(Owner::of("user", 1), "hunter2".to_string());
        assert!(!format!("{open:?}").contains("hunter2"));
    }
}
