//! A database for each test: cloned from a template that is migrated once for each state of the
//! migrations, dropped with the test.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::sqlx::{self, AssertSqlSafe, Connection, PgConnection};
use tidewater::storage::schema;
use tokio::sync::OnceCell;

use super::services;

/// A database of a test's own.
pub struct TestDb {
    /// How to reach the server's own database.
    server: String,
    name: String,
}

impl TestDb {
    /// A database with the whole schema.
    pub async fn migrated() -> Self {
        static TEMPLATE: OnceCell<String> = OnceCell::const_new();
        let template = TEMPLATE.get_or_init(prepare_template).await;
        Self::create(&format!(" TEMPLATE {template} STRATEGY wal_log")).await
    }

    /// A database with the whole schema on another server than the others.
    pub async fn on(server: &str) -> Self {
        let db = Self::create_on(server, "").await;
        schema::up(&db.url()).await.unwrap();
        db
    }

    /// A database without tables.
    pub async fn empty() -> Self {
        Self::create("").await
    }

    async fn create(options: &str) -> Self {
        Self::create_on(&services().database_url, options).await
    }

    async fn create_on(server: &str, options: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidewater_t_{}_{n}", std::process::id());
        let mut admin = admin(server).await;
        run(&mut admin, &format!("DROP DATABASE IF EXISTS {name}")).await;
        run(&mut admin, &format!("CREATE DATABASE {name}{options}")).await;
        let server = server.to_owned();
        Self { server, name }
    }

    /// How to reach it.
    pub fn url(&self) -> String {
        self.url_on(&self.server)
    }

    /// How to reach the one of its name on another server.
    pub fn url_on(&self, server: &str) -> String {
        url_of(server, &self.name)
    }

    /// A connection to look into it.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }

    /// One value from it.
    pub async fn number(&self, sql: &str) -> i64 {
        let mut connection = self.connect().await;
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }

    /// Does something in it.
    pub async fn run(&self, sql: &str) {
        run(&mut self.connect().await, sql).await;
    }

    /// Lets nobody in any more, and throws out who is in: for those inside, the database is down.
    pub async fn shut(&self) {
        let mut admin = admin(&self.server).await;
        run(
            &mut admin,
            &format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", self.name),
        )
        .await;
        let name = &self.name;
        run(
            &mut admin,
            &format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            ),
        )
        .await;
    }

    /// Lets everybody in again.
    pub async fn open(&self) {
        let mut admin = admin(&self.server).await;
        run(
            &mut admin,
            &format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", self.name),
        )
        .await;
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let server = self.server.clone();
        // A runtime of its own: the test's may be gone, and a drop cannot wait for it.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async { run(&mut admin(&server).await, &statement).await });
        });
        let _ = dropping.join();
    }
}

async fn admin(server: &str) -> PgConnection {
    PgConnection::connect(server).await.unwrap()
}

async fn run(connection: &mut PgConnection, statement: &str) {
    sqlx::query(AssertSqlSafe(statement.to_owned()))
        .execute(connection)
        .await
        .unwrap();
}

fn url_of(server: &str, database: &str) -> String {
    let (server, _) = server.rsplit_once('/').unwrap();
    format!("{server}/{database}")
}

/// Makes the template unless another process did, and removes what killed test runs left.
async fn prepare_template() -> String {
    let mut hasher = DefaultHasher::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migration/src/sql");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        std::fs::read(file).unwrap().hash(&mut hasher);
    }
    let name = format!("tidewater_template_{:016x}", hasher.finish());

    let server = &services().database_url;
    let mut admin = admin(server).await;
    run(
        &mut admin,
        "SELECT pg_advisory_lock(hashtext('tidewater tests'))",
    )
    .await;
    let left: Vec<String> = sqlx::query_scalar(
        "SELECT datname FROM pg_database WHERE datname LIKE 'tidewater\\_t\\_%'",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    for database in left {
        let process = database.split('_').nth(2).unwrap_or_default();
        if process != std::process::id().to_string() && !Path::new("/proc").join(process).exists() {
            run(
                &mut admin,
                &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"),
            )
            .await;
        }
    }
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(&name)
            .fetch_one(&mut admin)
            .await
            .unwrap();
    if !exists {
        // Under another name until it is whole.
        run(&mut admin, "DROP DATABASE IF EXISTS tidewater_template_new").await;
        run(&mut admin, "CREATE DATABASE tidewater_template_new").await;
        schema::up(&url_of(server, "tidewater_template_new"))
            .await
            .unwrap();
        while sqlx::query(AssertSqlSafe(format!(
            "ALTER DATABASE tidewater_template_new RENAME TO {name}"
        )))
        .execute(&mut admin)
        .await
        .is_err()
        {
            // The migrator's connections are still on their way out.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    admin.close().await.unwrap();
    name
}
