//! The server's metrics: one field each, whose doc comment is its help text on `/metrics`.
//!
//! They are registered with a recorder of their own, not a global one, so that several servers in
//! one process (the tests) do not mix their numbers.

use std::ops::Deref;
use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $field:ident: $kind:ident = $name:literal $([$label:literal = $value:literal])?,)+) => {
        /// Every metric.
        #[allow(missing_debug_implementations, reason = "handles have nothing to show")]
        pub struct Handles {
            $($(#[doc = $help])+ pub $field: $kind,)+
            recorder: PrometheusRecorder,
        }

        impl Handles {
            fn register(recorder: PrometheusRecorder) -> Self {
                let metadata = Metadata::new("tidewater", Level::INFO, None);
                Self {
                    $($field: {
                        let labels: Vec<Label> = vec![$(Label::new($label, $value))?];
                        metrics!(@describe $kind recorder, $name, concat!($($help),+));
                        metrics!(@register $kind recorder, &Key::from_parts($name, labels), &metadata)
                    },)+
                    recorder,
                }
            }
        }
    };
    (@describe Counter $recorder:ident, $name:literal, $help:expr) => { $recorder.describe_counter($name.into(), None, $help.trim().into()) };
    (@describe Gauge $recorder:ident, $name:literal, $help:expr) => { $recorder.describe_gauge($name.into(), None, $help.trim().into()) };
    (@describe Histogram $recorder:ident, $name:literal, $help:expr) => { $recorder.describe_histogram($name.into(), None, $help.trim().into()) };
    (@register Counter $recorder:ident, $key:expr, $metadata:expr) => { $recorder.register_counter($key, $metadata) };
    (@register Gauge $recorder:ident, $key:expr, $metadata:expr) => { $recorder.register_gauge($key, $metadata) };
    (@register Histogram $recorder:ident, $key:expr, $metadata:expr) => { $recorder.register_histogram($key, $metadata) };
}

/// Handles to every metric, which all that hold it share.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "handles have nothing to show")]
pub struct Metrics(Arc<Handles>);

impl Deref for Metrics {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.0
    }
}

