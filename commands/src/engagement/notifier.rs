//! Decides who is told of what, and records it: `docs/decisions/0008-…` says why.

use std::{collections::BTreeSet, sync::Arc};

use annals_domain::{
    engagement::{
        About, Details, Inbox, InboxId, NewNotification, Notification, NotificationCommand, NotificationKind,
    },
    identity::{Organization, OrganizationEvent},
    kernel::{IntegrationId, MediaId, OrganizationId, PostId, Role, SeriesId, UserId},
    publishing::{
        Integration, IntegrationEvent, MediaAsset, MediaAssetEvent, Post, PostEvent, Series, SeriesEvent,
        post::{DeliveryState, OverdueCause},
    },
};
use annals_eventstore::{ActorKind, Filter, RecordedEvent};
use async_trait::async_trait;
use cqrs_es::Aggregate;
use sqlx::{Postgres, Transaction};

use crate::{
    bus::{CommandBus, CommandError, Context},
    process::{ProcessManager, ReactError},
};

/// So many people are told of one thing at most: whom it concerns first, then the owner and admins.
const RECIPIENTS_MAX: usize = 50;

/// The process manager behind notifications. Keeps nothing: each notification is an event.
pub struct Notifier {
    bus: CommandBus,
}

/// Something that people may want to know, and who.
#[derive(Clone, Debug)]
struct News {
    organization: OrganizationId,
    /// Not all of them need be members any more.
    recipients: Vec<UserId>,
    kind: NotificationKind,
    about: About,
    details: Details,
    /// What a person is told of once; the event if it is not said.
    thing: Option<String>,
}

impl Notifier {
    pub fn new(bus: CommandBus) -> Self {
        Self { bus }
    }

    async fn news(&self, event: &RecordedEvent) -> Result<Vec<News>, ReactError> {
        let id = event.stream.aggregate_id.as_str();
        // Streams of these types are named after ids; one that is not is none of ours.
        Ok(match event.stream.aggregate_type.as_ref() {
            "publishing.post" => match id.parse() {
                Ok(id) => self.of_post(id, event).await?,
                Err(_) => Vec::new(),
            },
            "publishing.integration" => match id.parse() {
                Ok(id) => self.of_channel(id, event.decode()?).await?.into_iter().collect(),
                Err(_) => Vec::new(),
            },
            "publishing.media_asset" => match id.parse() {
                Ok(id) => self.of_media(id, event.decode()?).await?.into_iter().collect(),
                Err(_) => Vec::new(),
            },
            "publishing.series" => match id.parse() {
                Ok(id) => self.of_series(id, event).await?.into_iter().collect(),
                Err(_) => Vec::new(),
            },
            "identity.organization" => match id.parse() {
                Ok(id) => self.of_organization(id, event.decode()?).await?.into_iter().collect(),
                Err(_) => Vec::new(),
            },
            _ => Vec::new(),
        })
    }

    async fn of_post(&self, id: PostId, event: &RecordedEvent) -> Result<Vec<News>, ReactError> {
        let post = self.look::<Post>(event, id).await?;
        let told = |kind, channel, details| News {
            organization: post.organization(),
            recipients: vec![post.author()],
            kind,
            about: About { post: Some(id), channel: Some(channel), ..About::default() },
            details,
            thing: None,
        };
        let words = |reason, what_to_do| Details {
            reason: Some(reason),
            what_to_do: Some(what_to_do),
            ..Details::default()
        };
        Ok(match event.decode()? {
            PostEvent::PublishFailed { channel, failure, .. } => {
                let stands =
                    post.deliveries().get(&channel).is_some_and(|delivery| !delivery.standing.is_empty());
                let kind = if stands { NotificationKind::ThreadFailed } else { NotificationKind::PostFailed };
                vec![told(kind, channel, words(failure.reason, failure.what_to_do))]
            }
            PostEvent::OutcomeUnknown { channel, reason, what_to_do, .. } => {
                vec![told(NotificationKind::OutcomeUnknown, channel, words(reason, what_to_do))]
            }
            PostEvent::FoundOverdue { channel, due_at, cause, reason, what_to_do, .. } => {
                let kind = match cause {
                    OverdueCause::LostAccess => NotificationKind::PostHeld,
                    _ => NotificationKind::PostOverdue,
                };
                let details = Details { due_at: Some(due_at), ..words(reason, what_to_do) };
                vec![told(kind, channel, details)]
            }
            PostEvent::Published { channel, url, next_at: None, .. } => {
                let details = Details { url, ..Details::default() };
                let published = told(NotificationKind::PostPublished, channel, details);
                let last = self.last_of_series(id, &post).await?;
                std::iter::once(published).chain(last).collect()
            }
            _ => Vec::new(),
        })
    }

