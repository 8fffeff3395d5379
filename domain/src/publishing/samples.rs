//! Every version of every event that was ever shipped has a committed sample in
//! `domain/samples/publishing`, so that an event's JSON can't change by accident.
//!
//! A new event needs a line in [`newest`]; `UPDATE_SAMPLES=1 cargo test -p annals-domain samples`
//! writes its file. A file that is there is never overwritten: a changed event is a new version.

use std::{collections::BTreeSet, path::PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::{Aggregate, DomainEvent};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    ChannelFigures, ChannelFiguresEvent, Import, ImportEvent, Integration, IntegrationEvent, MediaAsset,
    MediaAssetEvent, MediaLibrary, MediaLibraryEvent, Post, PostEvent, PostFigures, PostFiguresEvent,
    PostingMonth, PostingMonthEvent, PostingSchedule, PostingScheduleEvent, Series, SeriesEvent, TagBook,
    TagBookEvent,
    figures::{AccountCounts, Missing, MissingClass, PostCounts},
    import::{FailedRow, ImportRow, Problem, RowContent, RowPlan, WrittenRow},
    integration::{Account, Label, ServerLimits},
    media::{FileName, MediaOrigin, MediaType, StoredFile, Variant},
    post::{
        Composition, Draft, Failure, FailureClass, MediaDraft, OverdueCause, PartDraft, RetryBasis, Schedule,
        TargetDraft,
    },
    posting_schedule::{ChannelTimes, PostingTime, TimeOfDay, Timetable, WeekDay},
    series::{Occurrence, Recurrence},
    tags::{Color, TagName},
};
use crate::kernel::{
    AttemptId, IntegrationId, MediaId, Month, OrganizationId, Personal, PostId, Secret, SeriesId, TagId,
    TimeZone, UserId,
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples/publishing")
}

fn id<T: From<Uuid>>(n: u128) -> T {
    Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0000 + n).into()
}

fn integrations() -> Vec<IntegrationEvent> {
    let at = "2026-05-01T09:00:00Z".parse().unwrap();
    let owner: IntegrationId = id(1);
    let credentials = Secret::new(owner, json!({"accessJwt": "a", "refreshJwt": "r"}));
    let account = Account {
        remote_id: "did:plc:ada".to_string(),
        name: "Ada".to_string(),
        handle: Some("@ada.test".to_string()),
        url: Some("https://bsky.example/profile/ada.test".to_string()),
        picture: None,
    };
    vec![
        IntegrationEvent::Connected {
            organization_id: id::<OrganizationId>(2),
            platform: "bluesky".to_string(),
            account: account.clone(),
            credentials: credentials.clone(),
            connected_by: id::<UserId>(3),
            at,
        },
        IntegrationEvent::Reconnected {
            account,
            credentials: credentials.clone(),
            connected_by: id::<UserId>(3),
            at,
        },
        IntegrationEvent::CredentialsRefreshed { credentials, at },
        IntegrationEvent::Renamed { name: Label::parse("News").unwrap() },
        IntegrationEvent::Grouped {
            group: Some(Label::parse("Europe").unwrap()),
            customer: Some(Label::parse("Acme").unwrap()),
        },
        IntegrationEvent::Enabled {},
        IntegrationEvent::Disabled {},
        IntegrationEvent::AccessLost { reason: "the password was changed".to_string(), at },
        IntegrationEvent::Disconnected { at },
        IntegrationEvent::LimitsNoted {
            limits: ServerLimits {
                text_chars_max: Some(5_000),
                link_chars: Some(23),
                files_max: Some(4),
                alt_chars_max: Some(1_500),
                image_bytes_max: Some(16_777_216),
                video_bytes_max: Some(103_809_024),
                media_types: vec![MediaType::Png, MediaType::Mp4],
            },
            at,
        },
    ]
}

