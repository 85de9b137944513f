//! What a component's findings mean, and what comes first.
