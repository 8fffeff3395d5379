//! What of an organization counts against its tier: one small aggregate per organization, so that its
//! limits hold exactly, however many nodes decide at once.
//!
//! Members and invitations are counted by the organization itself, files by its library, posts by their month.

use std::collections::BTreeSet;

use cqrs_es::{Aggregate, event_sink::EventSink};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kernel::{Allowance, ApiKeyId, IntegrationId, QuotaExceeded, named_events};

/// The channels and API keys of one organization; its id is the organization's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdings {
    channels: BTreeSet<IntegrationId>,
    api_keys: BTreeSet<ApiKeyId>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    Channel(IntegrationId),
    ApiKey(ApiKeyId),
}

impl Holdings {
    /// Changes with the fields above: a snapshot of another shape is ignored.
    pub const SNAPSHOT_FINGERPRINT: &'static str = "holdings-1";

    pub fn has(&self, held: Held) -> bool {
        match held {
            Held::Channel(id) => self.channels.contains(&id),
            Held::ApiKey(id) => self.api_keys.contains(&id),
        }
    }

    /// How many there are of its kind.
    fn beside(&self, held: Held) -> u64 {
        let count = match held {
            Held::Channel(_) => self.channels.len(),
            Held::ApiKey(_) => self.api_keys.len(),
        };
        count as u64
    }

    fn decide(&self, command: HoldingsCommand) -> Result<Option<HoldingsEvent>, QuotaExceeded> {
        Ok(match command {
            HoldingsCommand::Add { held, .. } | HoldingsCommand::Note { held } if self.has(held) => None,
            HoldingsCommand::Add { held, allowance } => {
                allowance.check(self.beside(held), 1)?;
                Some(HoldingsEvent::added(held))
            }
            HoldingsCommand::Note { held } => Some(HoldingsEvent::added(held)),
            HoldingsCommand::Remove { held } => self.has(held).then(|| HoldingsEvent::removed(held)),
        })
    }
}

#[derive(Clone, Debug)]
pub enum HoldingsCommand {
    /// One more, if the tier has room for it. Nothing happens for one that is counted already.
    Add { held: Held, allowance: Allowance },
    /// One that was there before anybody counted, whatever the tier has.
    Note { held: Held },
    /// It counts no longer.
    Remove { held: Held },
}

/// What came and went, each `identity.holdings.<tag>`. Their own streams say what they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum HoldingsEvent {
    /// A channel was connected, and counts.
    ChannelAdded { channel_id: IntegrationId },
    /// A channel was disconnected: it counts no longer.
    ChannelRemoved { channel_id: IntegrationId },
    /// An API key was made, and counts.
    ApiKeyAdded { api_key_id: ApiKeyId },
    /// An API key was revoked, or its creator left: it counts no longer.
    ApiKeyRemoved { api_key_id: ApiKeyId },
}

impl HoldingsEvent {
    fn added(held: Held) -> Self {
        match held {
            Held::Channel(channel_id) => Self::ChannelAdded { channel_id },
            Held::ApiKey(api_key_id) => Self::ApiKeyAdded { api_key_id },
        }
    }

    fn removed(held: Held) -> Self {
        match held {
            Held::Channel(channel_id) => Self::ChannelRemoved { channel_id },
            Held::ApiKey(api_key_id) => Self::ApiKeyRemoved { api_key_id },
        }
    }
}

named_events! {
    HoldingsEvent, version "1",
    ChannelAdded => "identity.holdings.channel_added",
    ChannelRemoved => "identity.holdings.channel_removed",
    ApiKeyAdded => "identity.holdings.api_key_added",
    ApiKeyRemoved => "identity.holdings.api_key_removed",
}

impl Aggregate for Holdings {
    const TYPE: &'static str = "identity.holdings";
    type Command = HoldingsCommand;
    type Event = HoldingsEvent;
    type Error = QuotaExceeded;
    type Services = ();

    async fn handle(
        &mut self,
        command: HoldingsCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), QuotaExceeded> {
        if let Some(event) = self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: HoldingsEvent) {
        match event {
            HoldingsEvent::ChannelAdded { channel_id } => {
                self.channels.insert(channel_id);
            }
            HoldingsEvent::ChannelRemoved { channel_id } => {
                self.channels.remove(&channel_id);
            }
            HoldingsEvent::ApiKeyAdded { api_key_id } => {
                self.api_keys.insert(api_key_id);
            }
            HoldingsEvent::ApiKeyRemoved { api_key_id } => {
                self.api_keys.remove(&api_key_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};
    use uuid::Uuid;

    use super::*;
    use crate::kernel::{Quota, TierName};

    fn channel(number: u128) -> IntegrationId {
        IntegrationId::new(Uuid::from_u128(number))
    }

    fn added(number: u128) -> HoldingsEvent {
        HoldingsEvent::ChannelAdded { channel_id: channel(number) }
    }

    fn add(number: u128, limit: Option<u64>) -> HoldingsCommand {
        let tier = TierName::parse("free").expect("is a name");
        let allowance = Allowance { quota: Quota::Channels, tier, limit, more_in: None };
        HoldingsCommand::Add { held: Held::Channel(channel(number)), allowance }
    }

    fn given(events: Vec<HoldingsEvent>) -> AggregateTestExecutor<Holdings> {
        TestFramework::<Holdings>::with(()).given(events)
    }

    fn full(limit: u64, used: u64) -> QuotaExceeded {
        QuotaExceeded {
            quota: Quota::Channels,
            tier: TierName::parse("free").expect("is a name"),
            limit,
            used,
            wanted: 1,
            month: None,
            more_in: None,
        }
    }

    #[test]
    fn the_last_place_is_taken_once_and_what_goes_makes_room() {
        given(vec![added(1)]).when(add(2, Some(2))).then_expect_events(vec![added(2)]);
        given(vec![added(1), added(2)]).when(add(3, Some(2))).then_expect_error(full(2, 2));
        let removed = HoldingsEvent::ChannelRemoved { channel_id: channel(1) };
        given(vec![added(1), added(2), removed]).when(add(3, Some(2))).then_expect_events(vec![added(3)]);
        given(vec![added(1), added(2)]).when(add(3, None)).then_expect_events(vec![added(3)]);
    }

    #[test]
    fn after_a_downgrade_what_is_there_stays_and_nothing_new_comes() {
        let three = || given(vec![added(1), added(2), added(3)]);
        three().when(add(4, Some(1))).then_expect_error(full(1, 3));
        three().when(add(3, Some(1))).then_expect_events(vec![]);
        let remove = HoldingsCommand::Remove { held: Held::Channel(channel(3)) };
        three()
            .when(remove)
            .then_expect_events(vec![HoldingsEvent::ChannelRemoved { channel_id: channel(3) }]);
    }

    #[test]
    fn keys_are_counted_beside_channels_and_old_ones_are_noted_without_a_limit() {
        let key = ApiKeyId::new(Uuid::from_u128(9));
        let (note, made) = (
            HoldingsCommand::Note { held: Held::ApiKey(key) },
            HoldingsEvent::ApiKeyAdded { api_key_id: key },
        );
        given(vec![added(1)]).when(note.clone()).then_expect_events(vec![made.clone()]);
        given(vec![made.clone()]).when(note).then_expect_events(vec![]);
        given(vec![made]).when(add(1, Some(1))).then_expect_events(vec![added(1)]);
        let remove = HoldingsCommand::Remove { held: Held::ApiKey(key) };
        given(vec![]).when(remove).then_expect_events(vec![]);
    }
}
