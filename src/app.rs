//! The one place that wires: from a configuration to a server that runs.

mod home;
mod services;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::access::limits::Limits;
use crate::access::{Access, keys};
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::{AccessConfig, Config, IngestConfig, Secret};
use crate::graphql::{self, Loaders, Manifest, ManifestError, Rules};
use crate::http::{self, Bodies, Exports, Files, Operations, Readiness, Sockets, Tls, TlsError};
use crate::ingest::log::stream::StreamError;
use crate::ingest::{Ingest, canary};
use crate::jobs;
use crate::realtime::hub::LiveHub;
use crate::reports::Reports;
use crate::storage::embedded::EmbeddedError;
use crate::storage::writes::WriteMemory;
use crate::storage::{Db, StorageError, schema};
use crate::telemetry::metrics::Metrics;

pub use home::Home;
pub use services::Services;

/// How long requests may go on after the server is told to stop.
const DRAIN: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(1);

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Serves the API.
    Api,
    /// Runs the jobs, and stores what lies in the streams.
    Worker,
    /// Both.
    All,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is nothing to look at.
    #[error(
        "there is no data in {0}: start the server first, or name its directory with TIDEWATER_DATA_DIR"
    )]
    NoData(std::path::PathBuf),
    /// The private PostgreSQL.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// The database's URL or answer.
    #[error("the database: {0}")]
    Storage(#[from] StorageError),
    /// The URL of a replica.
    #[error("DATABASE_REPLICA_URLS: {0}")]
    Replicas(#[source] StorageError),
    /// The URL of Redis.
    #[error("REDIS_URL: {0}")]
    Redis(#[from] redis::RedisError),
    /// The Redis that is to keep events.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The certificate.
    #[error("TIDEWATER_TLS_CERT and TIDEWATER_TLS_KEY: {0}")]
    Tls(#[from] TlsError),
    /// The persisted documents.
    #[error("TIDEWATER_PERSISTED_DOCUMENTS: {0}")]
    Documents(#[from] ManifestError),
    /// An address to listen on.
    #[error("cannot listen on {address} ({error}); choose another address with {variable}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What sets it.
        variable: &'static str,
        /// Why not.
        #[source]
        error: std::io::Error,
    },
}

/// A server that is ready to run.
#[allow(
    missing_debug_implementations,
    reason = "channels have nothing to show"
)]
pub struct App {
    role: Role,
    config: Config,
    home: Home,
    services: Services,
    state: http::State,
    api: Option<TcpListener>,
    tls: Option<Tls>,
    operations: TcpListener,
    /// Ends what works behind the requests.
    stop: CancellationToken,
}

impl App {
    /// Starts the private PostgreSQL if there is to be one, and listens.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn build(mut config: Config, role: Role, clock: Clock) -> Result<Self, StartError> {
        if role == Role::Worker {
            // It answers no questions.
            config.database.database_replica_urls = None;
        }
        let weak = |key: &Secret| key.reveal().len() < keys::STRONG_KEY;
        if config.access.bootstrap_key().is_some_and(weak) {
            tracing::warn!("TIDEWATER_BOOTSTRAP_KEY is short: whoever guesses it is admin");
        }
        let tls = config.http.tls().map(|(cert, key)| Tls::read(cert, key));
        let tls = tls.transpose()?;
        let documents = config.graphql.manifest().map(|path| Manifest::read(path));
        let rules = Rules::new(&config.graphql, documents.transpose()?.unwrap_or_default());
        let operations = listen(config.http.metrics_listen, "TIDEWATER_METRICS_LISTEN").await?;
        let api = match role {
            Role::Worker => None,
            Role::Api | Role::All => Some(listen(config.http.listen, "TIDEWATER_LISTEN").await?),
        };
        let home = Home::own(&config).await?;
        let stop = CancellationToken::new();
        let mode = config.ingest_mode();
        let services = Services::build(home.url(), &config, mode, clock).await?;
        let Services {
            db,
            clock,
            metrics,
            ingest,
            bus,
            ..
        } = &services;
        let redis = config.database.redis_url();
        let bytes = match role {
            Role::Worker => 0,
            Role::Api | Role::All => config.cache.bytes,
        };
        let cache = Cache::start(bytes, db, redis.as_ref(), clock, metrics, &stop)?;
        let reports = Reports::new(db.clone(), clock.clone(), cache, config.questions.max_rows);
        let live = LiveHub::new(
            db.clone(),
            bus.clone(),
            clock.clone(),
            metrics.clone(),
            stop.clone(),
        );
        let access = Access::new(db.clone(), config.access.secret().cloned(), clock.clone());
        access.watch(&stop);
        let limits = Limits::start(&config.limits, db, redis.as_ref(), clock, &stop)?;
        let schema = graphql::schema(
            reports.clone(),
            ingest.clone(),
            live,
            access.clone(),
            limits.clone(),
            &rules,
        );
        let state = http::State::new(http::Shared {
            schema,
            loaders: Loaders(reports.clone()),
            rules,
            status_codes: config.graphql.status,
            strict_get: config.graphql.is_production(),
            graphiql: config.graphql.graphiql(),
            reports: reports.clone(),
            ingest: ingest.clone(),
            access,
            limits,
            proxies: config.http.trusted_proxies.clone().into(),
            readiness: Readiness::new(reports),
            sockets: Sockets::default(),
            operations: Operations::default(),
            bodies: Bodies::default(),
            exports: Exports::default(),
            metrics: metrics.clone(),
        });
        Ok(Self {
            role,
            config,
            home,
            services,
            state,
            api,
            tls,
            operations,
            stop,
        })
    }

    /// Where the API is, if this role serves it.
    #[must_use]
    pub fn api_address(&self) -> Option<SocketAddr> {
        self.api
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
    }

    /// Where the metrics are.
    #[must_use]
    pub fn operations_address(&self) -> Option<SocketAddr> {
        self.operations.local_addr().ok()
    }

    /// Serves until `token` is cancelled; then lets requests finish, stores what was taken and
    /// stops the private PostgreSQL.
    pub async fn run_until_stopped(self, token: CancellationToken) {
        let Self {
            role,
            config,
            home,
            mut services,
            state,
            api,
            tls,
            operations,
            stop,
        } = self;
        if role != Role::Api {
            services.consume(state.readiness.prepared());
        }
        let chores = Chores {
            role,
            config: config.ingest.clone(),
            db: services.db.clone(),
            clock: services.clock.clone(),
            metrics: services.metrics.clone(),
            memory: Arc::clone(&services.memory),
            ingest: services.ingest.clone(),
            reports: state.reports.clone(),
            access: state.access.clone(),
        };
        let url = home.url().to_owned();
        let readiness = state.readiness.clone();
        let preparing = async move {
            prepare(&url, &config.access, &chores, &readiness).await;
            Box::pin(chores.run()).await;
        };
        let background = tokio::spawn(stop.clone().run_until_cancelled_owned(Box::pin(preparing)));
        let operations_router = http::operations_router(state.clone());
        let operations = tokio::spawn(stop.clone().run_until_cancelled_owned(async {
            http::serve(operations, None, operations_router, std::future::pending()).await;
        }));
        if let Some(listener) = api {
            if let Ok(address) = listener.local_addr() {
                let scheme = if tls.is_some() { "https" } else { "http" };
                tracing::info!("listening on {scheme}://{address}");
            }
            let (sockets, exports) = (state.sockets.clone(), state.exports.clone());
            let stopped = token.clone().cancelled_owned();
            if let Some(tls) = tls.clone() {
                tokio::spawn(stop.clone().run_until_cancelled_owned(renew(tls)));
            }
            let serving = http::serve(listener, tls, http::router(state), stopped);
            let too_late = async {
                token.cancelled().await;
                exports.close();
                sockets.close().await;
                tokio::time::sleep(DRAIN).await;
            };
            tokio::select! {
                () = serving => {}
                () = too_late => tracing::warn!("some requests did not finish in time"),
            }
            sockets.close().await;
        } else {
            drop(state);
            token.cancelled().await;
        }
        tracing::info!("stopping");
        stop.cancel();
        let _ = tokio::join!(background, operations);
        Box::pin(services.close()).await;
        home.close().await;
    }
}