fn posts() -> Vec<PostEvent> {
    let at = "2026-05-01T09:00:00Z".parse().unwrap();
    let (channel, other) = (id::<IntegrationId>(1), id::<IntegrationId>(4));
    let attempt_id = id::<AttemptId>(5);
    let zone = TimeZone::parse("Europe/Berlin").unwrap();
    let schedule = Schedule { at, zone };
    let composition = Composition::parse(&Draft {
        content: "hello".to_string(),
        thread: vec!["and more".into()],
        targets: vec![
            TargetDraft { content: Some("hello, sky".to_string()), ..TargetDraft::from(channel) },
            other.into(),
        ],
        tags: vec![id::<TagId>(6)],
        ..Draft::default()
    })
    .unwrap();
    let failure = Failure {
        class: FailureClass::BadContent,
        reason: "the text is too long".to_string(),
        what_to_do: "shorten it".to_string(),
    };
    let channels = vec![channel, other];
    vec![
        PostEvent::Drafted {
            organization_id: id::<OrganizationId>(2),
            author_id: id::<UserId>(3),
            composition: composition.clone(),
            occurrence: None,
        },
        PostEvent::Planned { schedule: Some(schedule.clone()) },
        PostEvent::Edited { composition },
        PostEvent::Scheduled { schedule: schedule.clone(), channels: channels.clone() },
        PostEvent::Rescheduled { schedule, channels: vec![channel], dropped: vec![other] },
        PostEvent::Unscheduled { channels: channels.clone() },
        PostEvent::Cancelled { channels, at },
        PostEvent::Deleted { at },
        PostEvent::Archived { at },
        PostEvent::PublishAttempted { channel, attempt_id, attempt: 1, occurrence: 0, part: None, at },
        PostEvent::Published {
            channel,
            attempt_id,
            remote_id: "at://did:plc:ada/app.bsky.feed.post/3k".to_string(),
            url: Some("https://bsky.example/profile/ada.test/post/3k".to_string()),
            part: None,
            next_at: None,
            at,
        },
        PostEvent::PublishDeferred { channel, attempt_id, reason: "busy".to_string(), at },
        PostEvent::PublishFailed { channel, attempt_id: Some(attempt_id), failure, at },
        PostEvent::OutcomeUnknown {
            channel,
            attempt_id,
            reason: "no answer within 20 s".to_string(),
            what_to_do: "look at the channel".to_string(),
            at,
        },
        PostEvent::RetryRequested { channel, basis: RetryBasis::NotOnPlatform, at },
        PostEvent::FoundOverdue {
            channel,
            due_at: at,
            since: at,
            cause: OverdueCause::TimerLost,
            reason: "its timer was lost".to_string(),
            what_to_do: "nothing: it is published in a moment".to_string(),
            at,
        },
    ]
}

/// Posts with all that is optional in them, by what their files' names say.
fn rich_posts() -> Vec<(String, Value)> {
    let media =
        |n, alt: Option<&str>| MediaDraft { asset_id: id::<MediaId>(n), alt: alt.map(str::to_string) };
    let part = |text: &str, media| PartDraft { media, delay_seconds: 90, ..PartDraft::from(text) };
    let composition = Composition::parse(&Draft {
        content: "hello".to_string(),
        media: vec![media(7, Some("a cat on a roof")), media(8, None)],
        thread: vec!["and more".into(), part("and a picture", vec![media(9, Some("the roof"))])],
        targets: vec![TargetDraft {
            media: Some(vec![media(7, None)]),
            thread: Some(vec![part("its own", Vec::new())]),
            ..TargetDraft::from(id::<IntegrationId>(1))
        }],
        ..Draft::default()
    })
    .unwrap();
    let edited = PostEvent::Edited { composition };
    let at: DateTime<Utc> = "2026-05-01T09:00:00Z".parse().unwrap();
    let (channel, attempt_id) = (id::<IntegrationId>(1), id::<AttemptId>(5));
    let attempted =
        PostEvent::PublishAttempted { channel, attempt_id, attempt: 1, occurrence: 0, part: Some(1), at };
    let published = PostEvent::Published {
        channel,
        attempt_id,
        remote_id: "at://did:plc:ada/app.bsky.feed.post/3k".to_string(),
        url: None,
        part: Some(1),
        next_at: Some(at + TimeDelta::seconds(90)),
        at,
    };
    let drafted = PostEvent::Drafted {
        organization_id: id::<OrganizationId>(2),
        author_id: id::<UserId>(3),
        composition: Composition::parse(&Draft { content: "again".to_string(), ..Draft::default() }).unwrap(),
        occurrence: Some(Occurrence { series_id: id::<SeriesId>(10), number: 3 }),
    };
    let settings = json!({"visibility": "unlisted", "languages": ["en"]});
    let told = Composition::parse(&Draft {
        content: "hello".to_string(),
        targets: vec![TargetDraft {
            settings: settings.as_object().cloned().unwrap_or_default(),
            ..TargetDraft::from(id::<IntegrationId>(1))
        }],
        ..Draft::default()
    });
    let told = PostEvent::Edited { composition: told.unwrap() };
    [
        ("publishing.post.drafted.v1.occurrence.json", drafted),
        ("publishing.post.edited.v1.media.json", edited),
        ("publishing.post.edited.v1.settings.json", told),
        ("publishing.post.publish_attempted.v1.part.json", attempted),
        ("publishing.post.published.v1.part.json", published),
    ]
    .map(|(name, event)| (name.to_string(), serde_json::to_value(event).unwrap()))
    .into()
}

