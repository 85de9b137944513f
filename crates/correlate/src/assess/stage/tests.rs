//! The stage end to end: findings, context and intelligence in, records out.
