//! What callers send, and how it becomes a command.

use annals_commands::publishing::posts::{Member, PostRequest, TagRef, Whose};
use annals_domain::{
    kernel::{IntegrationId, TagId, TimeZone},
    publishing::{
        post::{Draft, Due, Plan, Schedule, TargetDraft},
        tags::TagName,
    },
};
use chrono::SecondsFormat;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    parts::{MediaBody, MediaEntry, PartBody, StringOr, ThreadEntry, bodies, drafts},
    times,
    views::{DeliveryView, PostView},
};
use crate::{
    http::{ApiError, Caller, FieldError},
    state::AppState,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PostType {
    /// Keep it; `scheduledAt` may say what it is meant for.
    Draft,
    /// Publish it at once.
    Now,
    /// Publish it at `scheduledAt`.
    Schedule,
}

/// A post to write, or as it shall be.
#[derive(Debug, Deserialize, Serialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct PostBody {
    /// 1 to 10 000 characters.
    pub content: String,
    /// Files of the media library that the first part shows, at most 10.
    #[serde(default)]
    #[schema(value_type = Vec<MediaEntry>)]
    pub media: Vec<StringOr<MediaBody>>,
    /// What follows as a thread, at most 25 parts: texts, or texts with media.
    #[serde(default)]
    #[schema(value_type = Vec<ThreadEntry>)]
    pub thread: Vec<StringOr<PartBody>>,
    /// The channels it goes to, at most 50.
    #[serde(default)]
    pub integrations: Vec<TargetBody>,
    #[serde(rename = "type")]
    pub kind: PostType,
    /// RFC 3339, or a local time without offset in `timezone`.
    #[schema(example = "2026-05-01T09:00:00+02:00")]
    pub scheduled_at: Option<String>,
    /// Publish it again and again from `scheduledAt` on, by this rule of RFC 5545 and the clocks of
    /// `timezone`: at most 60 times and for a year. Each time is a post of its own.
    #[schema(example = "FREQ=WEEKLY;BYDAY=MO;COUNT=10")]
    pub recurrence: Option<String>,
    /// IANA; the user's own if it is left out.
    #[schema(example = "Europe/Berlin")]
    pub timezone: Option<String>,
    /// Ids of tags, or names: a name that is not there yet becomes a tag. At most 20.
    #[serde(default)]
    pub tags: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TargetBody {
    pub id: Uuid,
    /// In place of the post's `content` on this channel.
    pub content: Option<String>,
    /// In place of the post's `media` on this channel.
    #[schema(value_type = Option<Vec<MediaEntry>>)]
    pub media: Option<Vec<StringOr<MediaBody>>>,
    /// In place of the post's `thread` on this channel.
    #[schema(value_type = Option<Vec<ThreadEntry>>)]
    pub thread: Option<Vec<StringOr<PartBody>>>,
    /// What the post is told there, by the `settings` of the channel's platform in `GET /integrations`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub settings: Map<String, Value>,
}

impl From<TargetBody> for TargetDraft {
    fn from(target: TargetBody) -> Self {
        Self {
            channel: IntegrationId::new(target.id),
            content: target.content,
            media: target.media.map(drafts),
            thread: target.thread.map(drafts),
            settings: target.settings,
        }
    }
}

/// Who writes: whoever may manage posts changes everybody's.
pub(crate) fn member(caller: &Caller) -> Member {
    let posts = if caller.may("post", "manage") { Whose::Everybodys } else { Whose::Own };
    Member { organization: caller.organization_id, user: caller.user_id, posts }
}

impl PostBody {
    /// The command that it asks for.
    pub(crate) async fn request(self, state: &AppState, caller: &Caller) -> Result<PostRequest, ApiError> {
        if self.kind != PostType::Draft {
            caller.require("post", "publish")?;
        }
        let zone = times::zone(state, caller.user_id, self.timezone.as_deref()).await?;
        let mut errors = Vec::new();
        let plan = self.plan(zone).map_err(|error| errors.push(error)).ok();
        let tags = self
            .tags
            .iter()
            .enumerate()
            .filter_map(|(index, tag)| tag_ref(index, tag).map_err(|error| errors.push(error)).ok())
            .collect();
        let Some(plan) = plan.filter(|_| errors.is_empty()) else { return Err(ApiError::validation(errors)) };
        Ok(PostRequest { draft: self.draft(), tags, plan })
    }

    /// What it says and where it goes, without its tags.
    pub(super) fn draft(self) -> Draft {
        Draft {
            content: self.content,
            media: drafts(self.media),
            thread: drafts(self.thread),
            targets: self.integrations.into_iter().map(TargetDraft::from).collect(),
            tags: Vec::new(),
        }
    }

    /// A post as it was read, to be sent again; its tags by their ids.
    pub(crate) fn of(view: PostView, kind: PostType) -> Self {
        let target = |delivery: DeliveryView| TargetBody {
            id: delivery.id,
            content: delivery.content,
            media: delivery.media.map(bodies),
            thread: delivery.thread.map(bodies),
            settings: delivery.settings,
        };
        Self {
            content: view.content,
            media: bodies(view.media),
            thread: bodies(view.thread),
            integrations: view.integrations.into_iter().map(target).collect(),
            kind,
            scheduled_at: view.scheduled_at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            recurrence: None,
            timezone: view.timezone,
            tags: view.tags.iter().map(|tag| tag.id.to_string()).collect(),
        }
    }

    pub(super) fn plan(&self, zone: TimeZone) -> Result<Plan, FieldError> {
        let field = |message: &str| FieldError::new("scheduledAt", message);
        let given = self.scheduled_at.as_deref();
        let schedule = given
            .map(|text| Schedule::parse(text, zone.clone()))
            .transpose()
            .map_err(|why| FieldError::new("scheduledAt", why))?;
        match (self.kind, schedule) {
            (PostType::Draft, schedule) => Ok(Plan::Draft(schedule)),
            (PostType::Now, None) => Ok(Plan::Publish(Due::Now(zone))),
            (PostType::Now, Some(_)) => {
                Err(field("must be left out when the type is now; the type for a later time is schedule"))
            }
            (PostType::Schedule, Some(schedule)) => Ok(Plan::Publish(Due::At(schedule))),
            (PostType::Schedule, None) => Err(field("is required when the type is schedule")),
        }
    }
}

fn tag_ref(index: usize, text: &str) -> Result<TagRef, FieldError> {
    match text.parse::<TagId>() {
        Ok(id) => Ok(TagRef::Id(id)),
        Err(_) => TagName::parse(text)
            .map(TagRef::Name)
            .map_err(|why| FieldError::new(format!("tags[{index}]"), why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(kind: PostType, scheduled_at: Option<&str>) -> PostBody {
        PostBody {
            content: "hello".to_string(),
            media: Vec::new(),
            thread: Vec::new(),
            integrations: Vec::new(),
            kind,
            scheduled_at: scheduled_at.map(str::to_string),
            recurrence: None,
            timezone: None,
            tags: Vec::new(),
        }
    }

    #[test]
    fn the_type_and_the_time_must_fit() {
        let plan = |kind, at| body(kind, at).plan(TimeZone::default()).map_err(|error| error.field);
        let time = Some("2026-05-01T09:00:00Z");
        assert!(matches!(plan(PostType::Draft, None), Ok(Plan::Draft(None))));
        assert!(matches!(plan(PostType::Draft, time), Ok(Plan::Draft(Some(_)))));
        assert!(matches!(plan(PostType::Now, None), Ok(Plan::Publish(Due::Now(_)))));
        assert!(matches!(plan(PostType::Schedule, time), Ok(Plan::Publish(Due::At(_)))));
        for (kind, at) in
            [(PostType::Now, time), (PostType::Schedule, None), (PostType::Schedule, Some("soon"))]
        {
            assert_eq!(plan(kind, at), Err("scheduledAt".to_string()));
        }
    }

    #[test]
    fn a_tag_is_an_id_or_a_name() {
        assert!(matches!(tag_ref(0, "0198e000-0000-7000-8000-000000000042"), Ok(TagRef::Id(_))));
        assert!(matches!(tag_ref(0, "Launch"), Ok(TagRef::Name(_))));
        assert_eq!(tag_ref(3, " ").map_err(|error| error.field).err().as_deref(), Some("tags[3]"));
    }
}
