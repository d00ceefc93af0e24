//! The server's metrics: one field each, whose doc comment is its help text on `/metrics`.
//!
//! They are registered with a recorder of their own, not a global one, so that several servers in
//! one process (the tests) do not mix their numbers.

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $field:ident: $kind:ident = $name:literal $([$label:literal = $value:literal])?,)+) => {
        /// Handles to every metric.
        #[derive(Clone)]
        #[allow(missing_debug_implementations, reason = "handles have nothing to show")]
        pub struct Metrics {
            $($(#[doc = $help])+ pub $field: $kind,)+
            handle: PrometheusHandle,
        }

        impl Metrics {
            fn register(recorder: &PrometheusRecorder) -> Self {
                let metadata = Metadata::new("tidewater", Level::INFO, None);
                Self {
                    $($field: {
                        let labels: Vec<Label> = vec![$(Label::new($label, $value))?];
                        metrics!(@describe $kind recorder, $name, concat!($($help),+));
                        metrics!(@register $kind recorder, &Key::from_parts($name, labels), &metadata)
                    },)+
                    handle: recorder.handle(),
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

metrics! {
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
    /// Transactions that stored events, and how long each took, in seconds.
    ingest_transaction_seconds: Histogram = "tidewater_ingest_transaction_seconds",
    /// Transactions that failed and were tried again, split or given up.
    ingest_failures: Counter = "tidewater_ingest_failures_total",
    /// Links of two ids that were left out because they would have made too large a user.
    identity_refused: Counter = "tidewater_identity_refused_total",
    /// Kibibytes of events that wait to be stored.
    ingest_queue_kib: Gauge = "tidewater_ingest_queue_kib",
    /// Statements that read from the database, and how long each took, in seconds.
    read_statement_seconds: Histogram = "tidewater_read_statement_seconds",
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
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &seconds)
            .expect("the buckets are not empty")
            .build_recorder();
        Self::register(&recorder)
    }
}

impl Metrics {
    /// Everything in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.run_upkeep();
        self.handle.render()
    }
}