metrics! {
    /// Exports that came to an end, by what became of them.
    exports_done: Counter = "tidewater_exports_total" ["state" = "done"],
    /// Exports that came to an end, by what became of them.
    exports_failed: Counter = "tidewater_exports_total" ["state" = "failed"],
    /// Events by what became of them.
    events_accepted: Counter = "tidewater_ingest_events_total" ["status" = "accepted"],
    /// Events by what became of them.
    events_duplicate: Counter = "tidewater_ingest_events_total" ["status" = "duplicate"],
    /// Events by what became of them.
    events_conflict: Counter = "tidewater_ingest_events_total" ["status" = "conflict"],
    /// Events by what became of them.
    events_quarantined: Counter = "tidewater_ingest_events_total" ["status" = "quarantined"],
    /// Events by what became of them.
    events_rejected: Counter = "tidewater_ingest_events_total" ["status" = "rejected"],
    /// Events whose properties do not fit the schema of their type, by what the schema's mode made
    /// of them.
    schema_violations_warned: Counter = "tidewater_ingest_schema_violations_total" ["mode" = "warn"],
    /// Events whose properties do not fit the schema of their type, by what the schema's mode made
    /// of them.
    schema_violations_enforced: Counter = "tidewater_ingest_schema_violations_total" ["mode" = "enforce"],
    /// Events quarantined because their tenant has as many types of events as it can have.
    event_types_refused: Counter = "tidewater_ingest_event_types_refused_total",
    /// Events rejected because the quarantine of their tenant is full.
    quarantine_full: Counter = "tidewater_quarantine_full_total",
    /// Events that left quarantine because their time was up, by what had become of them.
    quarantine_expired_held: Counter = "tidewater_quarantine_expired_total" ["state" = "held"],
    /// Events that left quarantine because their time was up, by what had become of them.
    quarantine_expired_replayed: Counter = "tidewater_quarantine_expired_total" ["state" = "replayed"],
    /// Events that left quarantine because their time was up, by what had become of them.
    quarantine_expired_discarded: Counter = "tidewater_quarantine_expired_total" ["state" = "discarded"],
    /// Hours, days and months that were summed up.
    summaries_made: Counter = "tidewater_summaries_made_total",
    /// Transactions that stored events, and how long each took, in seconds.
    ingest_transaction_seconds: Histogram = "tidewater_ingest_transaction_seconds",
    /// How long the commit at the end of a transaction took, in seconds.
    ingest_commit_seconds: Histogram = "tidewater_ingest_commit_seconds",
    /// Transactions begun again because another process had claimed one of their ids.
    ingest_collisions: Counter = "tidewater_ingest_collisions_total",
    /// How long it took from sending an event of our own until a question found it, in seconds.
    ingest_canary_seconds: Histogram = "tidewater_ingest_canary_seconds",
    /// Seconds since the newest event that is stored was received, of all tenants.
    ingest_watermark_age_seconds: Gauge = "tidewater_ingest_watermark_age_seconds",
    /// How many events each transaction stored or found stored.
    ingest_transaction_events: Histogram = "tidewater_ingest_transaction_events",
    /// Events by what the database made of them; what senders were told is another count.
    stored_accepted: Counter = "tidewater_ingest_stored_total" ["status" = "accepted"],
    /// Events by what the database made of them; what senders were told is another count.
    stored_duplicate: Counter = "tidewater_ingest_stored_total" ["status" = "duplicate"],
    /// Events by what the database made of them; what senders were told is another count.
    stored_conflict: Counter = "tidewater_ingest_stored_total" ["status" = "conflict"],
    /// Events by what the database made of them; what senders were told is another count.
    stored_erased: Counter = "tidewater_ingest_stored_total" ["status" = "erased"],
    /// Events by what the database made of them; what senders were told is another count.
    stored_held: Counter = "tidewater_ingest_stored_total" ["status" = "quarantined"],
    /// Appends to a stream, and how long each took, in seconds.
    stream_append_seconds: Histogram = "tidewater_stream_append_seconds",
    /// Packets that were taken over from a worker that had not finished them.
    stream_redelivered: Counter = "tidewater_stream_redelivered_total",
    /// Packets that could not be stored and were put aside.
    stream_dead: Counter = "tidewater_stream_dead_total",
    /// Transactions that failed and were tried again, split or given up.
    ingest_failures: Counter = "tidewater_ingest_failures_total",
    /// Links of two ids that were left out because they would have made too large a user.
    identity_refused: Counter = "tidewater_identity_refused_total",
    /// Kibibytes of events that wait to be stored.
    ingest_queue_kib: Gauge = "tidewater_ingest_queue_kib",
    /// Statements that read from the database, and how long each took, in seconds.
    read_statement_seconds: Histogram = "tidewater_read_statement_seconds",
    /// Statements of reports that were cancelled because nobody waited for them any more.
    read_statements_cancelled: Counter = "tidewater_read_statements_cancelled_total",
    /// Reports by the kind of server that they were read from.
    reports_from_primary: Counter = "tidewater_reports_total" ["server" = "primary"],
    /// Reports by the kind of server that they were read from.
    reports_from_replica: Counter = "tidewater_reports_total" ["server" = "replica"],
    /// Reports that were read from the primary though a replica might have served, by why.
    replica_fallbacks_unfit: Counter = "tidewater_replica_fallbacks_total" ["reason" = "unfit"],
    /// Reports that were read from the primary though a replica might have served, by why.
    replica_fallbacks_lost: Counter = "tidewater_replica_fallbacks_total" ["reason" = "lost"],
    /// Reports that were read from the primary though a replica might have served, by why.
    replica_fallbacks_conflict: Counter = "tidewater_replica_fallbacks_total" ["reason" = "conflict"],
    /// Reports that were read from the primary though a replica might have served, by why.
    replica_fallbacks_refused: Counter = "tidewater_replica_fallbacks_total" ["reason" = "refused"],
    /// Answers to questions and requests by where they were found.
    cache_hit_process: Counter = "tidewater_cache_answers_total" ["found" = "process"],
    /// Answers to questions and requests by where they were found.
    cache_hit_shared: Counter = "tidewater_cache_answers_total" ["found" = "shared"],
    /// Answers to questions and requests by where they were found.
    cache_hit_response: Counter = "tidewater_cache_answers_total" ["found" = "response"],
    /// Answers to questions and requests by where they were found.
    cache_stale: Counter = "tidewater_cache_answers_total" ["found" = "stale"],
    /// Answers to questions and requests by where they were found.
    cache_miss: Counter = "tidewater_cache_answers_total" ["found" = "nowhere"],
    /// Questions that waited for an answer that was being made.
    cache_joined: Counter = "tidewater_cache_joined_total",
    /// Kept answers that were found to be true no longer.
    cache_invalidated: Counter = "tidewater_cache_invalidated_total",
    /// Looks at what changed, each for all that waited, and how long each took, in seconds.
    cache_look_seconds: Histogram = "tidewater_cache_look_seconds",
    /// Looks at what changed that failed: who wanted an answer of this moment had it made.
    cache_look_failures: Counter = "tidewater_cache_look_failures_total",
    /// Bytes of answers in the memory of this process.
    cache_bytes: Gauge = "tidewater_cache_bytes",
    /// Whether answers are kept in Redis just now.
    cache_redis_up: Gauge = "tidewater_cache_redis_up",
    /// Commands of the cache that Redis refused or did not answer in time.
    cache_redis_errors: Counter = "tidewater_cache_redis_errors_total",
    /// HTTP requests by the class of their answer.
    http_success: Counter = "tidewater_http_requests_total" ["class" = "2xx"],
    /// HTTP requests by the class of their answer.
    http_client_error: Counter = "tidewater_http_requests_total" ["class" = "4xx"],
    /// HTTP requests by the class of their answer.
    http_server_error: Counter = "tidewater_http_requests_total" ["class" = "5xx"],
    /// How long an HTTP request took, in seconds.
    http_request_seconds: Histogram = "tidewater_http_request_seconds",
    /// Subscriptions that are being served.
    live_subscribers: Gauge = "tidewater_live_subscribers",
    /// Live windows that are being kept, one for each tenant and length that is watched.
    live_windows: Gauge = "tidewater_live_windows",
    /// Changed values of live windows, each made once for all its subscribers.
    live_updates: Counter = "tidewater_live_updates_total",
    /// Messages to other processes that were lost; their windows were read anew instead.
    bus_gaps: Counter = "tidewater_bus_gaps_total",
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = [
            0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
        ];
        let events = [
            1.0, 10.0, 100.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0, 20_000.0,
        ];
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &seconds)
            .and_then(|builder| {
                builder.set_buckets_for_metric(Matcher::Suffix("_events".to_owned()), &events)
            })
            .expect("the buckets are not empty")
            .build_recorder();
        Self(Arc::new(Handles::register(recorder)))
    }
}