fn media() -> Vec<MediaAssetEvent> {
    let at = "2026-05-01T09:00:00Z".parse().unwrap();
    let by = id::<UserId>(3);
    let file = StoredFile {
        media_type: MediaType::Mp4,
        size_bytes: 1_234_567,
        sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_string(),
        width: None,
        height: None,
        duration_ms: None,
    };
    let poster = StoredFile {
        media_type: MediaType::Jpeg,
        size_bytes: 4_321,
        width: Some(320),
        height: Some(180),
        ..file.clone()
    };
    let post_id = id::<PostId>(7);
    vec![
        MediaAssetEvent::Uploaded {
            organization_id: id::<OrganizationId>(2),
            uploaded_by: by,
            name: Personal::new(by, FileName::parse("launch.mp4").unwrap()),
            file,
            origin: MediaOrigin::Upload,
            at,
        },
        MediaAssetEvent::Processed {
            variants: vec![Variant { name: "thumbnail".to_string(), file: poster }],
            width: Some(1920),
            height: Some(1080),
            duration_ms: Some(12_500),
            at,
        },
        MediaAssetEvent::ProcessingFailed { reason: "ffmpeg is not installed".to_string(), at },
        MediaAssetEvent::Attached { post_id, at },
        MediaAssetEvent::Detached { post_id, at },
        MediaAssetEvent::Deleted { by: Some(by), at },
    ]
}

fn libraries() -> Vec<MediaLibraryEvent> {
    let media_id = id::<MediaId>(8);
    vec![
        MediaLibraryEvent::FileAdded { media_id, size_bytes: 1_234_567 },
        MediaLibraryEvent::FileRemoved { media_id, size_bytes: 1_234_567 },
    ]
}

fn series() -> Vec<SeriesEvent> {
    let at = "2026-05-01T09:00:00Z".parse().unwrap();
    let zone = TimeZone::parse("Europe/Berlin").unwrap();
    let recurrence = Recurrence::parse("FREQ=WEEKLY;BYDAY=FR;COUNT=2", Schedule { at, zone }).unwrap();
    let posts = vec![id::<PostId>(11), id::<PostId>(12)];
    vec![
        SeriesEvent::Started {
            organization_id: id::<OrganizationId>(2),
            author_id: id::<UserId>(3),
            recurrence: recurrence.clone(),
            posts: posts.clone(),
            at,
        },
        SeriesEvent::Changed { recurrence, posts, at },
        SeriesEvent::Paused { at },
        SeriesEvent::Resumed { at },
        SeriesEvent::Ended { at },
    ]
}

