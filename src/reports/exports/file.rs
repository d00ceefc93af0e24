//! A file that is being written: packed in pieces, each stored as soon as it is full.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use uuid::Uuid;

use crate::error::{Code, Problem};
use crate::storage::Db;
use crate::storage::writes::exports as writes;

/// How many rows an export may have, and how many bytes, packed.
const MAX_ROWS: u64 = 5_000_000;
const MAX_BYTES: u64 = 512 * 1024 * 1024;
/// How many bytes are packed together, about: even those that cannot be made smaller are less than
/// 1 MiB with the row that comes last.
const PIECE: usize = 768 * 1024;

/// Why a file is not written on.
#[derive(Debug)]
pub enum Stop {
    /// It is somebody else's by now, or was deleted.
    Lost,
    /// It cannot be.
    Problem(Problem),
}

impl<T: Into<Problem>> From<T> for Stop {
    fn from(problem: T) -> Self {
        Self::Problem(problem.into())
    }
}

/// The file of an export.
#[allow(missing_debug_implementations, reason = "it is mostly bytes")]
pub struct File<'a> {
    db: &'a Db,
    /// Which export, and at which attempt.
    which: (Uuid, i32),
    waiting: Vec<u8>,
    rows: u64,
    bytes: u64,
}

impl<'a> File<'a> {
    pub(super) fn new(db: &'a Db, which: (Uuid, i32)) -> Self {
        Self {
            db,
            which,
            waiting: Vec::with_capacity(PIECE),
            rows: 0,
            bytes: 0,
        }
    }

    /// Writes some text, which ends so many rows: less than 200 KiB at a time.
    ///
    /// # Errors
    /// [`Code::ExportTooLarge`], that the database is away, or that the export is no longer ours.
    pub async fn write(&mut self, text: &[u8], rows: u64) -> Result<(), Stop> {
        self.waiting.extend_from_slice(text);
        self.rows += rows;
        if self.rows > MAX_ROWS {
            return Err(Problem::new(Code::ExportTooLarge).into());
        }
        if self.waiting.len() < PIECE {
            return Ok(());
        }
        self.store().await
    }

    /// Stores what is left.
    pub(super) async fn close(mut self) -> Result<(), Stop> {
        // Even nothing is a file.
        if self.waiting.is_empty() && self.bytes > 0 {
            return Ok(());
        }
        self.store().await
    }

    async fn store(&mut self) -> Result<(), Stop> {
        let waiting = std::mem::take(&mut self.waiting);
        let packing = tokio::task::spawn_blocking(move || packed(waiting));
        let (packed, waiting) = packing.await.map_err(|_| Code::Internal)?;
        self.waiting = waiting;
        let begins = i64::try_from(self.bytes).map_err(|_| Code::ExportTooLarge)?;
        let rows = i64::try_from(self.rows).map_err(|_| Code::ExportTooLarge)?;
        self.bytes += packed.len() as u64;
        if self.bytes > MAX_BYTES {
            return Err(Problem::new(Code::ExportTooLarge).into());
        }
        if writes::append(self.db, self.which, begins, &packed, rows).await? {
            Ok(())
        } else {
            Err(Stop::Lost)
        }
    }
}

/// A member of a gzip file, and the room that the text took.
fn packed(mut text: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&text)
        .expect("writing to memory cannot fail");
    text.clear();
    let packed = gzip.finish().expect("writing to memory cannot fail");
    (packed, text)
}