    /// An aggregate, confirmed to be current: with the event at least.
    async fn look<A>(&self, event: &RecordedEvent, id: impl ToString) -> Result<Arc<A>, CommandError>
    where
        A: Aggregate<Services = ()> + Clone + 'static,
    {
        let id = id.to_string();
        let looked = self
            .bus
            .transact(&context(event), "LookForNews", move |work| {
                let id = id.clone();
                Box::pin(async move { work.load::<A>(id).await })
            })
            .await?;
        Ok(looked.value.unwrap_or_default())
    }

    /// The end of a series that nobody ended: its last occurrence has gone everywhere.
    async fn last_of_series(&self, id: PostId, post: &Arc<Post>) -> Result<Option<News>, CommandError> {
        let Some(occurrence) = post.occurrence() else { return Ok(None) };
        let waits = |state: &DeliveryState| {
            matches!(state, DeliveryState::Scheduled { .. } | DeliveryState::Publishing { .. })
        };
        if post.deliveries().values().any(|delivery| waits(&delivery.state)) {
            return Ok(None);
        }
        let series = self.bus.load::<Series>(occurrence.series_id).await?.state;
        let is_last = series.posts().last() == Some(&id);
        Ok(is_last.then(|| News {
            organization: post.organization(),
            recipients: vec![post.author()],
            kind: NotificationKind::SeriesEnded,
            about: About { post: Some(id), series: Some(occurrence.series_id), ..About::default() },
            details: Details {
                reason: Some("this was its last time".to_string()),
                what_to_do: Some("nothing, unless it is to go on: then change its rule".to_string()),
                ..Details::default()
            },
            // On several channels, the last two may each see that all is done.
            thing: Some(format!("{}:{id}", occurrence.series_id)),
        }))
    }

    async fn of_series(&self, id: SeriesId, event: &RecordedEvent) -> Result<Option<News>, ReactError> {
        let SeriesEvent::Ended { .. } = event.decode()? else { return Ok(None) };
        let series = self.bus.load::<Series>(id).await?.state;
        let author = series.author();
        // Who ended it knows.
        let by_author = event.metadata.actor.kind == ActorKind::User
            && event.metadata.actor.id.as_deref() == Some(author.to_string().as_str());
        Ok((!by_author).then(|| News {
            organization: series.organization(),
            recipients: vec![author],
            kind: NotificationKind::SeriesEnded,
            about: About { post: series.posts().first().copied(), series: Some(id), ..About::default() },
            details: Details { reason: Some("somebody else ended it".to_string()), ..Details::default() },
            thing: None,
        }))
    }

    async fn of_channel(
        &self,
        id: IntegrationId,
        event: IntegrationEvent,
    ) -> Result<Option<News>, CommandError> {
        let IntegrationEvent::AccessLost { reason, .. } = event else { return Ok(None) };
        let channel = self.bus.load::<Integration>(id).await?.state;
        let organization = self.bus.load::<Organization>(channel.organization()).await?.state;
        let recipients = std::iter::once(channel.connected_by()).chain(leaders(&organization));
        Ok(Some(News {
            organization: channel.organization(),
            recipients: recipients.collect(),
            kind: NotificationKind::ChannelLostAccess,
            about: About { channel: Some(id), ..About::default() },
            details: Details {
                reason: Some(reason),
                what_to_do: Some("connect the channel again; posts that wait are published then".to_string()),
                ..Details::default()
            },
            thing: None,
        }))
    }

    async fn of_media(&self, id: MediaId, event: MediaAssetEvent) -> Result<Option<News>, CommandError> {
        let MediaAssetEvent::ProcessingFailed { reason, .. } = event else { return Ok(None) };
        let asset = self.bus.load::<MediaAsset>(id).await?.state;
        Ok(asset.exists().then(|| News {
            organization: asset.organization(),
            recipients: vec![asset.uploaded_by()],
            kind: NotificationKind::MediaFailed,
            about: About { media: Some(id), ..About::default() },
            details: Details {
                reason: Some(reason),
                what_to_do: Some("upload it again, perhaps in another format".to_string()),
                ..Details::default()
            },
            thing: None,
        }))
    }

