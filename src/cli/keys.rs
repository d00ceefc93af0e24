//! `tidewater keys create|list|revoke`.

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::Failure;
use crate::access::{Scope, keys};
use crate::app::Home;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::tenant::TenantId;
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
    Create {
        /// What it is for.
        #[arg(long)]
        label: String,
        /// What it may do; give several for several.
        #[arg(long = "scope", value_enum, required = true)]
        scopes: Vec<Scope>,
        /// Whose data it opens; made if there is no such tenant.
        #[arg(long, default_value = keys::DEFAULT_TENANT)]
        tenant: String,
    },
    /// List the keys of a tenant.
    List {
        /// Whose.
        #[arg(long, default_value = keys::DEFAULT_TENANT)]
        tenant: String,
    },
    /// Revoke a key: it opens nothing after five seconds at the latest.
    Revoke {
        /// The key's id, from `list`.
        id: Uuid,
    },
}

impl Keys {
    pub(super) async fn run(self, config: Config) -> Result<(), Failure> {
        let home = match self.action {
            Action::Create { .. } => Home::share(&config).await?,
            Action::List { .. } | Action::Revoke { .. } => Home::existing(&config).await?,
        };
        let result = self.act(home.url()).await;
        home.close().await;
        result
    }

    async fn act(self, url: &str) -> Result<(), Failure> {
        schema::up(url).await?;
        let db = Db::open(url, |_| ()).await?;
        let result = self.act_on(&db).await;
        db.close().await;
        result
    }

    async fn act_on(self, db: &Db) -> Result<(), Failure> {
        let now = Clock::System.now();
        match self.action {
            Action::Create {
                label,
                scopes,
                tenant,
            } => {
                let tenant = keys::ensure_tenant(db, &tenant).await?;
                let tenant = TenantId(tenant.tenant_id);
                println!("{}", keys::create(db, tenant, &label, &scopes, now).await?);
            }
            Action::List { tenant } => {
                let found = keys::find_tenant(db, &tenant).await?;
                let found = found.ok_or_else(|| format!("there is no tenant {tenant}"))?;
                for key in keys::list(db, TenantId(found.tenant_id)).await? {
                    let state = if key.revoked_at.is_some() {
                        "revoked"
                    } else {
                        "active"
                    };
                    let scopes = key.scopes.join(",");
                    println!(
                        "{}  {}…  {state}  {scopes}  {}",
                        key.api_key_id, key.prefix, key.label
                    );
                }
            }
            Action::Revoke { id } => {
                if !keys::revoke(db, id, now).await? {
                    return Err(format!("there is no active key {id}").into());
                }
                println!("revoked");
            }
        }
        Ok(())
    }
}
