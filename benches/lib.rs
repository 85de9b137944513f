//! What the benches share: nothing but this package's name.
