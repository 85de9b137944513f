//! Packs the sample estate into one compressed file that the binary carries, so that `demo` needs nothing else.

use std::io::Write;
use std::path::{Path, PathBuf};

fn main() {
    let estate = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/estate");
    println!("cargo:rerun-if-changed={}", estate.display());
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join("estate.zst");
    let mut files = Vec::new();
    collect(&estate, &estate, &mut files);
    files.sort();
    let mut packed = Vec::new();
    for (name, path) in files {
        let body = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for part in [name.as_bytes(), &body] {
            packed.extend_from_slice(&(part.len() as u32).to_le_bytes());
            packed.extend_from_slice(part);
        }
    }
    let compressed = zstd::encode_all(packed.as_slice(), 15).unwrap_or_else(|error| panic!("cannot compress: {error}"));
    std::fs::File::create(&out)
        .and_then(|mut file| file.write_all(&compressed))
        .unwrap_or_else(|error| panic!("{}: {error}", out.display()));
}

fn collect(root: &Path, directory: &Path, files: &mut Vec<(String, PathBuf)>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if let Ok(name) = path.strip_prefix(root) {
            files.push((name.to_string_lossy().replace('\\', "/"), path));
        }
    }
}
