//! Who is told of what, by their wishes, once.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod platform;
mod support;

use std::collections::BTreeMap;

use annals_commands::{
    Running,
    engagement::{Notifications, Notifier},
    ports::social::{FailureClass, IdempotencyKind},
    process::{ProcessManagers, checkpoints},
    publishing::posts::Member,
};
use annals_domain::{
    engagement::{
        InboxId, Mark, Notification, NotificationEvent, NotificationKind as Kind, Ways, WaysChange,
    },
    identity::{Organization, OrganizationCommand, OrganizationName, OrganizationSettings},
    kernel::{Allowance, EmailAddress, InvitationId, NotificationId, Quota, Role, TierName, UserId},
    publishing::{
        Integration, IntegrationCommand, Post, PostCommand,
        post::{Overdue, OverdueCause},
    },
};
use annals_eventstore::{HistoryQuery, Opening};
use chrono::TimeDelta;
use platform::{Desk, Next};
use support::{code, context, eventually};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// An organization with its owner, who writes, and somebody who is told of what happens in it.
struct House {
    desk: Desk,
    stop: CancellationToken,
    managers: Option<Running>,
}

/// A notification, in short.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    id: NotificationId,
    to: UserId,
    kind: Kind,
    ways: Ways,
    reason: Option<String>,
}

impl House {
    async fn new() -> Self {
        let desk = Desk::new(IdempotencyKind::ByHandle).await;
        let Member { organization, user, .. } = desk.member;
        let settings = OrganizationSettings::named(OrganizationName::parse("Engines").unwrap());
        let create = OrganizationCommand::Create { organization_id: organization, settings, owner: user };
        desk.bus.execute::<Organization>(&context(), "Create", organization, create).await.unwrap();
        let mut house = Self { desk, stop: CancellationToken::new(), managers: None };
        house.follow().await;
        house
    }

    async fn follow(&mut self) {
        self.stop = CancellationToken::new();
        let managers = ProcessManagers::new(self.desk.bus.clone()).with(Notifier::new(self.desk.bus.clone()));
        self.managers = Some(managers.start(self.stop.clone()).await.unwrap());
    }

    async fn rest(&mut self) {
        self.caught_up().await;
        self.stop.cancel();
        self.managers.take().unwrap().stopped().await;
    }

    async fn caught_up(&self) {
        let pool = &self.desk.database.pool;
        eventually("the notifier is at the head", || async {
            checkpoints(pool).await.unwrap().iter().all(|one| one.position == one.head)
        })
        .await;
    }

    async fn member(&self, role: Role) -> UserId {
        let (id, user_id) = (InvitationId::new(Uuid::now_v7()), UserId::new(Uuid::now_v7()));
        let email = EmailAddress::parse(&format!("{user_id}@example.org")).unwrap();
        let now = self.desk.bus.now();
        let token_digest = "digest".to_string();
        for command in [
            OrganizationCommand::Invite {
                by: self.desk.member.user,
                invitation_id: id,
                email: email.clone(),
                known_user: None,
                role,
                token_digest: token_digest.clone(),
                allowance: seats(),
                now,
            },
            OrganizationCommand::AcceptInvitation { invitation_id: id, token_digest, user_id, email, now },
        ] {
            self.organize(command).await;
        }
        user_id
    }

    async fn organize(&self, command: OrganizationCommand) {
        let organization = self.desk.member.organization;
        self.desk.bus.execute::<Organization>(&context(), "Organize", organization, command).await.unwrap();
    }

    fn inbox(&self, person: UserId) -> InboxId {
        InboxId { organization: self.desk.member.organization, person }
    }

    fn notifications(&self) -> Notifications {
        Notifications::new(self.desk.bus.clone())
    }

    async fn wants(&self, person: UserId, kind: Kind, in_app: bool, email: bool) {
        let change = WaysChange { in_app: Some(in_app), email: Some(email) };
        let changes = BTreeMap::from([(kind, change)]);
        self.notifications().prefer(&context(), self.inbox(person), changes).await.unwrap();
    }

