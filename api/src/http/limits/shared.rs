//! A limit that all nodes share: the times of the last calls, in one row per address.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use sqlx::PgPool;
use tokio::sync::OnceCell;

use crate::http::config::Rate;

/// Not logged: after a crash of Postgres everybody may guess five times again, which costs nothing.
const SCHEMA: &str = "
    create schema if not exists http;
    create unlogged table if not exists http.recent_calls (
        key text primary key,
        calls timestamptz[] not null,
        until timestamptz not null
    );
    create index if not exists recent_calls_until on http.recent_calls (until);
";

/// Keeps at most `$2` calls within `$3` seconds: one row when the call counts, none when it does not.
const HIT: &str = "
    insert into http.recent_calls as kept (key, calls, until)
    values ($1, array[clock_timestamp()], clock_timestamp() + make_interval(secs => $3))
    on conflict (key) do update
        set calls = array(select call from unnest(kept.calls) call
                          where call > clock_timestamp() - make_interval(secs => $3)) || clock_timestamp(),
            until = clock_timestamp() + make_interval(secs => $3)
        where (select count(*) from unnest(kept.calls) call
               where call > clock_timestamp() - make_interval(secs => $3)) < $2
    returning 1";

/// Seconds until the oldest call that counts no longer does.
const WAIT: &str = "
    select extract(epoch from min(call) + make_interval(secs => $2) - clock_timestamp())::float8
    from http.recent_calls, unnest(calls) call
    where key = $1 and call > clock_timestamp() - make_interval(secs => $2)";

/// The table stays as small as the addresses of a few minutes.
const HITS_PER_SWEEP: u32 = 256;

pub(super) struct SharedWindow {
    pool: PgPool,
    rates: Vec<Rate>,
    made: OnceCell<()>,
    hits: AtomicU32,
}

impl SharedWindow {
    pub(super) fn new(pool: PgPool, rates: Vec<Rate>) -> Self {
        Self { pool, rates, made: OnceCell::new(), hits: AtomicU32::new(0) }
    }

    /// Counts a call; if it is one too many, how long to wait.
    pub(super) async fn hit(&self, class: &str, who: &str) -> Result<Option<Duration>, sqlx::Error> {
        self.made.get_or_try_init(|| self.make()).await?;
        if self.hits.fetch_add(1, Ordering::Relaxed) % HITS_PER_SWEEP == HITS_PER_SWEEP - 1 {
            self.sweep().await?;
        }
        for rate in self.rates.iter().filter(|rate| rate.requests > 0) {
            let seconds = rate.per.as_secs_f64();
            let key = format!("{class}/{seconds}/{who}");
            let counted = sqlx::query(HIT)
                .bind(&key)
                .bind(i64::from(rate.requests))
                .bind(seconds)
                .fetch_optional(&self.pool)
                .await?;
            if counted.is_none() {
                let wait: Option<f64> =
                    sqlx::query_scalar(WAIT).bind(&key).bind(seconds).fetch_one(&self.pool).await?;
                return Ok(Some(Duration::from_secs_f64(wait.unwrap_or(1.0).max(1.0))));
            }
        }
        Ok(None)
    }

    /// Two nodes may start at once: the lock makes them take turns.
    async fn make(&self) -> Result<(), sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        sqlx::query("select pg_advisory_xact_lock(hashtext('annals.http.schema'))").execute(&mut *tx).await?;
        sqlx::raw_sql(SCHEMA).execute(&mut *tx).await?;
        tx.commit().await
    }

    /// Forgets addresses that have not called lately.
    async fn sweep(&self) -> Result<(), sqlx::Error> {
        let old = sqlx::query("delete from http.recent_calls where until < clock_timestamp()");
        old.execute(&self.pool).await.map(|_| ())
    }
}
