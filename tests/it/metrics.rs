//! `metrics`: one language for every number.

mod naive;
mod random;
mod shapes;
mod words;
