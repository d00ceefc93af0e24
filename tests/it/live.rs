//! Live windows over the socket.
