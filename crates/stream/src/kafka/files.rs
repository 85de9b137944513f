//! Files that settings name: secrets and certificates.

use std::path::Path;

use super::secret::Secret;
use crate::log::LogError;

/// Files of secrets and certificates are at most so large, bytes: a bundle of all public authorities has 200 KiB.
const FILE_BYTES_MAX: u64 = 1 << 20;

fn read(setting: &str, file: &Path) -> Result<String, LogError> {
    let failed = |why: &str| LogError::fatal(format!("{setting} = {}: {why}", file.display()));
    let size = std::fs::metadata(file).map_err(|error| failed(&error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(failed("it is larger than 1 MiB"));
    }
    std::fs::read_to_string(file).map_err(|error| failed(&error.to_string()))
}

/// The secret of a setting, or what the file of its `…_file` holds; the line's end in a file is not part of it.
pub(super) fn secret(setting: &str, given: &Secret, file: &Path) -> Result<Secret, LogError> {
    if file == Path::new("") {
        return Ok(given.clone());
    }
    let setting = format!("{setting}_file");
    let text = read(&setting, file)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() || text.contains(['\n', '\0']) {
        return Err(LogError::fatal(format!("{setting} = {}: it is not one line", file.display())));
    }
    Ok(Secret::from(text.to_owned()))
}

/// What a file in PEM holds.
pub(super) fn pem(setting: &str, file: &Path) -> Result<String, LogError> {
    let text = read(setting, file)?;
    if text.contains("-----BEGIN ") {
        return Ok(text);
    }
    Err(LogError::fatal(format!("{setting} = {}: it is not PEM", file.display())))
}
