use annals_domain::kernel::Month;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::{ReadError, Reader, publishing::posts::like_literal};

/// An organization with what it has; posts are those of one month.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct UsageRow {
    pub organization_id: Uuid,
    pub name: String,
    /// As the last event of it says, whether or not the policy still has it; null: nobody set one.
    pub tier: Option<String>,
    pub tier_set_at: Option<DateTime<Utc>>,
    pub tier_reason: Option<String>,
    pub members: i64,
    pub invitations: i64,
    pub channels: i64,
    pub api_keys: i64,
    pub media_files: i64,
    pub media_bytes: i64,
    pub posts: i64,
    pub created_at: DateTime<Utc>,
    pub version: i64,
}

/// Which organizations are listed.
#[derive(Clone, Debug, Default)]
pub struct UsageFilter {
    /// A part of the name, or the id.
    pub search: Option<String>,
    pub tier: Option<TierFilter>,
}

/// The organizations of a tier. Whose tier nobody set, or the policy has lost, is of the default one.
#[derive(Clone, Debug)]
pub struct TierFilter {
    pub name: String,
    pub known: Vec<String>,
    pub default: String,
}

const COLUMNS: &str = "u.organization_id, u.name, u.tier, u.tier_set_at, u.tier_reason, u.members, u.invitations, \
                       u.channels, u.api_keys, u.media_files, u.media_bytes, u.created_at, u.version, \
                       greatest(coalesce(m.posts, 0), 0) as posts";

/// One organization that is not closed.
///
/// # Errors
/// If the database does not answer.
pub async fn find(reader: &Reader, organization: Uuid, month: &Month) -> Result<Option<UsageRow>, ReadError> {
    let query = format!(
        "select {COLUMNS} from read.usage_v1 u \
         left join read.usage_months_v1 m on m.organization_id = u.organization_id and m.month = $2 \
         where u.organization_id = $1 and u.closed_at is null"
    );
    let row = sqlx::query_as(&query).bind(organization).bind(month.as_str());
    Ok(row.fetch_optional(reader.pool()).await?)
}

/// One page of the organizations that are not closed, by name, and how many there are.
///
/// # Errors
/// If the database does not answer.
pub async fn list(
    reader: &Reader,
    filter: &UsageFilter,
    month: &Month,
    offset: i64,
    limit: i64,
) -> Result<(Vec<UsageRow>, i64), ReadError> {
    let mut page = QueryBuilder::new(format!(
        "select {COLUMNS} from read.usage_v1 u \
         left join read.usage_months_v1 m on m.organization_id = u.organization_id and m.month = "
    ));
    page.push_bind(month.as_str().to_string());
    conditions(&mut page, filter);
    page.push(" order by lower(u.name), u.organization_id offset ").push_bind(offset);
    page.push(" limit ").push_bind(limit);
    let rows = page.build_query_as().fetch_all(reader.pool()).await?;
    let mut count = QueryBuilder::new("select count(*) from read.usage_v1 u");
    conditions(&mut count, filter);
    let total = count.build_query_scalar().fetch_one(reader.pool()).await?;
    Ok((rows, total))
}

fn conditions(query: &mut QueryBuilder<'_, Postgres>, filter: &UsageFilter) {
    query.push(" where u.closed_at is null");
    if let Some(search) = &filter.search {
        query.push(" and (u.name ilike ").push_bind(format!("%{}%", like_literal(search)));
        query.push(" or u.organization_id::text = lower(").push_bind(search.clone()).push("))");
    }
    if let Some(TierFilter { name, known, default }) = &filter.tier {
        query.push(" and case when u.tier = any(").push_bind(known.clone());
        query.push(") then u.tier else ").push_bind(default.clone());
        query.push(" end = ").push_bind(name.clone());
    }
}
