//! Which format a record is in: the declared one, else the event type, else the shape of the bytes.
