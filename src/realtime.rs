//! What is being sold right now: committed sales in, sliding windows out.
//!
//! The writer publishes what it committed on the [`bus`]; the [`hub`] keeps one [`window`] for
//! each tenant and length that someone watches, and hands its changes to all who watch it. It may
//! import storage, to read what a window starts from. The next live view: a file like `window.rs`
//! for its maths, a key in the hub.

pub mod bus;
pub mod hub;
pub mod window;