/// Gauges of one partition of the stream.
#[allow(missing_debug_implementations, reason = "handles have nothing to show")]
pub struct PartitionGauges {
    /// Packets in it.
    pub entries: Gauge,
    /// Events in it.
    pub events: Gauge,
    /// Bytes in it.
    pub bytes: Gauge,
    /// How long the oldest packet has been in it.
    pub seconds: Gauge,
    /// Packets that lie aside.
    pub dead: Gauge,
}

/// Gauges of one replica.
#[allow(missing_debug_implementations, reason = "handles have nothing to show")]
pub struct ReplicaGauges {
    /// Whether it answers and is a standby of the primary.
    pub up: Gauge,
    /// How long ago the newest moment is of which it has everything.
    pub lag_seconds: Gauge,
}

impl Metrics {
    fn gauge(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, String)],
    ) -> Gauge {
        let metadata = Metadata::new("tidewater", Level::INFO, None);
        self.recorder.describe_gauge(name.into(), None, help.into());
        let labels: Vec<Label> = labels.iter().map(Label::from).collect();
        let key = Key::from_parts(name, labels);
        self.recorder.register_gauge(&key, &metadata)
    }

    /// The gauges of the n-th replica (from 1), which is at `host`.
    #[must_use]
    pub fn replica(&self, n: usize, host: &str) -> ReplicaGauges {
        let labels = [("replica", n.to_string()), ("host", host.to_owned())];
        ReplicaGauges {
            up: self.gauge(
                "tidewater_replica_up",
                "Whether a replica answers and is a standby of the primary.",
                &labels,
            ),
            lag_seconds: self.gauge(
                "tidewater_replica_lag_seconds",
                "How long ago the newest moment is of which a replica has everything.",
                &labels,
            ),
        }
    }

    /// The gauges of a partition.
    #[must_use]
    pub fn stream_partition(&self, partition: u16) -> PartitionGauges {
        let labels = [("partition", partition.to_string())];
        let gauge = |name, help| self.gauge(name, help, &labels);
        PartitionGauges {
            entries: gauge(
                "tidewater_stream_lag_entries",
                "Packets of a stream that are acknowledged and not stored.",
            ),
            events: gauge(
                "tidewater_stream_lag_events",
                "Events of a stream that are acknowledged and not stored.",
            ),
            bytes: gauge(
                "tidewater_stream_lag_bytes",
                "Bytes of a stream that are acknowledged and not stored.",
            ),
            seconds: gauge(
                "tidewater_stream_lag_seconds",
                "How long the oldest packet of a stream has waited to be stored.",
            ),
            dead: gauge(
                "tidewater_stream_dead_entries",
                "Packets of a stream that could not be stored and lie aside.",
            ),
        }
    }

    /// Everything in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        let handle = self.recorder.handle();
        handle.run_upkeep();
        handle.render()
    }
}
