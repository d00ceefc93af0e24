//! What a tenant asks of its events: the schemas of their properties, and that their types are
//! not without number.
//!
//! Rules are read from the database and remembered for [`MEMORY`], so that a change is followed
//! within that time in every process, and at once in the one that made it. While the database is
//! away the last known ones hold.

pub mod schema;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use moka::future::Cache;
use uuid::Uuid;

use super::Judged;
use crate::domain::batch::Refusal;
use crate::domain::event::Event;
use crate::domain::ip_address::IpAddresses;
use crate::domain::leak;
use crate::domain::tenant::TenantId;
use crate::error::{Code, Problem};
use crate::storage::db::refresh;
use crate::storage::entity::event_schema::Mode;
use crate::storage::queries::event_schemas::{known_types, of_types, versions};
use crate::storage::queries::privacy::ip_addresses;
use crate::storage::queries::quarantine::held_up_to;
use crate::storage::{Db, StorageError};
use crate::telemetry::metrics::Metrics;
use schema::{MAX_SCHEMA, PropertySchema};

/// How many types of events a tenant may have. Several processes that meet new types in the same
/// seconds may go over it by what they meet then.
pub const MAX_TYPES: usize = 1_000;
/// How many are read: a tenant may have had more before they were bounded.
const MANY_TYPES: usize = 20_000;
/// How many events of a tenant quarantine holds; approximately, as for the types.
pub const MAX_HELD: u64 = 100_000;
/// How long a type that was let in counts, though no event of it is stored yet.
const LET_IN: Duration = Duration::from_hours(1);
/// How long rules are remembered.
const MEMORY: Duration = Duration::from_secs(5);
/// How long the number of held events is.
const COUNT_MEMORY: Duration = Duration::from_secs(30);
/// How long rules that nobody asks for are kept, in case the database goes away.
const IDLE: Duration = Duration::from_hours(1);
/// How much is remembered of all tenants, in bytes of their rules' text.
const ROOM: u64 = 64 * 1024 * 1024;

/// What the rules say of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Pass,
    /// It breaks a rule and is stored all the same: its receipt says so.
    Warn(Breach),
    /// It goes to quarantine.
    Hold(Breach),
}

/// A rule that an event breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Which rule.
    pub code: Code,
    /// The offending field.
    pub path: String,
    /// The same in words.
    pub message: String,
}

impl Breach {
    /// What its sender hears.
    #[must_use]
    pub fn refusal(self, event_id: Option<Uuid>) -> Refusal {
        Refusal {
            event_id,
            code: self.code.name().to_owned(),
            path: self.path,
            message: self.message,
        }
    }
}

/// The rules of one tenant, as of a few seconds ago.
#[allow(missing_debug_implementations, reason = "handles have nothing to show")]
pub struct Rules {
    schemas: HashMap<String, Arc<Rule>>,
    /// Those that are stored; and those let in since, which may lie in a stream, with the moment.
    types: Mutex<HashMap<String, Option<Instant>>>,
    held: Arc<HeldCount>,
    /// What is kept of IP addresses.
    addresses: IpAddresses,
    metrics: Metrics,
}

/// The schema of one type.
#[derive(Debug)]
struct Rule {
    updated_at: DateTime<Utc>,
    mode: Mode,
    /// Nothing if it is not understood: by an older version of this program, say.
    schema: Option<PropertySchema>,
    size: usize,
}

/// How many events are held, as counted a while ago, and those that came since.
#[derive(Debug)]
struct HeldCount {
    counted_at: Instant,
    held: AtomicU64,
}

impl HeldCount {
    /// Counts one more, if there is room.
    fn take(&self) -> bool {
        let more = |held| (held < MAX_HELD).then_some(held + 1);
        self.held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }

