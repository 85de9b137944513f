//! The key that turns secrets into HMACs: made once per data directory, readable by its owner only, never logged.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use tributary_ingest::secret::HmacHasher;

/// Bytes of a new key: as long as the hash, beyond which HMAC gains nothing.
const KEY_BYTES: usize = 32;

/// Reads the key under this directory, or makes it.
///
/// Whoever loses it loses nothing but continuity: the same secret then gets another id.
pub fn secret_hasher(directory: &Path) -> anyhow::Result<HmacHasher> {
    let path = directory.join("secret.key");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(&path)?,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    HmacHasher::from_text(text.trim()).map_err(|_| {
        anyhow::anyhow!(
            "{} does not hold a key of {KEY_BYTES} bytes in hexadecimal: restore it from a backup",
            path.display()
        )
    })
}

fn create(path: &Path) -> anyhow::Result<String> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    // Written whole before it gets its name, so that a crash leaves no half key.
    let draft = path.with_extension("key.new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .with_context(|| format!("cannot write {}", draft.display()))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {}", draft.display()))?;
    std::fs::rename(&draft, path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(text)
}

/// A password nobody has to know, for the sink's account.
pub fn random_password() -> anyhow::Result<String> {
    let mut bytes = [0; 18];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
