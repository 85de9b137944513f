//! The architecture, checked: who may depend on whom, how large a file and a function may grow, no dead schema.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on should stop

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What each crate may import of ours: `model ← stream ← {ingest, correlate, sink} ← tributary`; `chdb` stands alone.
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("stream", &["model"]),
    ("ingest", &["model", "stream"]),
    ("correlate", &["model", "stream"]),
    ("sink", &["model", "stream"]),
    ("chdb", &[]),
    ("tributary", &["model", "stream", "ingest", "correlate", "sink", "chdb"]),
];

/// Lines of production code in a file: beyond this it is two subjects.
const FILE_LINES_MAX: usize = 500;
/// Lines of a function: beyond this it does not fit on a page.
const FUNCTION_LINES_MAX: usize = 70;
/// Half of all files are at most this long.
const FILE_LINES_MEDIAN_MAX: usize = 150;

/// The checkout. Not `tests/..`: a path that says `tests` would look like one of a test to [`production_files`].
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn files_below(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Source files of the crates, without tests, examples and benches.
fn production_files() -> Vec<PathBuf> {
    let is_test = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name == "tests.rs")
            || path.strip_prefix(root()).unwrap().components().any(|part| part.as_os_str() == "tests")
    };
    let mut files = Vec::new();
    for (krate, _) in ALLOWED {
        files.extend(
            files_below(&root().join("crates").join(krate).join("src"), "rs").into_iter().filter(|p| !is_test(p)),
        );
    }
    assert!(files.len() > 50, "the crates were found");
    files
}

/// The lines before an inline test module.
fn production_lines(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().collect();
    let inline_tests =
        lines.windows(2).position(|pair| pair[0].trim() == "#[cfg(test)]" && pair[1].starts_with("mod tests {"));
    lines[..inline_tests.unwrap_or(lines.len())].to_vec()
}

#[test]
fn crates_depend_only_downwards() {
    for (krate, allowed) in ALLOWED {
        let manifest = std::fs::read_to_string(root().join("crates").join(krate).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let dependencies = manifest["dependencies"].as_table().unwrap();
        for ours in dependencies.keys().filter_map(|name| name.strip_prefix("tributary-")) {
            assert!(allowed.contains(&ours), "crates/{krate} may not depend on crates/{ours}");
        }
    }
}

#[test]
fn the_model_and_the_steps_touch_no_world() {
    const FORBIDDEN: &[&str] =
        &["std::fs", "std::net", "std::env", "std::thread", "tokio", "SystemTime", "Instant::now", "rand::"];
    for path in production_files() {
        let text = path.to_string_lossy().into_owned();
        if !(text.contains("crates/model/src") || text.contains("crates/correlate/src")) {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        for line in production_lines(&source).iter().filter(|line| !line.trim_start().starts_with("//")) {
            for word in FORBIDDEN {
                assert!(!line.contains(word), "{}: {word} in pure code: {line}", path.display());
            }
        }
    }
}

#[test]
fn files_and_functions_fit_on_a_page() {
    let mut sizes = BTreeMap::new();
    let mut too_long = Vec::new();
    for path in production_files() {
        let source = std::fs::read_to_string(&path).unwrap();
        let lines = production_lines(&source);
        if lines.len() > FILE_LINES_MAX {
            too_long.push(format!("{}: {} lines (at most {FILE_LINES_MAX})", path.display(), lines.len()));
        }
        for (name, length) in functions(&lines) {
            if length > FUNCTION_LINES_MAX {
                too_long
                    .push(format!("{}: fn {name} has {length} lines (at most {FUNCTION_LINES_MAX})", path.display()));
            }
        }
        sizes.insert(path, lines.len());
    }
    let mut lengths: Vec<usize> = sizes.values().copied().collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    if median > FILE_LINES_MEDIAN_MAX {
        too_long.push(format!("the median file has {median} lines (at most {FILE_LINES_MEDIAN_MAX})"));
    }
    assert!(too_long.is_empty(), "\n{}", too_long.join("\n"));
}

/// Name and length of each function, by indentation: formatted code closes a function where its line began.
fn functions(lines: &[&str]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some((before, after)) = line.split_once("fn ") else { continue };
        let is_declaration = before.split_whitespace().all(|word| {
            word.starts_with("pub")
                || matches!(word, "async" | "const" | "unsafe" | "extern" | "\"C\"")
                || word.ends_with(')')
        });
        if !is_declaration {
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        let close = format!("{indent}}}");
        let end = lines[start..].iter().position(|line| *line == close).unwrap_or(0);
        let name = after.split(['(', '<']).next().unwrap_or_default();
        found.push((name.to_owned(), end + 1));
    }
    found
}

#[test]
fn every_module_says_what_it_is_for() {
    for path in production_files() {
        let source = std::fs::read_to_string(&path).unwrap();
        assert!(source.starts_with("//!"), "{} has no module header", path.display());
    }
}

#[test]
fn no_folder_or_file_hides_behind_a_vague_name() {
    for path in production_files() {
        for part in path.components().filter_map(|part| part.as_os_str().to_str()) {
            let stem = part.trim_end_matches(".rs");
            assert!(
                !["common", "utils", "util", "core", "helpers", "misc"].contains(&stem),
                "{}: name the noun",
                path.display()
            );
        }
    }
}

#[test]
fn every_schema_is_used() {
    let sources: String = production_files().iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let schemas = root().join("schemas");
    for path in files_below(&schemas, "sql").into_iter().chain(files_below(&schemas, "csv")) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(sources.contains(&name), "schemas: nothing reads {name}");
    }
    for path in files_below(&schemas.join("avro"), "avsc") {
        if path.components().any(|part| part.as_os_str() == "released") {
            continue;
        }
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(sources.contains(&format!("=> \"{stem}\"")), "schemas/avro: no record type uses {stem}");
    }
}
