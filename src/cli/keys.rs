//! `tidewater keys create|list|rotate|revoke`.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use uuid::Uuid;

use super::Failure;
use crate::access::keys::{self, Wanted};
use crate::access::limits::Quota;
use crate::access::{Access, Kind, Scope, tenants};
use crate::app::Home;
use crate::clock::Clock;
use crate::config::{Config, Secret};
use crate::domain::audit::Actor;
use crate::domain::tenant::{RowScope, TenantId};
use crate::error::Problem;
use crate::storage::entity::api_key;
use crate::storage::{Db, schema};

/// What to do to keys.
#[derive(Args, Debug)]
pub(super) struct Keys {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key and print it: it is not stored and cannot be shown again.
    Create(Box<Create>),
    /// List the keys of a tenant.
    List {
        /// Whose.
        #[arg(long, default_value = keys::DEFAULT_TENANT)]
        tenant: String,
    },
    /// Give a key another secret and print it; the one before opens, too, for a while.
    Rotate {
        /// The key's id, from `list`.
        id: Uuid,
        /// For how many seconds: up to 30 days.
        #[arg(long, default_value_t = keys::OVERLAP.as_secs())]
        overlap: u64,
    },
    /// Revoke a key: within a second it opens nothing anywhere.
    Revoke {
        /// The key's id, from `list`.
        id: Uuid,
    },
}

#[derive(Args, Debug)]
struct Create {
    /// What it is for.
    #[arg(long, visible_alias = "label")]
    name: String,
    /// What it may do; give several for several.
    #[arg(long = "scope", value_enum, required_unless_present = "publishable")]
    scopes: Vec<Scope>,
    /// Whose data it opens; made if there is no such tenant.
    #[arg(long, default_value = keys::DEFAULT_TENANT)]
    tenant: String,
    /// For pages, where all can see it: it sends events, and from its origins alone.
    #[arg(long)]
    publishable: bool,
    /// When it opens nothing more: RFC 3339.
    #[arg(long, value_name = "TIME")]
    expires_at: Option<DateTime<Utc>>,
    /// A page it may be used from, as `https://shop.example`; give several for several.
    #[arg(long = "origin")]
    origins: Vec<String>,
    /// An address or a network it may be used from; give several for several.
    #[arg(long = "ip")]
    ips: Vec<String>,
    /// A category whose rows it sees, and those below it; give several for several.
    #[arg(long = "category")]
    categories: Vec<String>,
    /// A region whose rows it sees; give several for several.
    #[arg(long = "region")]
    regions: Vec<String>,
    /// A product whose rows it sees; give several for several.
    #[arg(long = "product")]
    products: Vec<String>,
    /// Let it run the GraphQL documents alone that `TIDEWATER_PERSISTED_DOCUMENTS` lists.
    #[arg(long = "listed-documents-only")]
    persisted_only: bool,
    /// How many events it may send in a minute; 0 for any number.
    #[arg(long)]
    events_per_minute: Option<u32>,
    /// How many points its questions may cost in a minute; 0 for any number.
    #[arg(long)]
    points_per_minute: Option<u32>,
    /// How many exports it may begin in an hour; 0 for any number.
    #[arg(long)]
    exports_per_hour: Option<u32>,
    /// How many subscriptions it may have open in a process; 0 for any number.
    #[arg(long)]
    open_subscriptions: Option<u32>,
}

impl Create {
    fn wanted(self) -> Result<(String, Wanted), Failure> {
        let is_limited = [&self.categories, &self.regions, &self.products]
            .iter()
            .any(|values| !values.is_empty());
        let rows = RowScope::new(self.categories, self.regions, self.products);
        if is_limited && rows.is_none() {
            return Err("a row scope has up to 100 categories, regions and products each, none of them empty".into());
        }
        let quota = Quota {
            events_per_minute: self.events_per_minute,
            points_per_minute: self.points_per_minute,
            exports_per_hour: self.exports_per_hour,
            open_subscriptions: self.open_subscriptions,
        };
        let (kind, scopes) = if self.publishable {
            (Kind::Publishable, vec![Scope::Ingest])
        } else {
            (Kind::Live, self.scopes)
        };
        let wanted = Wanted {
            name: self.name,
            kind,
            scopes,
            expires_at: self.expires_at,
            allowed_origins: self.origins,
            allowed_ips: self.ips,
            rows,
            quota: (quota != Quota::default()).then_some(quota),
            persisted_only: self.persisted_only,
        };
        Ok((self.tenant, wanted))
    }
}

