//! What the context says about assets.
