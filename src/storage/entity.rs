//! The tables as SeaORM entities, in the dense format: columns and relations in one place.
//!
//! The four at the heart are [`event`], [`user`], [`pageview`] and [`purchase`]; [`refund`] is what
//! was paid back. Relations carry the tenant, so that no join crosses a tenant; those between facts
//! carry the timestamp too, so that a join stays within one partition.

pub mod api_key;
pub mod audit;
pub mod event;
pub mod event_schema;
pub mod pageview;
pub mod product;
pub mod purchase;
pub mod quarantine;
pub mod raw_json;
pub mod refund;
pub mod sales_minute;
pub mod tenant;
pub mod traffic_minute;
pub mod user;
pub mod user_agent;
pub mod user_day;
pub mod watermark;
