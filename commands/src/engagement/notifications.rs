//! What people do with their notifications: read them, say which they want.

use std::collections::BTreeMap;

use annals_domain::{
    engagement::{
        Inbox, InboxAction, InboxCommand, InboxId, Mark, Notification, NotificationError, NotificationKind,
        WaysChange,
    },
    kernel::NotificationId,
};

use crate::{
    bus::{CommandBus, CommandError, Context, Outcome},
    identity::tokens,
};

/// Commands on notifications.
#[derive(Clone)]
pub struct Notifications {
    bus: CommandBus,
}

impl Notifications {
    pub fn new(bus: CommandBus) -> Self {
        Self { bus }
    }

    /// Marks one notification of a person.
    ///
    /// # Errors
    /// [`NotificationError::NotFound`], also for another's, or the bus's own.
    pub async fn mark(
        &self,
        context: &Context,
        inbox: InboxId,
        notification: NotificationId,
        mark: Mark,
    ) -> Result<Outcome<()>, CommandError> {
        self.bus
            .transact(context, "MarkNotification", move |work| {
                Box::pin(async move {
                    let found = work.load::<Notification>(notification).await?;
                    if !found.is_of(inbox.organization, inbox.person) {
                        return Err(CommandError::refused(NotificationError::NotFound));
                    }
                    let action = InboxAction::Mark { notification, mark };
                    work.execute::<Inbox>(inbox, InboxCommand { inbox, action }).await
                })
            })
            .await
    }

    /// Marks all that there are, or those up to a position: what arrives meanwhile stays unread.
    ///
    /// # Errors
    /// The bus's own.
    pub async fn read_all(
        &self,
        context: &Context,
        inbox: InboxId,
        up_to: Option<u64>,
    ) -> Result<Outcome<()>, CommandError> {
        self.act(context, "ReadAllNotifications", inbox, InboxAction::ReadAll { up_to }).await
    }

    /// Changes by which ways a person is told of these kinds.
    ///
    /// # Errors
    /// The bus's own.
    pub async fn prefer(
        &self,
        context: &Context,
        inbox: InboxId,
        changes: BTreeMap<NotificationKind, WaysChange>,
    ) -> Result<Outcome<()>, CommandError> {
        self.act(context, "ChangeNotificationPreferences", inbox, InboxAction::Prefer { changes }).await
    }

    /// Switches off the mail of the kind that a mail was of, by the token of its link.
    ///
    /// # Errors
    /// [`NotificationError::NotFound`] for a token that is none of ours, or the bus's own.
    pub async fn unsubscribe(
        &self,
        context: &Context,
        token: &str,
    ) -> Result<Outcome<NotificationKind>, CommandError> {
        let not_found = || CommandError::refused(NotificationError::NotFound);
        let notification = tokens::unsubscribe_of(self.bus.store(), token).ok_or_else(not_found)?;
        let addressed = self.bus.load::<Notification>(notification).await?.state.addressed();
        let (organization, person, kind) = addressed.ok_or_else(not_found)?;
        let inbox = InboxId { organization, person };
        let context = Context { organization_id: Some(organization.uuid()), ..context.clone() };
        self.bus
            .transact(&context, "UnsubscribeFromMail", move |work| {
                Box::pin(async move {
                    let change = WaysChange { email: Some(false), ..WaysChange::default() };
                    let action = InboxAction::Prefer { changes: BTreeMap::from([(kind, change)]) };
                    work.execute::<Inbox>(inbox, InboxCommand { inbox, action }).await?;
                    Ok(kind)
                })
            })
            .await
    }

    async fn act(
        &self,
        context: &Context,
        name: &'static str,
        inbox: InboxId,
        action: InboxAction,
    ) -> Result<Outcome<()>, CommandError> {
        self.bus
            .transact(context, name, move |work| {
                let action = action.clone();
                Box::pin(async move { work.execute::<Inbox>(inbox, InboxCommand { inbox, action }).await })
            })
            .await
    }
}
