//! `metrics`: one language for every number.

mod measures;
mod naive;
pub mod random;
mod shapes;
mod words;
pub mod world;
