//! Forgets what is kept when a person was erased: an answer may quote them, say as the page that was
//! viewed most, and one who takes older answers would still be given it.

use std::time::Duration;

use tokio::time::Instant;

use super::Inner;
use crate::storage::Db;
use crate::storage::queries::privacy::erasures;

/// How often it is asked whether somebody was erased.
const LOOK: Duration = Duration::from_secs(1);
/// After how long everything is forgotten once more: what was being answered then is answered, or
/// given up.
const AGAIN: Duration = Duration::from_secs(35);

impl Inner {
    /// Forgets everything whenever somebody was erased, for ever.
    pub(super) async fn forget_the_erased(&self, db: &Db) {
        let (mut here, mut shared) = (None, None);
        let mut again: Option<Instant> = None;
        loop {
            match erasures(db.control()).await {
                Ok(count) => {
                    if here.is_some_and(|known| known != count) {
                        self.forget();
                        again = Some(Instant::now() + AGAIN);
                    }
                    here = Some(count);
                    if shared != Some(count) && self.forget_shared(count, false).await {
                        shared = Some(count);
                    }
                    if again.is_some_and(|at| at <= Instant::now()) {
                        self.forget();
                        self.forget_shared(count, true).await;
                        again = None;
                    }
                }
                Err(error) => tracing::debug!(%error, "whether somebody was erased is not known"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn forget(&self) {
        self.entries.invalidate_all();
        self.documents.forget();
    }

    /// What is in Redis, unless that was done after so many erasures; whether it is done.
    async fn forget_shared(&self, count: i64, once_more: bool) -> bool {
        match &self.shared {
            Some(shared) => shared.forget(count, once_more).await,
            None => true,
        }
    }
}
