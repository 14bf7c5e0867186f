//! The server under test, and fresh stores on it: each in a database of its own, copied from a migrated one.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::OnceCell;
use tokio_postgres::{Client, Config, NoTls};
use tributary_engine::ports::Clock;
use tributary_engine::postgres::{PostgresOptions, PostgresStore, migrate};

/// Names the server: the URL of a role that may make databases.
pub const VARIABLE: &str = "TRIBUTARY_TEST_POSTGRES";

/// A client of the server's own database, or of another one.
pub async fn client(url: &str) -> Client {
    let (client, connection) = url
        .parse::<Config>()
        .expect("the server under test answers")
        .connect(NoTls)
        .await
        .expect("the server under test answers");
    tokio::spawn(connection);
    client
}

/// The server under test and the databases made on it, which go when this does.
pub struct Server {
    url: String,
    made: RefCell<Vec<String>>,
}

/// The migrated database that others are copied from, one a process.
static TEMPLATE: OnceCell<String> = OnceCell::const_new();
static NUMBER: AtomicU64 = AtomicU64::new(0);

impl Server {
    /// The server, or a line that says why there is no test.
    pub fn named() -> Option<Self> {
        match std::env::var(VARIABLE) {
            Ok(url) => Some(Self { url, made: RefCell::default() }),
            Err(_) => {
                eprintln!("skipped: {VARIABLE} is not set");
                None
            }
        }
    }

    /// The URL of a database on the server.
    pub fn url(&self, database: &str) -> String {
        let (server, _) = self.url.rsplit_once('/').expect("the URL names a database");
        format!("{server}/{database}")
    }

    pub async fn admin(&self) -> Client {
        client(&self.url).await
    }

    async fn create(&self, template: &str) -> String {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tributary_test_{}_{number}", std::process::id());
        let admin = self.admin().await;
        admin
            .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template}"))
            .await
            .expect("the server under test answers");
        name
    }

    /// A database without a schema.
    pub async fn empty(&self) -> String {
        let name = self.create("template0").await;
        self.made.borrow_mut().push(name.clone());
        name
    }

    /// A database with the schema.
    pub async fn migrated(&self) -> String {
        let template = TEMPLATE.get_or_init(async || {
            let name = self.create("template0").await;
            migrate(&self.url(&name), Clock::System).await.expect("the server under test answers");
            name
        });
        let name = self.create(template.await).await;
        self.made.borrow_mut().push(name.clone());
        name
    }

    /// A store on a database.
    pub async fn open(&self, database: &str) -> Arc<PostgresStore> {
        self.open_with(database, Clock::System).await
    }

    pub async fn open_with(&self, database: &str, clock: Clock) -> Arc<PostgresStore> {
        let options = PostgresOptions { url: self.url(database), pool_size: 8 };
        PostgresStore::connect(options, clock).await.expect("the server under test answers")
    }

    /// A store on a database of its own.
    pub async fn fresh(&self) -> Arc<PostgresStore> {
        let database = self.migrated().await;
        self.open(&database).await
    }

    /// Drops the databases that were made. The template stays until the next run drops it: tests of one process share
    /// it, and none knows which is the last.
    pub async fn clear(self) {
        let admin = self.admin().await;
        for name in self.made.into_inner() {
            admin
                .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
                .await
                .expect("the server under test answers");
        }
        drop_left_over(&admin).await;
    }
}

/// Drops databases of test processes that have ended without doing so.
async fn drop_left_over(admin: &Client) {
    let names = admin
        .query("SELECT datname FROM pg_database WHERE datname LIKE 'tributary_test_%'", &[])
        .await
        .expect("the server under test answers");
    for name in names.iter().map(|row| row.get::<_, &str>(0)) {
        let process = name.split('_').nth(2).unwrap_or_default();
        if !std::path::Path::new(&format!("/proc/{process}")).exists() {
            // Another process may be faster.
            let _ = admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        }
    }
}
