//! What the server tells its operators: logs and metrics. A leaf.

pub mod logs;
pub mod metrics;
