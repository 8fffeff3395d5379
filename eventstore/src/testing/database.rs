//! A database per test, cloned from a migrated template.

use std::{str::FromStr, time::Duration};

use sha2::{Digest, Sha256};
use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use crate::store::MIGRATOR;

const VARIABLE: &str = "ANNALS_TEST_DATABASE_URL";
/// Names the lock under which the template is made; any number will do.
const TEMPLATE_LOCK: i64 = 0x616e_6e61_6c73;

/// A database of one test; dropped with it.
pub struct TestDatabase {
    pub pool: PgPool,
    pub url: String,
    server: PgConnectOptions,
    name: String,
}

/// A fresh database with the log's tables, on the server of `ANNALS_TEST_DATABASE_URL`.
///
/// # Panics
/// If there is no such server.
pub async fn database() -> TestDatabase {
    let url = std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!(
            "{VARIABLE} is not set: run scripts/test, or start a Postgres and give its address, \
             such as postgres://postgres@127.0.0.1:5432/postgres"
        )
    });
    database_on(&url).await
}

/// The same, on a server that the test names.
///
/// # Panics
/// If the server does not answer.
pub async fn database_on(url: &str) -> TestDatabase {
    let server = PgConnectOptions::from_str(url).expect("the test server's address is a postgres:// URL");
    let mut admin = PgConnection::connect_with(&server)
        .await
        .unwrap_or_else(|error| panic!("the test server at {VARIABLE} does not answer: {error}"));
    let template = template(&mut admin, &server).await;
    let name = format!("annals_test_{}", Uuid::now_v7().simple());
    run(&mut admin, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
    admin.close().await.expect("an idle connection closes");
    let options = server.clone().database(&name);
    let url = options.to_url_lossy().to_string();
    let pool = PgPoolOptions::new()
        .max_connections(10)
        .acquire_timeout(Duration::from_secs(20))
        .connect_with(options)
        .await
        .expect("the database that was just made takes connections");
    TestDatabase { pool, url, server, name }
}

/// The template of these migrations, made by the first who asks.
async fn template(admin: &mut PgConnection, server: &PgConnectOptions) -> String {
    let mut digest = Sha256::new();
    MIGRATOR.iter().for_each(|migration| digest.update(&migration.checksum));
    let name = format!("annals_template_{}", &hex::encode(digest.finalize())[..12]);
    run(admin, &format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})")).await;
    let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(&name)
        .fetch_one(&mut *admin)
        .await
        .expect("the list of databases can be read");
    if !there {
        // Under another name until it is whole: a test that is killed leaves no half of one.
        let building = format!("{name}_building");
        run(admin, &format!("DROP DATABASE IF EXISTS {building} WITH (FORCE)")).await;
        run(admin, &format!("CREATE DATABASE {building}")).await;
        // A bare connection: a pool's may outlive the closing of the pool, and the renaming waits for it.
        let mut connection = PgConnection::connect_with(&server.clone().database(&building))
            .await
            .expect("the template takes connections");
        MIGRATOR.run(&mut connection).await.expect("the migrations run on an empty database");
        connection.close().await.expect("an idle connection closes");
        run(admin, &format!("ALTER DATABASE {building} RENAME TO {name}")).await;
    }
    run(admin, &format!("SELECT pg_advisory_unlock({TEMPLATE_LOCK})")).await;
    name
}

async fn run(connection: &mut PgConnection, sql: &str) {
    // The backend of a connection that was just closed may need a moment to leave.
    let mut tries = 0;
    while let Err(error) = connection.execute(sql).await {
        let busy = error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("55006"));
        tries += 1;
        assert!(busy && tries < 100, "`{sql}` failed: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), std::mem::take(&mut self.name));
        // Dropping can't wait within the test's own runtime; a thread with another one can.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut admin = server.connect().await?;
                admin.execute(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)").as_str()).await?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            })
        });
        // A database that can't be dropped (its server was killed by the test) goes with its server.
        drop(dropping.join());
    }
}
