//! The schema goes up, down and up again.
