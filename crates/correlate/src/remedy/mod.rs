//! What would fix the most, and whom to ask.
