//! The nouns of Tributary: what crosses each stage boundary, how it is identified, and how it is encoded.
//! No I/O, no async, no clock, no randomness: the four steps of correlation depend on that.

pub mod asset;
pub mod borrowed;
pub mod codec;
pub mod codeowners;
pub mod context;
pub mod entity;
pub mod fact;
pub mod finding;
pub mod id;
pub mod observation;
pub mod package;
pub mod path;
pub mod profile;
pub mod record;
pub mod reject;
pub mod remedy;
pub mod repository;
pub mod risk;
pub mod scan;
pub mod severity;
pub mod sighting;
pub mod time;
pub mod topic;
pub mod versions;

pub use codec::{AvroRecord, CodecError};
pub use topic::Topic;
