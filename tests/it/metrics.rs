//! `metrics`: one language for every number.

mod cost;
mod measures;
mod naive;
mod random;
mod shapes;
mod words;
mod world;
mod zones;