impl Keys {
    pub(super) async fn run(self, config: Config) -> Result<(), Failure> {
        let home = match self.action {
            Action::Create(_) => Home::share(&config).await?,
            _ => Home::existing(&config).await?,
        };
        let secret = config.access.secret().cloned();
        let result = self.act(home.url(), secret).await;
        home.close().await;
        result
    }

    async fn act(self, url: &str, secret: Option<Secret>) -> Result<(), Failure> {
        schema::up(url).await?;
        let db = Db::open(url, |_| ()).await?;
        let access = Access::new(db.clone(), secret, Clock::System);
        let result = self.act_on(&db, &access).await;
        db.close().await;
        result
    }

    async fn act_on(self, db: &Db, access: &Access) -> Result<(), Failure> {
        let by = Actor::Command;
        match self.action {
            Action::Create(create) => {
                let (tenant, wanted) = create.wanted()?;
                let tenant = tenants::ensure(db, &tenant).await?;
                let tenant = TenantId(tenant.tenant_id);
                let made = access.create_key(tenant, wanted, &by).await;
                println!("{}", made.map_err(failure)?.1);
            }
            Action::List { tenant } => {
                let found = tenants::find(db, &tenant).await?;
                let found = found.ok_or_else(|| format!("there is no tenant {tenant}"))?;
                for key in access.keys(TenantId(found.tenant_id)).await? {
                    println!("{}", line(&key));
                }
            }
            Action::Rotate { id, overlap } => {
                let overlap = std::time::Duration::from_secs(overlap);
                let rotated = access.rotate_key((None, id), overlap, &by).await;
                println!("{}", rotated.map_err(failure)?.1);
            }
            Action::Revoke { id } => {
                access.revoke_key((None, id), &by).await.map_err(failure)?;
                println!("revoked");
            }
        }
        Ok(())
    }
}

/// A key as a line of a list: what it is, and by what it is limited.
fn line(key: &api_key::Model) -> String {
    let now = Clock::System.now();
    let state = if key.revoked_at.is_some() {
        "revoked"
    } else if key.expires_at.is_some_and(|end| end <= now) {
        "expired"
    } else {
        "active"
    };
    let minute = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%MZ").to_string();
    let used = key.last_used_at.map_or("never used".to_owned(), |at| {
        let from = key.last_used_address.as_deref().unwrap_or("unknown");
        format!("used {} from {from}", minute(at))
    });
    let listed =
        |what: &str, all: &[String]| (!all.is_empty()).then(|| format!("{what} {}", all.join(",")));
    let json = |what: &str, value: &Option<serde_json::Value>| {
        value.as_ref().map(|value| format!("{what} {value}"))
    };
    let limits = [
        key.expires_at.map(|at| format!("expires {}", minute(at))),
        listed("origins", &key.allowed_origins),
        listed("ips", &key.allowed_ips),
        json("rows", &key.row_scope),
        json("quota", &key.quota),
        key.persisted_only
            .then(|| "listed documents only".to_owned()),
    ];
    let told = [
        key.api_key_id.to_string(),
        format!("{}…", key.prefix),
        state.to_owned(),
        key.scopes.join(","),
        key.label.clone(),
        used,
    ];
    let told = told.into_iter().chain(limits.into_iter().flatten());
    told.collect::<Vec<_>>().join("  ")
}

/// A problem in words, for the one who called.
#[allow(clippy::needless_pass_by_value, reason = "it is mapped with")]
pub(super) fn failure(problem: Problem) -> Failure {
    problem.message().to_owned().into()
}
