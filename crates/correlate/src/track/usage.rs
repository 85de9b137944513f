//! Which package a binary or library in use belongs to. By path where anything says so, else by the conventions of the
//! package's ecosystem; what matches nothing is not guessed.

use tributary_model::asset::{self, AssetKind};
use tributary_model::finding::{RuntimeVerdict, TrackedFinding};
use tributary_model::observation::UseLevel;
use tributary_model::package;
use tributary_model::path;
use tributary_model::profile::{AssetProfile, UsedFile};
use tributary_model::sighting::Package;

/// Shortest package name that is compared with file names: shorter ones (`go`, `R`, `bc`) are the start of too many.
const NAME_MIN: usize = 3;

/// What sensors say about the package of a finding. Never lower than before: within one image, used once is used.
pub(super) fn verdict(tracked: &TrackedFinding, profile: &AssetProfile) -> RuntimeVerdict {
    let Some(package) = &tracked.sighting.package else { return tracked.runtime };
    let is_watched = profile.watched || !profile.used.is_empty();
    if asset::kind(&tracked.asset) != AssetKind::Image || !is_watched {
        return tracked.runtime;
    }
    let files = files_of(profile, package);
    let used = profile.used.iter().filter(|used| belongs(used, package, files)).map(|used| used.level).max();
    tracked.runtime.max(used.unwrap_or(UseLevel::Watched).into())
}

fn files_of<'a>(profile: &'a AssetProfile, package: &Package) -> &'a [String] {
    let at = profile.packages.binary_search_by(|files| files.purl.as_str().cmp(&package.purl));
    at.map_or(&[], |at| &profile.packages[at].files)
}

fn belongs(used: &UsedFile, package: &Package, files: &[String]) -> bool {
    let own = path::canonical(&package.file);
    let is_own = !own.is_empty() && (own == used.path || path::is_below(&own, &used.path));
    is_own || files.binary_search(&used.path).is_ok() || by_convention(&used.path, package)
}

fn by_convention(used: &str, package: &Package) -> bool {
    let base = used.rsplit('/').next().unwrap_or_default();
    if package.is_os_package || package::is_os(&package.ecosystem) {
        let source = package.source_purl.rsplit('/').next().unwrap_or_default();
        return is_system_path(used)
            && (names_os_file(&package.name, base) || (base.contains(".so") && names_os_file(source, base)));
    }
    let name = package.name.as_str();
    match package.ecosystem.as_str() {
        "maven" => {
            let artifact = name.rsplit([':', '/']).next().unwrap_or_default();
            is_archive(base) && is_versioned(base, artifact)
        }
        "npm" => contains_directory(used, "node_modules", name),
        "pypi" => {
            let module = name.replace('-', "_").to_ascii_lowercase();
            let used = used.to_ascii_lowercase();
            contains_directory(&used, "site-packages", &module) || contains_directory(&used, "dist-packages", &module)
        }
        "gem" => used.rsplit_once("/gems/").is_some_and(|(_, rest)| is_versioned(rest, name)),
        _ => false,
    }
}

fn is_system_path(used: &str) -> bool {
    let below = |prefix: &str| path::is_below(used, prefix);
    ["bin", "sbin", "lib", "lib64", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "usr/libexec"].into_iter().any(below)
}

/// `nginx` owns `nginx` and `nginx-debug`; `libssl3` owns `libssl.so.3`; `python3.11` owns `python3.11`.
fn names_os_file(name: &str, base: &str) -> bool {
    if name.len() < NAME_MIN {
        return false;
    }
    if let Some((stem, _)) = base.split_once(".so") {
        let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
        return name.len() >= NAME_MIN && (stem == name || stem.strip_prefix("lib") == Some(name));
    }
    base.strip_prefix(name).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphabetic()))
}

fn is_archive(base: &str) -> bool {
    [".jar", ".war", ".ear"].iter().any(|end| base.ends_with(end))
}

/// `log4j-core-2.14.1.jar` and `log4j-core.jar` are versions of `log4j-core`; `log4j-core-extras-1.jar` is not.
fn is_versioned(text: &str, name: &str) -> bool {
    let Some(rest) = text.strip_prefix(name).filter(|_| !name.is_empty()) else { return false };
    rest.starts_with('.') || rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn contains_directory(used: &str, parent: &str, name: &str) -> bool {
    used.match_indices(parent).any(|(at, _)| {
        let rest = used[at + parent.len()..].strip_prefix('/').and_then(|rest| rest.strip_prefix(name));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
    })
}

#[cfg(test)]
mod tests {
    use tributary_model::sighting::Package;

    use super::by_convention;

    fn check(ecosystem: &str, name: &str, used: &str) -> bool {
        let package = Package { ecosystem: ecosystem.into(), name: name.into(), ..Package::default() };
        by_convention(used, &package)
    }

    #[test]
    fn conventions() {
        for (ecosystem, name, used, expected) in [
            ("deb", "nginx", "usr/sbin/nginx", true),
            ("deb", "nginx", "usr/sbin/nginx-debug", true),
            ("deb", "nginx", "app/nginx", false),
            ("deb", "git", "usr/bin/github", false),
            ("deb", "libssl3", "usr/lib/x86_64-linux-gnu/libssl.so.3", true),
            ("deb", "libssl3", "usr/lib/libsslx.so.3", false),
            ("apk", "go", "usr/bin/go", false),
            ("rpm", "python3", "usr/bin/python3.11", true),
            ("maven", "org.apache.logging.log4j:log4j-core", "app/lib/log4j-core-2.14.1.jar", true),
            ("maven", "org.apache.logging.log4j:log4j-core", "app/lib/log4j-core-extras-1.jar", false),
            ("npm", "@babel/core", "app/node_modules/@babel/core/lib/index.js", true),
            ("npm", "core", "app/node_modules/core-js/x.js", false),
            ("pypi", "PyYAML-env", "usr/lib/python3/site-packages/pyyaml_env/x.so", true),
            ("gem", "rack", "usr/lib/ruby/gems/3.2/gems/rack-2.2.3/lib/rack.rb", true),
            ("gem", "rack", "ruby/gems/rack-2.2.3/lib/rack.rb", true),
            ("golang", "anything", "usr/bin/anything", false),
        ] {
            assert_eq!(check(ecosystem, name, used), expected, "{ecosystem} {name} {used}");
        }
    }
}
