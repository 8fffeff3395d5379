//! When an organization likes to post.

use std::collections::BTreeMap;

use annals_domain::{
    kernel::{IntegrationId, OrganizationId},
    publishing::{
        Invalid, InvalidField, PostingSchedule, PostingScheduleCommand, posting_schedule::Timetable,
    },
};

use super::channels::channel_of;
use crate::bus::{CommandBus, CommandError, Context, Outcome};

/// Commands on posting times.
#[derive(Clone)]
pub struct PostingTimes {
    bus: CommandBus,
}

/// The posting times as they shall be.
#[derive(Clone, Debug)]
pub struct PostingTimesRequest {
    /// None: the product's own.
    pub common: Option<Timetable>,
    /// In the order in which they were given, each channel once.
    pub channels: Vec<(IntegrationId, Timetable)>,
}

impl PostingTimes {
    pub fn new(bus: CommandBus) -> Self {
        Self { bus }
    }

    /// # Errors
    /// [`Invalid`] with every field at fault, or the bus's own.
    pub async fn change(
        &self,
        context: &Context,
        organization: OrganizationId,
        request: PostingTimesRequest,
    ) -> Result<Outcome<()>, CommandError> {
        self.bus
            .transact(context, "ChangePostingTimes", move |work| {
                let request = request.clone();
                Box::pin(async move {
                    let mut problems = Vec::new();
                    for (index, (channel, _)) in request.channels.iter().enumerate() {
                        match channel_of(work, organization, *channel).await {
                            Ok(_) => {}
                            Err(CommandError::Refused(_)) => problems.push(InvalidField::new(
                                format!("channels[{index}].id"),
                                "is no channel of this organization",
                            )),
                            Err(error) => return Err(error),
                        }
                    }
                    if !problems.is_empty() {
                        return Err(CommandError::refused(Invalid(problems)));
                    }
                    let PostingTimesRequest { common, channels } = request;
                    let channels: BTreeMap<_, _> = channels.into_iter().collect();
                    let command = PostingScheduleCommand::Change { common, channels, now: work.now() };
                    work.execute::<PostingSchedule>(organization, command).await
                })
            })
            .await
    }
}
