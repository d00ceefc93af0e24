//! `metrics`: one language for every number.

mod cost;
mod measures;
mod naive;
pub mod random;
mod shapes;
mod words;
pub mod world;
mod zones;
