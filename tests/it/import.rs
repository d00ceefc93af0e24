//! Files in: CDNOW's published figures, restarts, mappings.
