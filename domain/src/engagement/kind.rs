//! What people are told of, and by which way.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// What a notification is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationKind {
    /// A post is not on a channel, for good.
    PostFailed,
    /// A part of a thread is not on a channel; what came before it stands.
    ThreadFailed,
    /// Whether a post is on a channel is not known.
    OutcomeUnknown,
    /// A post waits because its channel lost access.
    PostHeld,
    /// A post should have been published and was not.
    PostOverdue,
    /// A post stands on a channel.
    PostPublished,
    /// A channel's platform no longer lets us in.
    ChannelLostAccess,
    /// Somebody accepted their invitation.
    MemberJoined,
    /// One's own role is another now.
    RoleChanged,
    /// A file of one's own could not be prepared.
    MediaFailed,
    /// A recurring post does not recur any more.
    SeriesEnded,
}

/// More may come: consumers of events take any text.
impl JsonSchema for NotificationKind {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NotificationKind".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// Which ways a kind takes to a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ways {
    /// In the list of notifications.
    pub in_app: bool,
    pub email: bool,
}

impl Ways {
    const BOTH: Self = Self { in_app: true, email: true };
    const IN_APP: Self = Self { in_app: true, email: false };
    const NONE: Self = Self { in_app: false, email: false };

    /// Whether the person is told at all.
    pub fn any(self) -> bool {
        self.in_app || self.email
    }
}

impl NotificationKind {
    pub const ALL: [Self; 11] = [
        Self::PostFailed,
        Self::ThreadFailed,
        Self::OutcomeUnknown,
        Self::PostHeld,
        Self::PostOverdue,
        Self::PostPublished,
        Self::ChannelLostAccess,
        Self::MemberJoined,
        Self::RoleChanged,
        Self::MediaFailed,
        Self::SeriesEnded,
    ];

    /// As it stands in events, in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PostFailed => "post_failed",
            Self::ThreadFailed => "thread_failed",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::PostHeld => "post_held",
            Self::PostOverdue => "post_overdue",
            Self::PostPublished => "post_published",
            Self::ChannelLostAccess => "channel_lost_access",
            Self::MemberJoined => "member_joined",
            Self::RoleChanged => "role_changed",
            Self::MediaFailed => "media_failed",
            Self::SeriesEnded => "series_ended",
        }
    }

    /// The ways of somebody who chose none. What needs a person comes by mail too; what only
    /// informs is read in the app; what goes as planned is no news.
    pub fn default_ways(self) -> Ways {
        match self {
            Self::PostFailed
            | Self::ThreadFailed
            | Self::OutcomeUnknown
            | Self::PostOverdue
            | Self::ChannelLostAccess => Ways::BOTH,
            // The mail about the channel says it already.
            Self::PostHeld
            | Self::MemberJoined
            | Self::RoleChanged
            | Self::MediaFailed
            | Self::SeriesEnded => Ways::IN_APP,
            Self::PostPublished => Ways::NONE,
        }
    }
}

impl std::fmt::Display for NotificationKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for NotificationKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownKind)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no kind of notification")]
pub struct UnknownKind;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_reads_as_it_is_written() {
        for kind in NotificationKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).expect("serializes"), kind.as_str());
        }
        assert_eq!("post".parse::<NotificationKind>(), Err(UnknownKind));
    }

    #[test]
    fn what_needs_a_person_is_mailed_unless_they_say_otherwise() {
        let mailed: Vec<_> =
            NotificationKind::ALL.into_iter().filter(|kind| kind.default_ways().email).collect();
        use NotificationKind as Kind;
        let expected = [
            Kind::PostFailed,
            Kind::ThreadFailed,
            Kind::OutcomeUnknown,
            Kind::PostOverdue,
            Kind::ChannelLostAccess,
        ];
        assert_eq!(mailed, expected);
    }
}