    async fn of_organization(
        &self,
        id: OrganizationId,
        event: OrganizationEvent,
    ) -> Result<Option<News>, CommandError> {
        let about = |member| About { member: Some(member), ..About::default() };
        let details = |role| Details { role: Some(role), ..Details::default() };
        let (kind, recipients, member, role) = match event {
            OrganizationEvent::InvitationAccepted { user_id, role, .. } => {
                let organization = self.bus.load::<Organization>(id).await?.state;
                let others = leaders(&organization).filter(|leader| *leader != user_id).collect();
                (NotificationKind::MemberJoined, others, user_id, role)
            }
            OrganizationEvent::MemberRoleChanged { user_id, role, changed_by } if user_id != changed_by => {
                (NotificationKind::RoleChanged, vec![user_id], user_id, role)
            }
            OrganizationEvent::OwnershipTransferred { to, .. } => {
                (NotificationKind::RoleChanged, vec![to], to, Role::Owner)
            }
            _ => return Ok(None),
        };
        Ok(Some(News {
            organization: id,
            recipients,
            kind,
            about: about(member),
            details: details(role),
            thing: None,
        }))
    }

    /// Records each notification that its recipient wants, all in one append.
    async fn tell(&self, event: &RecordedEvent, news: Vec<News>) -> Result<(), ReactError> {
        let Some(organization) = news.first().map(|news| news.organization) else { return Ok(()) };
        let context = Context { organization_id: Some(organization.uuid()), ..context(event) };
        let (caused_by, happened_at) = (event.event_id, event.recorded_at);
        let thing = format!("{caused_by}:{}", event.part);
        let news = Arc::new(news);
        self.bus
            .transact(&context, "Notify", move |work| {
                let (news, thing) = (Arc::clone(&news), thing.clone());
                Box::pin(async move {
                    for News { organization, recipients, kind, about, details, thing: own } in news.iter() {
                        let members = work.load::<Organization>(organization).await?;
                        let mut told = BTreeSet::new();
                        for recipient in recipients {
                            let is_new = told.len() < RECIPIENTS_MAX && told.insert(*recipient);
                            if !is_new || members.role_of(*recipient).is_none() {
                                continue;
                            }
                            let inbox = InboxId { organization: *organization, person: *recipient };
                            let ways = work.load::<Inbox>(inbox).await?.ways(*kind);
                            if !ways.any() {
                                continue;
                            }
                            let id = Notification::id_of(*recipient, *kind, own.as_ref().unwrap_or(&thing));
                            let new = NewNotification {
                                organization: *organization,
                                recipient: *recipient,
                                kind: *kind,
                                about: about.clone(),
                                details: details.clone(),
                                ways,
                                caused_by,
                                happened_at,
                            };
                            let raise = NotificationCommand::Raise(Box::new(new));
                            work.execute::<Notification>(id, raise).await?;
                        }
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }
}

/// Without a key: a notification is raised once by itself, and what nobody wants to hear leaves no trace.
fn context(event: &RecordedEvent) -> Context {
    Context { idempotency: None, ..Context::process(Notifier::NAME, event, "notify") }
}

/// The owner first, then the admins.
fn leaders(organization: &Organization) -> impl Iterator<Item = UserId> {
    let with = |role| organization.members.iter().filter(move |(_, is)| **is == role).map(|(id, _)| *id);
    with(Role::Owner).chain(with(Role::Admin))
}

#[async_trait]
impl ProcessManager for Notifier {
    // It starts at the head: nobody is told of history when it is new, or after a restore.
    const NAME: &'static str = "engagement.notifier";

    fn filter(&self) -> Filter {
        let event_types = [
            "identity.organization.invitation_accepted",
            "identity.organization.member_role_changed",
            "identity.organization.ownership_transferred",
            "publishing.integration.access_lost",
            "publishing.media_asset.processing_failed",
            "publishing.post.found_overdue",
            "publishing.post.outcome_unknown",
            "publishing.post.publish_failed",
            "publishing.post.published",
            "publishing.series.ended",
        ];
        Filter { event_types: event_types.map(str::to_string).into(), ..Filter::default() }
    }

    async fn react(
        &self,
        event: &RecordedEvent,
        _: &mut Transaction<'static, Postgres>,
    ) -> Result<(), ReactError> {
        let news = self.news(event).await?;
        self.tell(event, news).await
    }
}
