//! What has to be done from time to time: one file each, idempotent, harmless when several
//! processes do it at once.

pub mod erasures;
pub mod exports;
pub mod idempotency;
pub mod partitions;
pub mod quarantine;
pub mod retention;
pub mod summaries;
pub mod watermark;