fn months() -> Vec<PostingMonthEvent> {
    let (organization_id, post_id) = (id::<OrganizationId>(2), id::<PostId>(4));
    let month = Month::parse("2026-12").unwrap();
    vec![
        PostingMonthEvent::PostCounted { organization_id, month: month.clone(), post_id },
        PostingMonthEvent::PostReleased { organization_id, month, post_id },
    ]
}

fn imports() -> Vec<ImportEvent> {
    let at: DateTime<Utc> = "2026-05-01T09:00:00Z".parse().unwrap();
    let schedule = Schedule { at, zone: TimeZone::parse("Europe/Berlin").unwrap() };
    let composition = Composition::parse(&Draft {
        content: "hello".to_string(),
        targets: vec![id::<IntegrationId>(1).into()],
        ..Draft::default()
    })
    .unwrap();
    let post =
        |plan| RowContent::Post { composition: composition.clone(), tags: vec!["Launch".to_string()], plan };
    let problem = Problem { field: "content".to_string(), message: "must not be empty".to_string() };
    let unusable = RowContent::Unusable { problems: vec![problem.clone()] };
    let contents = [post(RowPlan::Draft { schedule: None }), post(RowPlan::Schedule { schedule }), unusable];
    vec![
        ImportEvent::Opened {
            organization_id: id::<OrganizationId>(2),
            author_id: id::<UserId>(3),
            rows: 3,
            at,
        },
        ImportEvent::RowsReceived {
            rows: (1..).zip(contents).map(|(number, content)| ImportRow { number, content }).collect(),
        },
        ImportEvent::Started { at },
        ImportEvent::RowsWorked {
            written: vec![
                WrittenRow { row: 1, post_id: id::<PostId>(11) },
                WrittenRow { row: 2, post_id: id::<PostId>(12) },
            ],
            failed: vec![FailedRow { row: 3, problems: vec![problem] }],
            at,
        },
        ImportEvent::Completed { at },
        ImportEvent::Cancelled { reason: Some("whoever began it is no member any more".to_string()), at },
    ]
}

fn posting_schedules() -> Vec<PostingScheduleEvent> {
    let timetable = |weekday, time| {
        let time = PostingTime { weekday, time: TimeOfDay::parse(time).unwrap() };
        Timetable::new(TimeZone::parse("Europe/Berlin").unwrap(), vec![time]).unwrap()
    };
    vec![PostingScheduleEvent::Changed {
        common: Some(timetable(WeekDay::Monday, "09:00")),
        channels: vec![ChannelTimes {
            channel: id::<IntegrationId>(1),
            timetable: timetable(WeekDay::Friday, "17:30"),
        }],
        at: "2026-05-01T09:00:00Z".parse().unwrap(),
    }]
}

fn tags() -> Vec<TagBookEvent> {
    vec![TagBookEvent::Created {
        tag_id: id::<TagId>(6),
        name: TagName::parse("Launch").unwrap(),
        color: Color::parse("#ff8800").unwrap(),
    }]
}

fn post_figures() -> Vec<PostFiguresEvent> {
    let (organization_id, post_id, channel_id) = (id(2), id(8), id(1));
    let at: DateTime<Utc> = "2026-05-01T09:15:00Z".parse().unwrap();
    let counts = PostCounts {
        impressions: Some(1_200),
        likes: Some(12),
        comments: Some(3),
        shares: Some(0),
        clicks: None,
    };
    let published_at = at - TimeDelta::minutes(15);
    vec![
        PostFiguresEvent::Observed { organization_id, post_id, channel_id, published_at, counts, at },
        PostFiguresEvent::Lost { organization_id, post_id, channel_id, at },
    ]
}

fn channel_figures() -> Vec<ChannelFiguresEvent> {
    let account = AccountCounts { followers: Some(1_200), following: Some(80), posts: None };
    let missing =
        Missing { class: MissingClass::Unavailable, reason: "the server can't be reached".to_string() };
    vec![ChannelFiguresEvent::Looked {
        organization_id: id(2),
        channel_id: id(1),
        account: Some(account),
        missing: Some(missing),
        at: "2026-05-01T09:15:00Z".parse().unwrap(),
    }]
}

