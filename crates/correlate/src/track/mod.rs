//! What was seen, on one asset.