    /// Everything that people were told, oldest first.
    async fn told(&self) -> Vec<Told> {
        self.caught_up().await;
        let store = self.desk.bus.store();
        let query = HistoryQuery {
            to: store.head().await.unwrap(),
            event_type: Some("engagement.notification.raised".to_string()),
            ..HistoryQuery::default()
        };
        let page = store.history(&query, 1_000, std::time::Duration::from_secs(10)).await.unwrap();
        let events = store.open_events(&page.events, Opening::Nothing).await.unwrap();
        let told = |event: &annals_eventstore::RecordedEvent| {
            let NotificationEvent::Raised { recipient, kind, ways, details, .. } = event.decode().unwrap();
            let id = event.stream.aggregate_id.parse().unwrap();
            Told { id, to: recipient, kind, ways, reason: details.reason }
        };
        events.iter().map(told).collect()
    }

    async fn whom(&self, kind: Kind) -> Vec<UserId> {
        self.told().await.into_iter().filter(|told| told.kind == kind).map(|told| told.to).collect()
    }
}

#[tokio::test]
async fn who_wrote_a_post_is_told_that_it_failed_and_once() {
    let mut house = House::new().await;
    house.member(Role::User).await;
    let (post, channel) = house.desk.due().await;
    house.desk.platform.next([Next::Fail(FailureClass::BadContent)]);
    house.desk.fire(post, channel, 1).await;
    let told: Vec<Told> =
        house.told().await.into_iter().filter(|told| told.kind == Kind::PostFailed).collect();
    let [told] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((told.to, told.ways), (house.desk.member.user, Ways { in_app: true, email: true }));
    assert_eq!(told.reason.as_deref(), Some("as told: BadContent"));

    // It reads all of it again, as after a crash before its checkpoint was written.
    let before = house.told().await;
    house.rest().await;
    sqlx::query("UPDATE process.checkpoints SET position = 0")
        .execute(&house.desk.database.pool)
        .await
        .unwrap();
    house.follow().await;
    assert_eq!(house.told().await, before);
}

#[tokio::test]
async fn nobody_is_told_what_they_do_not_want_to_hear() {
    let house = House::new().await;
    let author = house.desk.member.user;
    house.wants(author, Kind::PostFailed, false, false).await;
    let (post, channel) = house.desk.due().await;
    house.desk.platform.next([Next::Fail(FailureClass::BadContent)]);
    house.desk.fire(post, channel, 1).await;
    assert_eq!(house.told().await, Vec::new());

    house.wants(author, Kind::PostFailed, false, true).await;
    let post = house.desk.schedule(&[channel]).await;
    house.desk.clock.advance(TimeDelta::minutes(10));
    house.desk.platform.next([Next::Fail(FailureClass::BadContent)]);
    house.desk.fire(post, channel, 1).await;
    let told = house.told().await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].ways, Ways { in_app: false, email: true });
}

#[tokio::test]
async fn that_all_went_well_is_told_to_who_asked_for_it() {
    let house = House::new().await;
    let (post, channel) = house.desk.due().await;
    house.desk.fire(post, channel, 1).await;
    assert_eq!(house.told().await, Vec::new(), "what goes as planned is no news");
    house.wants(house.desk.member.user, Kind::PostPublished, true, false).await;
    let post = house.desk.schedule(&[channel]).await;
    house.desk.clock.advance(TimeDelta::minutes(10));
    house.desk.fire(post, channel, 1).await;
    assert_eq!(house.whom(Kind::PostPublished).await, [house.desk.member.user]);
}

#[tokio::test]
async fn a_channel_that_lost_access_concerns_who_connected_it_and_the_admins() {
    let house = House::new().await;
    let (admin, writer, connected) =
        (house.member(Role::Admin).await, house.member(Role::User).await, house.member(Role::User).await);
    let mut new = house.desk.new_channel();
    new.by = connected;
    let channel = house.desk.channels.connect(&context(), new).await.unwrap().value.unwrap();
    let now = house.desk.bus.now();
    let lose = IntegrationCommand::LoseAccess { reason: "the password was changed".to_string(), now };
    house.desk.bus.execute::<Integration>(&context(), "LoseAccess", channel, lose).await.unwrap();
    let told = house.whom(Kind::ChannelLostAccess).await;
    assert_eq!(told, [connected, house.desk.member.user, admin]);
    assert!(!told.contains(&writer));

    // Who connected it and has left since is not told.
    let channel_again = house.desk.connect().await;
    assert_eq!(channel_again, channel);
    let mut new = house.desk.new_channel();
    new.by = connected;
    house
        .organize(OrganizationCommand::RemoveMember { by: house.desk.member.user, user_id: connected })
        .await;
    let now = house.desk.bus.now();
    let lose = IntegrationCommand::LoseAccess { reason: "again".to_string(), now };
    house.desk.bus.execute::<Integration>(&context(), "LoseAccess", channel, lose).await.unwrap();
    let told = house.whom(Kind::ChannelLostAccess).await;
    assert_eq!(told[3..], [house.desk.member.user, admin]);
}

