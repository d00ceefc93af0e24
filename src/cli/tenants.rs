//! `tidewater tenants create|list`.

use clap::{Args, Subcommand};

use super::Failure;
use super::keys::failure;
use crate::access::tenants::{self, NewTenant};
use crate::app::Home;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::audit::Actor;
use crate::storage::{Db, schema};

/// What to do to tenants.
#[derive(Args, Debug)]
pub(super) struct Tenants {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a tenant.
    Create {
        /// What it is called.
        name: String,
        /// The currency of its reports: ISO 4217.
        #[arg(long, default_value = "USD")]
        currency: String,
        /// The time zone of its reports: IANA.
        #[arg(long, default_value = "UTC")]
        timezone: String,
    },
    /// List the tenants.
    List,
}

impl Tenants {
    pub(super) async fn run(self, config: Config) -> Result<(), Failure> {
        let home = match self.action {
            Action::Create { .. } => Home::share(&config).await?,
            Action::List => Home::existing(&config).await?,
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
        match self.action {
            Action::Create {
                name,
                currency,
                timezone,
            } => {
                let new = NewTenant {
                    name,
                    currency,
                    timezone,
                };
                let made = tenants::create(db, new, &Actor::Command, Clock::System.now()).await;
                println!("{}", made.map_err(failure)?.tenant_id);
            }
            Action::List => {
                for tenant in tenants::list(db).await? {
                    let (id, name) = (tenant.tenant_id, tenant.name);
                    let (currency, zone) = (tenant.reporting_currency, tenant.timezone);
                    println!("{id}  {name}  {currency}  {zone}");
                }
            }
        }
        Ok(())
    }
}