    fn released(&self, events: u64) {
        let less = |held: u64| Some(held.saturating_sub(events));
        let _ = self
            .held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

impl Rules {
    /// What the rules say of an event. An event of a new type that may come in uses up one of the
    /// tenant's types.
    #[must_use]
    pub fn check(&self, event: &Event) -> Verdict {
        self.judge(event, true)
    }

    /// The same, without using up anything.
    #[must_use]
    pub fn preview(&self, event: &Event) -> Verdict {
        self.judge(event, false)
    }

    fn judge(&self, event: &Event, admit: bool) -> Verdict {
        let event_type = event.event_type.as_str();
        let rule = self.schemas.get(event_type);
        let breach = rule.and_then(|rule| {
            let found = rule.schema.as_ref()?.violation(&event.properties)?;
            Some(Breach {
                code: Code::SchemaViolation,
                path: found.path,
                message: found.message,
            })
        });
        let enforced = rule.is_some_and(|rule| rule.mode == Mode::Enforce);
        match breach {
            Some(breach) if enforced => {
                self.metrics.schema_violations_enforced.increment(1);
                Verdict::Hold(breach)
            }
            _ if !self.may_have(event_type, admit) => {
                self.metrics.event_types_refused.increment(1);
                Verdict::Hold(Breach {
                    code: Code::TooManyEventTypes,
                    path: "type".to_owned(),
                    message: format!(
                        "The tenant has {MAX_TYPES} types of events, and cannot have one more. Put what differs into `properties`."
                    ),
                })
            }
            Some(breach) => {
                self.metrics.schema_violations_warned.increment(1);
                Verdict::Warn(breach)
            }
            None => Verdict::Pass,
        }
    }

    /// Whether an event of this type can be stored.
    fn may_have(&self, event_type: &str, admit: bool) -> bool {
        let mut types = self.types.lock().unwrap_or_else(PoisonError::into_inner);
        if types.contains_key(event_type) {
            return true;
        }
        let room = types.len() < MAX_TYPES;
        if room && admit {
            types.insert(event_type.to_owned(), Some(Instant::now()));
        }
        room
    }

    /// The types that were let in and may not be stored yet.
    fn let_in(&self) -> HashMap<String, Option<Instant>> {
        let types = self.types.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |at: &Option<Instant>| at.is_some_and(|at| at.elapsed() < LET_IN);
        let recent = types.iter().filter(|(_, at)| is_recent(at));
        recent.map(|(name, at)| (name.clone(), *at)).collect()
    }

    /// A judgement with no more of people's IP addresses in it than the tenant keeps, and with no
    /// keys, in what is stored and in what is held.
    #[must_use]
    pub fn guarded(&self, mut judged: Judged) -> Judged {
        let text = match &mut judged {
            Judged::Good(event) | Judged::Warned(event, _) => &mut event.properties,
            Judged::Held(held) => &mut held.payload,
            Judged::Rejected(_) => return judged,
        };
        if let Some(reduced) = self.addresses.reduced(text) {
            *text = reduced;
        }
        if let Some(masked) = leak::masked(text) {
            *text = masked;
        }
        judged
    }

    /// A judgement as it is where quarantine is full: what cannot be held is rejected.
    #[must_use]
    pub fn bounded(&self, judged: Judged) -> Judged {
        match judged {
            Judged::Held(held) if !self.held.take() => {
                self.metrics.quarantine_full.increment(1);
                let breach = Breach {
                    code: Code::QuarantineFull,
                    path: String::new(),
                    message: Code::QuarantineFull.sentence().to_owned(),
                };
                Judged::Rejected(breach.refusal(held.refusal.event_id))
            }
            judged => judged,
        }
    }

    /// What they take in memory, roughly.
    fn weight(&self) -> u32 {
        let types = self.types.lock().unwrap_or_else(PoisonError::into_inner);
        let schemas: usize = self.schemas.values().map(|rule| 1024 + rule.size).sum();
        u32::try_from(1024 + 100 * types.len() + schemas).unwrap_or(u32::MAX)
    }
}

/// The rules of every tenant that sends.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "handles have nothing to show")]
pub struct RulesCache {
    db: Db,
    metrics: Metrics,
    fresh: Cache<TenantId, Arc<Rules>>,
    /// What was known last: schemas that did not change are not compiled again.
    last: Cache<TenantId, Arc<Rules>>,
    /// What is kept of IP addresses where a tenant says nothing.
    addresses: IpAddresses,
}

impl RulesCache {
    /// A cache over this database.
    #[must_use]
    pub fn new(db: Db, metrics: Metrics, addresses: IpAddresses) -> Self {
        let builder = || {
            Cache::builder()
                .max_capacity(ROOM)
                .weigher(|_: &TenantId, rules: &Arc<Rules>| rules.weight())
        };
        Self {
            db,
            metrics,
            fresh: builder().time_to_live(MEMORY).build(),
            last: builder().time_to_idle(IDLE).build(),
            addresses,
        }
    }

    /// The rules of a tenant.
    ///
    /// # Errors
    /// That the database is away, and they are not known from before.
    pub async fn of(&self, tenant: TenantId) -> Result<Arc<Rules>, Problem> {
        let loaded = self.fresh.try_get_with(tenant, self.load(tenant)).await;
        loaded.map_err(|error: Arc<StorageError>| (*error).clone().into())
    }

    /// Reads them anew the next time, in this process.
    pub(super) async fn forget(&self, tenant: TenantId) {
        self.fresh.invalidate(&tenant).await;
    }

    /// Takes note that so many events are not held any more.
    pub(super) async fn released(&self, tenant: TenantId, events: u64) {
        if let Some(last) = self.last.get(&tenant).await {
            last.held.released(events);
        }
    }

    async fn load(&self, tenant: TenantId) -> Result<Arc<Rules>, StorageError> {
        let last = self.last.get(&tenant).await;
        match refresh(last.is_some(), self.read(tenant, last.as_deref())).await {
            Ok(rules) => {
                let rules = Arc::new(rules);
                self.last.insert(tenant, Arc::clone(&rules)).await;
                Ok(rules)
            }
            Err(error) => {
                let last = last.ok_or_else(|| error.clone())?;
                tracing::warn!(tenant = tenant.0, %error, "rules cannot be read; the last known hold");
                Ok(last)
            }
        }
    }

    async fn read(&self, tenant: TenantId, last: Option<&Rules>) -> Result<Rules, StorageError> {
        let db = self.db.control();
        let known = |event_type: &str, updated_at| {
            let rule = last?.schemas.get(event_type)?;
            (rule.updated_at == updated_at).then(|| Arc::clone(rule))
        };
        let mut schemas = HashMap::new();
        let mut changed = Vec::new();
        for version in versions(db, tenant).await? {
            match known(&version.event_type, version.updated_at) {
                Some(rule) => {
                    schemas.insert(version.event_type, rule);
                }
                None => changed.push(version.event_type),
            }
        }
        for row in of_types(db, tenant, &changed).await? {
            let size = row.schema.to_string().len().min(MAX_SCHEMA);
            let schema = PropertySchema::compile(&row.schema);
            if let Err(flaw) = &schema {
                tracing::warn!(
                    tenant = tenant.0,
                    event_type = row.event_type,
                    flaw,
                    "schema not understood"
                );
            }
            let rule = Rule {
                updated_at: row.updated_at,
                mode: row.mode,
                schema: schema.ok(),
                size,
            };
            schemas.insert(row.event_type, Arc::new(rule));
        }
        schemas.retain(|_, rule| rule.mode != Mode::Off);
        let mut types = last.map(Rules::let_in).unwrap_or_default();
        let stored = known_types(db, tenant, MANY_TYPES).await?;
        types.extend(stored.into_iter().map(|name| (name, None)));
        Ok(Rules {
            schemas,
            types: Mutex::new(types),
            held: self.count(tenant, last).await?,
            addresses: ip_addresses(db, tenant).await?.unwrap_or(self.addresses),
            metrics: self.metrics.clone(),
        })
    }

    /// The number of held events, unless it was counted a moment ago.
    async fn count(
        &self,
        tenant: TenantId,
        last: Option<&Rules>,
    ) -> Result<Arc<HeldCount>, StorageError> {
        if let Some(last) = last
            && last.held.counted_at.elapsed() < COUNT_MEMORY
        {
            return Ok(Arc::clone(&last.held));
        }
        Ok(Arc::new(HeldCount {
            counted_at: Instant::now(),
            held: AtomicU64::new(held_up_to(self.db.reads(), tenant, MAX_HELD).await?),
        }))
    }
}