/// Reads the certificate again at each HUP.
async fn renew(tls: Tls) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        tracing::warn!("no HUP can be heard: the certificate is read again at a restart alone");
        return;
    };
    while hangup.recv().await.is_some() {
        match tls.reload() {
            Ok(()) => tracing::info!("the certificate was read again"),
            Err(error) => tracing::warn!(%error, "the certificate stays as it was"),
        }
    }
}

async fn listen(address: SocketAddr, variable: &'static str) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| StartError::Listen {
        address,
        variable,
        error,
    })
}

/// What is done behind the requests.
struct Chores {
    role: Role,
    config: IngestConfig,
    db: Db,
    clock: Clock,
    metrics: Metrics,
    memory: Arc<WriteMemory>,
    ingest: Ingest,
    reports: Reports,
    access: Access,
}

impl Chores {
    /// Does, for ever, what is this role's.
    async fn run(self) {
        let Self {
            role,
            config,
            db,
            clock,
            metrics,
            memory,
            ingest,
            reports,
            ..
        } = self;
        let window = config.idempotency_window();
        let jobs = async {
            if role == Role::Api {
                return;
            }
            tokio::join!(
                jobs::partitions::run(db.clone(), window, clock.clone()),
                jobs::quarantine::run(
                    db.clone(),
                    metrics.clone(),
                    config.quarantine_days,
                    clock.clone()
                ),
                jobs::watermark::run(db.clone(), metrics.clone()),
                Box::pin(jobs::retention::run(db.clone(), clock.clone())),
                Box::pin(jobs::erasures::run(ingest.clone())),
                Box::pin(jobs::summaries::run(
                    db.clone(),
                    metrics.clone(),
                    clock.clone()
                )),
                Box::pin(jobs::exports::run(
                    db.clone(),
                    reports,
                    Files,
                    metrics,
                    clock.clone()
                )),
            );
        };
        let flying = ingest.clone();
        let canary = async {
            if role == Role::Worker {
                return;
            }
            let interval = Duration::from_secs(config.canary_seconds.into());
            let objective = Duration::from_millis(config.canary_objective_ms.into());
            Box::pin(canary::run(flying, db.clone(), interval, objective)).await;
        };
        // Each process forgets for itself.
        let ids = jobs::idempotency::run(db.clone(), memory, window);
        tokio::join!(jobs, ids, canary, db.watch_replicas(&clock));
    }
}

/// Brings the schema up and stores the first key, as soon as the database lets us.
async fn prepare(url: &str, access: &AccessConfig, chores: &Chores, readiness: &Readiness) {
    while let Err(error) = prepare_once(url, access, chores).await {
        tracing::warn!(%error, "not ready yet; trying again");
        tokio::time::sleep(RETRY).await;
    }
    readiness.set_prepared();
    tracing::info!("ready");
}

async fn prepare_once(
    url: &str,
    access: &AccessConfig,
    chores: &Chores,
) -> Result<(), StorageError> {
    schema::up(url).await?;
    jobs::partitions::once(&chores.db, &chores.clock).await?;
    if let Some(key) = access.bootstrap_key() {
        chores.access.bootstrap(key.reveal()).await?;
    }
    Ok(())
}
