use uuid::Uuid;

use super::*;
use crate::publishing::{
    InvalidField,
    post::part::{DELAY_MAX, MEDIA_MAX},
};

fn channel(n: u128) -> IntegrationId {
    IntegrationId::new(Uuid::from_u128(n))
}

fn media(n: u128, alt: Option<&str>) -> MediaDraft {
    MediaDraft { asset_id: MediaId::new(Uuid::from_u128(n)), alt: alt.map(str::to_string) }
}

fn names(draft: &Draft) -> Vec<String> {
    let Invalid(fields) = Composition::parse(draft).unwrap_err();
    fields.into_iter().map(|invalid| invalid.field).collect()
}

fn texts(parts: Option<Vec<Part>>) -> Vec<String> {
    parts.unwrap_or_default().iter().map(|part| part.text.as_str().to_string()).collect()
}

#[test]
fn everything_wrong_is_said_at_once_by_name() {
    let own = TargetDraft { content: Some("\u{7}".to_string()), ..TargetDraft::from(channel(1)) };
    let draft = Draft {
        content: " ".to_string(),
        thread: vec!["fine".into(), "".into()],
        targets: vec![channel(1).into(), own],
        ..Draft::default()
    };
    let Invalid(first) = Composition::parse(&draft).unwrap_err();
    assert_eq!(first, [InvalidField::new("content", "must not be empty")]);
    let draft = Draft { content: "fine".to_string(), ..draft };
    assert_eq!(names(&draft), ["thread[1]", "integrations[1].id", "integrations[1].content"]);
}

#[test]
fn media_are_checked_in_every_place_they_stand() {
    let too_many = (0..=MEDIA_MAX as u128).map(|n| media(n, None)).collect::<Vec<_>>();
    let late = DELAY_MAX.as_secs() + 1;
    let part = PartDraft { media: too_many.clone(), delay_seconds: late, ..PartDraft::from("more") };
    let target = TargetDraft {
        media: Some(vec![media(1, Some(" "))]),
        thread: Some(vec![PartDraft { media: vec![media(1, None); 2], ..PartDraft::from("own") }]),
        ..TargetDraft::from(channel(1))
    };
    let draft = Draft {
        content: "fine".to_string(),
        media: vec![media(1, Some(&"é".repeat(2_001)))],
        thread: vec![part],
        targets: vec![target],
        tags: Vec::new(),
    };
    let expected = [
        "media[0].alt",
        "thread[0].delaySeconds",
        "thread[0].media",
        "integrations[0].media[0].alt",
        "integrations[0].thread[0].media[1].id",
    ];
    assert_eq!(names(&draft), expected);
}

#[test]
fn the_bounds_hold_to_the_character() {
    let text = "é".repeat(PostText::MAX_CHARS);
    assert!(PostText::parse(&text).is_ok());
    assert!(PostText::parse(&format!("{text}x")).is_err());
    let many = |parts: usize| Draft {
        content: "x".to_string(),
        thread: vec!["y".into(); parts],
        ..Draft::default()
    };
    assert!(Composition::parse(&many(THREAD_PARTS_MAX)).is_ok());
    let invalid = Composition::parse(&many(THREAD_PARTS_MAX + 1)).unwrap_err();
    assert_eq!(invalid, Invalid::field("thread", "must have at most 25 entries"));
}

#[test]
fn what_a_channel_has_of_its_own_takes_the_place_of_the_common() {
    let [own_text, plain, own_all] = [1, 2, 3].map(channel);
    let composition = Composition::parse(&Draft {
        content: "hello".to_string(),
        media: vec![media(1, Some("a cat"))],
        thread: vec!["more".into()],
        targets: vec![
            TargetDraft { content: Some("hi".to_string()), ..TargetDraft::from(own_text) },
            plain.into(),
            TargetDraft {
                media: Some(Vec::new()),
                thread: Some(vec![PartDraft { delay_seconds: 60, ..PartDraft::from("other") }]),
                ..TargetDraft::from(own_all)
            },
        ],
        tags: Vec::new(),
    })
    .unwrap();
    assert_eq!(texts(composition.parts_for(own_text)), ["hi", "more"]);
    assert_eq!(texts(composition.parts_for(plain)), ["hello", "more"]);
    assert_eq!(composition.parts_for(plain).unwrap()[0].media.len(), 1);
    let own = composition.parts_for(own_all).unwrap();
    assert_eq!((own[0].media.len(), own[1].delay_seconds), (0, 60));
    assert_eq!(texts(Some(own)), ["hello", "other"]);
    assert_eq!(composition.parts_for(IntegrationId::default()), None);
}

#[test]
fn what_events_say_is_what_was_meant() {
    let composition = Composition::parse(&Draft {
        content: "hello".to_string(),
        media: vec![media(1, Some("a cat"))],
        thread: vec!["plain".into(), PartDraft { media: vec![media(2, None)], ..PartDraft::from("two") }],
        ..Draft::default()
    })
    .unwrap();
    let json = serde_json::to_value(&composition).unwrap();
    assert_eq!(json["thread"], serde_json::json!(["plain", "two"]), "as version 1 had it");
    assert_eq!(serde_json::from_value::<Composition>(json).unwrap(), composition);
    assert_eq!(composition.assets().len(), 2);
}
