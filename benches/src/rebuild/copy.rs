//! `COPY … TO STDOUT`: as fast as the same rows leave Postgres at all.

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use sqlx::{Connection, PgConnection};

pub(super) async fn run(url: &str) -> anyhow::Result<Duration> {
    let mut connection = PgConnection::connect(url).await?;
    let began = Instant::now();
    let mut bytes = 0;
    {
        let mut rows = connection.copy_out_raw("COPY events TO STDOUT").await?;
        while let Some(row) = rows.try_next().await? {
            bytes += row.len();
        }
    }
    let took = began.elapsed();
    anyhow::ensure!(bytes > 0, "the log is empty");
    connection.close().await?;
    Ok(took)
}
