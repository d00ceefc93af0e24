//! The words of the field as types: outside text becomes one of these once, at the edge.
//!
//! Pure and a leaf: no I/O, no clock, no other room. A new word gets a file of its own.

pub mod audit;
pub mod batch;
pub mod calendar;
pub mod condition;
pub mod event;
pub mod identity;
pub mod ip_address;
pub mod leak;
pub mod measure;
pub mod money;
pub mod network;
pub mod number;
pub mod person;
pub mod summary;
pub mod tenant;
