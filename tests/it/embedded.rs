//! The private PostgreSQL: made, locked, supervised, recovered.
