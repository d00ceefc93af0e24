//! Where a process finds its database.

use super::StartError;
use crate::config::Config;
use crate::storage::embedded::{self, Embedded, EmbeddedError};

/// The database of a configuration: a given one, the one of a server that runs on the data
/// directory, or a private one that is started for us.
#[derive(Debug)]
pub struct Home {
    url: String,
    embedded: Option<Embedded>,
}

impl Home {
    /// The database that this process is to own: a private one must not be another's.
    ///
    /// # Errors
    /// When the private PostgreSQL cannot be started.
    pub async fn own(config: &Config) -> Result<Self, StartError> {
        let config = &config.database;
        if let Some(url) = config.database_url() {
            let url = url.reveal().to_owned();
            return Ok(Self {
                url,
                embedded: None,
            });
        }
        let embedded = Embedded::start(&config.data_dir, config.postgres_dir.as_deref()).await?;
        let url = embedded.url().to_owned();
        Ok(Self {
            url,
            embedded: Some(embedded),
        })
    }

    /// The database beside a server that may be running.
    ///
    /// # Errors
    /// When the private PostgreSQL cannot be started.
    pub async fn share(config: &Config) -> Result<Self, StartError> {
        match Self::own(config).await {
            Err(StartError::Embedded(EmbeddedError::InUse(directory))) => {
                let url = embedded::running(&config.database.data_dir);
                let url = url.ok_or(StartError::Embedded(EmbeddedError::InUse(directory)))?;
                Ok(Self {
                    url,
                    embedded: None,
                })
            }
            other => other,
        }
    }

    /// The same, but only if there is one: nothing is made for a look.
    ///
    /// # Errors
    /// When there is none, or the private PostgreSQL cannot be started.
    pub async fn existing(config: &Config) -> Result<Self, StartError> {
        let data_dir = &config.database.data_dir;
        let is_private = config.database.database_url().is_none();
        if is_private && !data_dir.join("postgres").exists() {
            return Err(StartError::NoData(data_dir.clone()));
        }
        Self::share(config).await
    }

    /// How to reach it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops what was started for us.
    pub async fn close(self) {
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}
