//! What organizations have of what their tier bounds: the same for members, the operator, the console and
//! the command line.

use annals_commands::tiers::{Tier, Tiers};
use annals_domain::kernel::{Month, Quota, TierName};
use annals_projections::{
    ReadError, Reader,
    identity::usage::{self, TierFilter, UsageFilter, UsageRow},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// An organization with its tier and what it has.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationUsage {
    pub id: Uuid,
    pub name: String,
    pub created_at: DateTime<Utc>,
    pub tier: HeldTier,
    pub quotas: Vec<QuotaUse>,
}

/// The tier that holds for an organization.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldTier {
    #[schema(example = "standard")]
    pub name: String,
    #[schema(example = "Standard")]
    pub title: String,
    /// Nobody set one, or the policy no longer has it.
    pub is_default: bool,
    /// When an operator set it.
    pub set_at: Option<DateTime<Utc>>,
    /// Why, for operators.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One of a tier's limits, and how much of it is used.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaUse {
    /// `channels`, `posts_per_month`, `members`, `media_bytes` or `api_keys`.
    #[schema(example = "channels")]
    pub name: &'static str,
    /// Null: without a limit.
    #[schema(example = 5)]
    pub limit: Option<u64>,
    /// May be more than the limit after a downgrade: what is there stays.
    #[schema(example = 3)]
    pub used: u64,
    /// When it begins anew, if it does.
    pub resets_at: Option<DateTime<Utc>>,
}

/// A tier, as the policy describes it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TierView {
    #[schema(example = "standard")]
    pub name: String,
    #[schema(example = "Standard")]
    pub title: String,
    /// Whether organizations have it whose tier nobody set.
    pub is_default: bool,
    pub quotas: Vec<QuotaLimit>,
    pub calls_per_minute: CallsView,
}

/// What a tier has of something.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaLimit {
    #[schema(example = "channels")]
    pub name: &'static str,
    /// Null: without a limit.
    #[schema(example = 5)]
    pub limit: Option<u64>,
}

/// How often may be called.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallsView {
    /// By each signed-in user; null in a tier: what the installation's settings say.
    #[schema(example = 300)]
    pub user: Option<u32>,
    /// With each API key; null as for users.
    #[schema(example = 60)]
    pub api_key: Option<u32>,
}

/// Which organizations are listed.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// A part of the name, or the id.
    pub search: Option<String>,
    pub tier: Option<TierName>,
    /// From 1.
    pub page: u64,
    pub per_page: u64,
}

impl OrganizationUsage {
    fn of(row: UsageRow, tiers: &Tiers, month: &Month) -> Self {
        let own = row.tier.as_deref().and_then(|name| tiers.named(name).ok());
        let tier = own.unwrap_or_else(|| tiers.default_tier());
        let used = |quota| match quota {
            Quota::Channels => row.channels,
            Quota::PostsPerMonth => row.posts,
            Quota::Members => row.members + row.invitations,
            Quota::MediaBytes => row.media_bytes,
            Quota::ApiKeys => row.api_keys,
        };
        let quotas = Quota::ALL.map(|quota| QuotaUse {
            name: quota.as_str(),
            limit: tier.quotas.get(&quota).copied(),
            used: u64::try_from(used(quota)).unwrap_or_default(),
            resets_at: (quota == Quota::PostsPerMonth).then(|| month.end()),
        });
        Self {
            id: row.organization_id,
            tier: HeldTier {
                name: tier.name.as_str().to_string(),
                title: tier.title.clone(),
                is_default: own.is_none(),
                set_at: row.tier_set_at.filter(|_| own.is_some()),
                reason: row.tier_reason.filter(|_| own.is_some()),
            },
            name: row.name,
            created_at: row.created_at,
            quotas: quotas.into(),
        }
    }
}

impl TierView {
    pub fn of(tier: &Tier, tiers: &Tiers) -> Self {
        let quotas = Quota::ALL
            .map(|quota| QuotaLimit { name: quota.as_str(), limit: tier.quotas.get(&quota).copied() });
        Self {
            name: tier.name.as_str().to_string(),
            title: tier.title.clone(),
            is_default: tier.name == tiers.default_tier().name,
            quotas: quotas.into(),
            calls_per_minute: CallsView {
                user: tier.calls.user_per_minute,
                api_key: tier.calls.api_key_per_minute,
            },
        }
    }
}

/// Every tier, the smallest first.
pub fn all(tiers: &Tiers) -> Vec<TierView> {
    tiers.all().iter().map(|tier| TierView::of(tier, tiers)).collect()
}

/// One organization with its version, if it is there; posts are those of `month`.
///
/// # Errors
/// If the database does not answer.
pub async fn one(
    reader: &Reader,
    tiers: &Tiers,
    organization: Uuid,
    month: &Month,
) -> Result<Option<(OrganizationUsage, u64)>, ReadError> {
    let row = usage::find(reader, organization, month).await?;
    Ok(row.map(|row| {
        let version = u64::try_from(row.version).unwrap_or_default();
        (OrganizationUsage::of(row, tiers, month), version)
    }))
}

/// A page of organizations by name, and how many there are; posts are those of `month`.
///
/// # Errors
/// If the database does not answer.
pub async fn list(
    reader: &Reader,
    tiers: &Tiers,
    listing: &Listing,
    month: &Month,
) -> Result<(Vec<OrganizationUsage>, u64), ReadError> {
    let tier = listing.tier.as_ref().map(|name| TierFilter {
        name: name.as_str().to_string(),
        known: tiers.all().iter().map(|tier| tier.name.as_str().to_string()).collect(),
        default: tiers.default_tier().name.as_str().to_string(),
    });
    let filter = UsageFilter { search: listing.search.clone(), tier };
    let offset = listing.page.saturating_sub(1).saturating_mul(listing.per_page);
    let (offset, limit) = (offset.min(1 << 40).cast_signed(), listing.per_page.cast_signed());
    let (rows, total) = usage::list(reader, &filter, month, offset, limit).await?;
    let views = rows.into_iter().map(|row| OrganizationUsage::of(row, tiers, month)).collect();
    Ok((views, total.unsigned_abs()))
}