/// The newest version of every event, as the file's name and its JSON.
fn newest<A: Aggregate>(events: Vec<A::Event>, types: &[&str]) -> Vec<(String, Value)> {
    let sampled: BTreeSet<String> = events.iter().map(DomainEvent::event_type).collect();
    assert_eq!(sampled, types.iter().map(ToString::to_string).collect(), "every event has one sample");
    events
        .into_iter()
        .map(|event| {
            let json = serde_json::to_value(&event).unwrap();
            let tag = json["type"].as_str().unwrap();
            assert_eq!(event.event_type(), format!("{}.{tag}", A::TYPE));
            (format!("{}.v{}.json", event.event_type(), event.event_version()), json)
        })
        .collect()
}

#[test]
fn the_newest_version_of_every_event_is_as_committed() {
    let all = [
        newest::<Import>(imports(), &ImportEvent::TYPES),
        newest::<Integration>(integrations(), IntegrationEvent::TYPES),
        newest::<MediaAsset>(media(), MediaAssetEvent::TYPES),
        newest::<MediaLibrary>(libraries(), MediaLibraryEvent::TYPES),
        newest::<Post>(posts(), &PostEvent::TYPES),
        newest::<PostFigures>(post_figures(), PostFiguresEvent::TYPES),
        newest::<ChannelFigures>(channel_figures(), ChannelFiguresEvent::TYPES),
        newest::<PostingMonth>(months(), PostingMonthEvent::TYPES),
        newest::<PostingSchedule>(posting_schedules(), &PostingScheduleEvent::TYPES),
        newest::<Series>(series(), &SeriesEvent::TYPES),
        newest::<TagBook>(tags(), &TagBookEvent::TYPES),
        rich_posts(),
    ]
    .concat();
    for (name, json) in all {
        let path = folder().join(&name);
        if std::env::var_os("UPDATE_SAMPLES").is_some() && !path.exists() {
            std::fs::write(&path, format!("{json:#}\n")).unwrap();
        }
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|_| panic!("{name} is missing: run with UPDATE_SAMPLES=1 and commit it"));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json, "{name} changed: make a new version");
    }
}

#[test]
fn every_committed_sample_decodes_and_encodes_to_the_same() {
    let mut count = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let json: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let again = match name.split('.').nth(1) {
            Some("import") => reencoded::<ImportEvent>(&json),
            Some("integration") => reencoded::<IntegrationEvent>(&json),
            Some("media_asset") => reencoded::<MediaAssetEvent>(&json),
            Some("media_library") => reencoded::<MediaLibraryEvent>(&json),
            Some("post") => reencoded::<PostEvent>(&json),
            Some("post_figures") => reencoded::<PostFiguresEvent>(&json),
            Some("channel_figures") => reencoded::<ChannelFiguresEvent>(&json),
            Some("posting_month") => reencoded::<PostingMonthEvent>(&json),
            Some("posting_schedule") => reencoded::<PostingScheduleEvent>(&json),
            Some("series") => reencoded::<SeriesEvent>(&json),
            Some("tags") => reencoded::<TagBookEvent>(&json),
            _ => panic!("{name} belongs to no aggregate"),
        };
        assert_eq!(again, json, "{name}");
        count += 1;
    }
    assert!(count >= 25, "found {count}");
}

fn reencoded<E: DomainEvent>(json: &Value) -> Value {
    let event: E = serde_json::from_value(json.clone()).unwrap();
    serde_json::to_value(event).unwrap()
}

#[test]
fn an_event_whose_secret_was_destroyed_still_decodes() {
    for (name, json) in newest::<Integration>(integrations(), IntegrationEvent::TYPES) {
        let mut erased = json.clone();
        if let Some(secret) = erased.pointer_mut("/credentials/$secret/value") {
            *secret = Value::Null;
            assert_eq!(reencoded::<IntegrationEvent>(&erased), erased, "{name}");
        }
    }
}
