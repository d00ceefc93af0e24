//! The edge: GraphQL over HTTP, over sockets and as events, to the letter; documents that are
//! hostile; the listener.

mod audits;
mod clients;
mod documents;
mod events;
mod headers;
mod hostile;
mod http;
mod listener;
mod relay;
mod socket;
mod tls;