#[tokio::test]
async fn an_overdue_post_is_told_as_such_and_a_held_one_as_held() {
    let house = House::new().await;
    let (post, channel) = house.desk.due().await;
    house.desk.clock.advance(TimeDelta::minutes(10));
    for (cause, kind, late) in
        [(OverdueCause::NotTakenUp, Kind::PostOverdue, 10), (OverdueCause::LostAccess, Kind::PostHeld, 10)]
    {
        let overdue = Overdue { cause, reason: "it waits".to_string(), what_to_do: "connect it".to_string() };
        let late_by = TimeDelta::minutes(late);
        let at = house.desk.bus.now();
        let command = PostCommand::FindOverdue { channel, late_by, overdue, at };
        house.desk.bus.execute::<Post>(&context(), "FindOverdue", post, command).await.unwrap();
        assert_eq!(house.whom(kind).await, [house.desk.member.user], "{cause:?}");
        let moved = house.desk.request("hello", &[channel], 5);
        house.desk.posts.revise(&context(), house.desk.member, post, moved).await.unwrap();
        house.desk.clock.advance(TimeDelta::minutes(15));
    }
}

#[tokio::test]
async fn people_who_join_and_roles_that_change_are_told() {
    let house = House::new().await;
    let owner = house.desk.member.user;
    let admin = house.member(Role::Admin).await;
    assert_eq!(house.whom(Kind::MemberJoined).await, [owner], "who joins knows it");
    let writer = house.member(Role::User).await;
    assert_eq!(house.whom(Kind::MemberJoined).await, [owner, owner, admin]);
    house.organize(OrganizationCommand::ChangeRole { by: owner, user_id: writer, role: Role::Viewer }).await;
    assert_eq!(house.whom(Kind::RoleChanged).await, [writer]);
    house.organize(OrganizationCommand::TransferOwnership { by: owner, to: admin }).await;
    assert_eq!(house.whom(Kind::RoleChanged).await, [writer, admin]);
}

#[tokio::test]
async fn a_person_marks_their_own_and_nobody_elses() {
    let house = House::new().await;
    let owner = house.desk.member.user;
    let other = house.member(Role::Admin).await;
    let told = house.told().await.remove(0);
    assert_eq!(told.to, owner);
    let notifications = house.notifications();
    let own = house.inbox(owner);
    notifications.mark(&context(), own, told.id, Mark::Read).await.unwrap();
    let position = house.desk.bus.store().head().await.unwrap();
    notifications.mark(&context(), own, told.id, Mark::Read).await.unwrap();
    assert_eq!(house.desk.bus.store().head().await.unwrap(), position, "it is read already");
    for inbox in [house.inbox(other), InboxId { organization: Uuid::now_v7().into(), ..own }] {
        let refused = notifications.mark(&context(), inbox, told.id, Mark::Read).await.unwrap_err();
        assert_eq!(code(&refused), "NOT_FOUND");
    }
    let made_up = NotificationId::new(Uuid::now_v7());
    let refused = notifications.mark(&context(), own, made_up, Mark::Read).await.unwrap_err();
    assert_eq!(code(&refused), "NOT_FOUND");
    assert!(house.desk.bus.load::<Notification>(told.id).await.unwrap().state.is_of(own.organization, owner));
}

#[tokio::test]
async fn a_token_that_is_none_of_ours_switches_nothing_off() {
    let house = House::new().await;
    for token in ["", "un_", "un_x", "ev_abc", "un_AAAA"] {
        let refused = house.notifications().unsubscribe(&context(), token).await.unwrap_err();
        assert_eq!(code(&refused), "NOT_FOUND", "{token}");
    }
}

/// Without a limit.
fn seats() -> Allowance {
    Allowance {
        quota: Quota::Members,
        tier: TierName::parse("ultimate").unwrap(),
        limit: None,
        more_in: None,
    }
}
