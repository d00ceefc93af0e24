//! kill -9 of the server in the middle of everything: nothing acknowledged is lost or doubled.
