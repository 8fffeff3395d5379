use super::*;

#[test]
fn a_draft_needs_no_channel_and_no_time() {
    when(&[], create(&[], Plan::Draft(None))).then_expect_events(vec![drafted(&[])]);
}

#[test]
fn a_scheduled_post_says_when_and_where() {
    when(&[], create(&[1, 2], publish_at(10))).then_expect_events(scheduled(&[1, 2]));
}

#[test]
fn publishing_now_is_due_at_once() {
    let plan = Plan::Publish(Due::Now(TimeZone::default()));
    let due = PostEvent::Scheduled { schedule: at(0), channels: vec![channel(1)] };
    when(&[], create(&[1], plan)).then_expect_events(vec![drafted(&[1]), due]);
}

#[test]
fn a_post_without_channels_cant_be_scheduled() {
    when(&[], create(&[], publish_at(10))).then_expect_error(PostError::NoChannels);
}

#[test]
fn the_time_lies_between_a_minute_ago_and_five_years_ahead() {
    when(&[], create(&[1], publish_at(-2))).then_expect_error(PostError::ScheduledInThePast);
    assert!(when(&[], create(&[1], publish_at(-1))).inspect_result().is_ok());
    let six_years = publish_at(6 * 366 * 24 * 60);
    when(&[], create(&[1], six_years)).then_expect_error(PostError::ScheduledTooFarAhead);
}

#[test]
fn an_id_is_used_once() {
    when(&[&[drafted(&[])]], create(&[], Plan::Draft(None))).then_expect_error(PostError::AlreadyExists);
}

#[test]
fn a_draft_becomes_scheduled_and_a_draft_again() {
    let schedule = PostEvent::Scheduled { schedule: at(10), channels: vec![channel(1)] };
    when(&[&[drafted(&[1])]], revise(text("hello", &[1]), publish_at(10))).then_expect_events(vec![schedule]);
    let back = PostEvent::Unscheduled { channels: vec![channel(1)] };
    when(&[&scheduled(&[1])], revise(text("hello", &[1]), Plan::Draft(Some(at(10)))))
        .then_expect_events(vec![back.clone()]);
    assert_eq!(status(&[&scheduled(&[1]), &[back]]), PostStatus::Draft);
}

#[test]
fn a_changed_text_keeps_the_time_even_if_that_is_past_by_now() {
    let command =
        PostCommand::Revise { composition: text("better", &[1]), plan: publish_at(10), now: minutes(20) };
    when(&[&scheduled(&[1])], command)
        .then_expect_events(vec![PostEvent::Edited { composition: text("better", &[1]) }]);
}

#[test]
fn a_changed_time_or_set_of_channels_is_a_new_schedule() {
    when(&[&scheduled(&[1])], revise(text("hello", &[1]), publish_at(30))).then_expect_events(vec![
        PostEvent::Rescheduled { schedule: at(30), channels: vec![channel(1)], dropped: Vec::new() },
    ]);
    when(&[&scheduled(&[1])], revise(text("hello", &[2]), publish_at(10))).then_expect_events(vec![
        PostEvent::Edited { composition: text("hello", &[2]) },
        PostEvent::Rescheduled { schedule: at(10), channels: vec![channel(2)], dropped: vec![channel(1)] },
    ]);
}

#[test]
fn the_same_again_changes_nothing() {
    when(&[&scheduled(&[1])], revise(text("hello", &[1]), publish_at(10))).then_expect_events(Vec::new());
}

#[test]
fn what_was_attempted_cant_be_edited() {
    for (more, status) in [
        (vec![attempted(1, 1, 1)], PostStatus::Publishing),
        (vec![attempted(1, 1, 1), deferred(1, 1)], PostStatus::Publishing),
        (vec![attempted(1, 1, 1), published(1, 1)], PostStatus::Published),
        (vec![attempted(1, 1, 1), unknown(1, 1)], PostStatus::Failed),
        (vec![PostEvent::Cancelled { channels: vec![channel(1)], at: now() }], PostStatus::Cancelled),
    ] {
        when(&[&scheduled(&[1]), &more], revise(text("late", &[1]), publish_at(30)))
            .then_expect_error(PostError::NotEditable(status));
    }
}

#[test]
fn a_post_counts_in_the_month_that_it_is_due_in_until_it_is_cancelled() {
    let counts_in = |events: Vec<PostEvent>| {
        let mut post = Post::default();
        events.into_iter().for_each(|event| post.apply(event));
        post.counts_in().map(|month| month.as_str().to_string())
    };
    let may = Some("2026-05".to_string());
    let cancelled = PostEvent::Cancelled { channels: vec![channel(1)], at: now() };
    let with = |event: PostEvent| [scheduled(&[1]), vec![event]].concat();
    let later = Schedule { at: "2026-06-01T00:00:00Z".parse().unwrap(), zone: TimeZone::default() };
    let moved = PostEvent::Rescheduled { schedule: later, channels: vec![channel(1)], dropped: vec![] };
    assert_eq!(counts_in(vec![drafted(&[1])]), None);
    assert_eq!(counts_in(scheduled(&[1])), may);
    assert_eq!(counts_in(with(moved)), Some("2026-06".to_string()));
    assert_eq!(counts_in(with(PostEvent::Unscheduled { channels: vec![channel(1)] })), None);
    assert_eq!(counts_in(with(cancelled.clone())), None);
    // What went out counts, whatever becomes of the post afterwards.
    let out = vec![attempted(1, 7, 1), published(1, 7), PostEvent::Archived { at: now() }];
    assert_eq!(counts_in([scheduled(&[1]), out].concat()), may);
    let partly = vec![
        attempted(1, 7, 1),
        published(1, 7),
        PostEvent::Cancelled { channels: vec![channel(2)], at: now() },
    ];
    assert_eq!(counts_in([scheduled(&[1, 2]), partly].concat()), may);
}
