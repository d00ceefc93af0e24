//! Events in: receipts, replays, conflicts, bad input, a database that is away.
