//! Secrets become keyed HMACs at parse, so that nothing downstream can hold one. The key never leaves this module.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::event::SecretHasher;

/// Shorter keys could be found by trying them all against a known secret.
pub const KEY_BYTES_MIN: usize = 16;

/// Why a key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret key has {0} bytes; at least {KEY_BYTES_MIN} are needed (`head -c 32 /dev/urandom | xxd -p -c 64`)")]
pub struct KeyTooShort(pub usize);

/// HMAC-SHA-256 with one key. Equal secrets give equal values under one key, which is what finds one secret in many
/// places; under another key they share nothing.
#[derive(Clone)]
pub struct HmacHasher {
    mac: Hmac<Sha256>,
    key_id: String,
}

impl std::fmt::Debug for HmacHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HmacHasher").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl HmacHasher {
    /// A hasher with this key; its id is derived from the key and tells nothing about it.
    ///
    /// # Errors
    /// When the key has fewer than [`KEY_BYTES_MIN`] bytes.
    pub fn new(key: &[u8]) -> Result<Self, KeyTooShort> {
        if key.len() < KEY_BYTES_MIN {
            return Err(KeyTooShort(key.len()));
        }
        let mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| KeyTooShort(key.len()))?;
        let digest = Sha256::new().chain_update(b"tributary secret key id\0").chain_update(key).finalize();
        Ok(Self { mac, key_id: hex(&digest[..4]) })
    }

    /// A hasher with the key that a file or variable holds: hexadecimal digits where it is all of them, else the bytes
    /// without surrounding white space.
    ///
    /// # Errors
    /// As [`HmacHasher::new`].
    pub fn from_text(text: &str) -> Result<Self, KeyTooShort> {
        let text = text.trim();
        let is_hex =
            text.len().is_multiple_of(2) && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex {
            return Self::new(text.as_bytes());
        }
        let pairs = text.as_bytes().chunks_exact(2);
        let key: Vec<u8> = pairs.map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
        Self::new(&key)
    }
}

impl SecretHasher for HmacHasher {
    fn hmac(&self, secret: &str) -> String {
        let mut mac = self.mac.clone();
        mac.update(secret.as_bytes());
        hex(&mac.finalize().into_bytes())
    }

    fn key_id(&self) -> &str {
        &self.key_id
    }
}

/// Whether `signature` (hexadecimal) is the HMAC-SHA-256 of `body` under `key`, in constant time.
#[must_use]
pub fn verify(key: &[u8], body: &[u8], signature: &str) -> bool {
    let signature = signature.trim();
    if signature.len() != 64 || !signature.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return false;
    }
    let bytes: Vec<u8> =
        signature.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
    Hmac::<Sha256>::new_from_slice(key).is_ok_and(|mut mac| {
        mac.update(body);
        mac.verify_slice(&bytes).is_ok()
    })
}

fn digit(byte: u8) -> u8 {
    (byte as char).to_digit(16).unwrap_or(0) as u8
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        use std::fmt::Write;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors() {
        // RFC 4231, test case 1.
        let key = "0b".repeat(20);
        let expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        let hasher = HmacHasher::from_text(&format!(" {key}\n")).unwrap();
        assert_eq!(hasher.hmac("Hi There"), expected);
        assert!(verify(&[0x0b; 20], b"Hi There", expected));
        assert!(verify(&[0x0b; 20], b"Hi There", &expected.to_uppercase()));
        for bad in ["", "00", &expected[..62], &expected.replace('b', "c"), &"zz".repeat(32)] {
            assert!(!verify(&[0x0b; 20], b"Hi There", bad), "{bad}");
        }
    }

    #[test]
    fn keys_differ_and_stay_inside() {
        let one = HmacHasher::new(&[1; 32]).unwrap();
        let two = HmacHasher::from_text("not hexadecimal, 31 characters.").unwrap();
        assert_ne!(one.key_id(), two.key_id());
        assert_ne!(one.hmac("hunter2"), two.hmac("hunter2"));
        assert_eq!(one.key_id().len(), 8);
        assert!(!format!("{one:?}").contains("01"), "{one:?}");
        assert_eq!(HmacHasher::from_text("short").unwrap_err(), KeyTooShort(5));
        assert_eq!(HmacHasher::from_text("").unwrap_err(), KeyTooShort(0));
    }
}
