//! The package of a sighting from what a report gives: a purl, else an ecosystem and a name.

use tributary_model::package::{self, ParsedPurl};
use tributary_model::sighting::Package;

/// A package from a purl; `None` when it is not one.
pub fn from_purl(purl: &str) -> Option<Package> {
    let ParsedPurl { purl, ecosystem, name, version, upstream } = package::parse(purl)?;
    let mut package =
        Package { is_os_package: package::is_os(&ecosystem), purl, name, version, ecosystem, ..Package::default() };
    set_source(&mut package, &upstream);
    Some(package)
}

/// A package where the report gives no purl. `ecosystem` is a purl type; `distribution` the namespace of OS packages.
pub fn build(ecosystem: &str, distribution: &str, name: &str, version: &str) -> Package {
    let is_os_package = package::is_os(ecosystem);
    let full_name =
        if is_os_package && !distribution.is_empty() { format!("{distribution}/{name}") } else { name.to_owned() };
    let mut package = Package {
        purl: package::build(ecosystem, &full_name),
        name: name.trim().to_owned(),
        version: version.trim().to_owned(),
        ecosystem: ecosystem.to_ascii_lowercase(),
        is_os_package,
        ..Package::default()
    };
    set_source(&mut package, "");
    package
}

/// Sets the source package of an OS package, which is its identity: every binary package built from `openssl` has its flaws.
/// An unknown source is taken to have the name of the binary package, which is right for most.
pub fn set_source(package: &mut Package, source: &str) {
    if !package.is_os_package {
        return;
    }
    let source = source_name(source);
    if source.is_empty() {
        if package.source_purl.is_empty() {
            package.source_purl.clone_from(&package.purl);
        }
        return;
    }
    let prefix = format!("pkg:{}/", package.ecosystem);
    let rest = package.purl.strip_prefix(&prefix).unwrap_or_default();
    let namespace = rest.rsplit_once('/').map_or("", |(namespace, _)| namespace);
    let full_name = if namespace.is_empty() { source.to_owned() } else { format!("{namespace}/{source}") };
    package.source_purl = package::build(&package.ecosystem, &full_name);
}

/// `openssl-1.1.1k-9.el8.src.rpm` → `openssl`; `krb5@1.20` and `krb5 (1.20)` → `krb5`.
fn source_name(source: &str) -> &str {
    let source = source.trim().split([' ', '@']).next().unwrap_or_default();
    match source.strip_suffix(".src.rpm") {
        Some(name) => name.rsplitn(3, '-').last().unwrap_or(name),
        None => source,
    }
}

/// Purl type and namespace of a Trivy `Type` or a Grype artifact type: `debian` → (`deb`, `debian`), `node-pkg` → (`npm`, ``).
/// Unknown types are `generic`.
pub fn ecosystem_of(kind: &str) -> (&'static str, String) {
    let lower = kind.trim().to_ascii_lowercase();
    let os = match lower.as_str() {
        "debian" | "ubuntu" | "echo" => "deb",
        "alpine" | "wolfi" | "chainguard" | "minimos" => "apk",
        "redhat" | "centos" | "rocky" | "alma" | "oracle" | "amazon" | "fedora" | "photon" | "azurelinux"
        | "cbl-mariner" => "rpm",
        suse if suse.contains("suse") || suse == "sles" => "rpm",
        _ => "",
    };
    if !os.is_empty() {
        return (os, distribution(&lower).to_owned());
    }
    let language = match lower.as_str() {
        "deb" | "dpkg" => "deb",
        "apk" => "apk",
        "rpm" => "rpm",
        "npm" | "yarn" | "pnpm" | "bun" | "node-pkg" | "nodejs" | "node.js" | "javascript" => "npm",
        "pip" | "pipenv" | "poetry" | "uv" | "python-pkg" | "python" | "pypi" | "wheel" | "pylock" => "pypi",
        "conda-pkg" | "conda" | "conda-environment" => "conda",
        "pom" | "jar" | "gradle" | "gradle-lockfile" | "sbt" | "java" | "maven" | "java-archive" | "jenkins-plugin" => {
            "maven"
        }
        "gomod" | "gobinary" | "go" | "golang" | "go-module" => "golang",
        "cargo" | "rustbinary" | "rust" | "rust-crate" | "rust-binary" => "cargo",
        "composer" | "composer-vendor" | "php" | "php-composer" => "composer",
        "bundler" | "gemspec" | "gem" | "ruby" | "rubygems" => "gem",
        "nuget" | "dotnet-core" | "packages-props" | "dotnet" | ".net" => "nuget",
        "conan" => "conan",
        "pub" | "dart" | "dart-pub" => "pub",
        "hex" | "mix" | "mix-lock" | "erlang" => "hex",
        "swift" => "swift",
        "cocoapods" | "pod" => "cocoapods",
        "julia" => "julia",
        "bitnami" => "bitnami",
        _ => "generic",
    };
    (language, String::new())
}

/// The namespace that purls use for a distribution.
fn distribution(lower: &str) -> &str {
    match lower {
        "rocky" => "rocky",
        "alma" => "almalinux",
        name if name.starts_with("opensuse") => "opensuse",
        name if name.contains("suse") || name == "sles" => "suse",
        name => name,
    }
}

/// Splits `11.0.14, 10.1.49` into versions.
pub fn versions(text: &str) -> Vec<String> {
    text.split([',', ' ']).map(str::trim).filter(|version| !version.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_the_identity_of_an_os_package() {
        let from = |purl: &str| from_purl(purl).unwrap().source_purl;
        assert_eq!(from("pkg:deb/debian/libssl3@3.0.11?upstream=openssl%403.0.11"), "pkg:deb/debian/openssl");
        assert_eq!(
            from("pkg:rpm/redhat/openssl-libs@1?upstream=openssl-1.1.1k-9.el8.src.rpm"),
            "pkg:rpm/redhat/openssl"
        );
        assert_eq!(from("pkg:apk/alpine/busybox@1"), "pkg:apk/alpine/busybox");
        assert_eq!(from("pkg:npm/lodash@4"), "");
    }

    #[test]
    fn without_a_purl_one_is_built() {
        let (ecosystem, distribution) = ecosystem_of("debian");
        let mut package = build(ecosystem, &distribution, "libssl3", "3.0.11");
        set_source(&mut package, "openssl");
        assert_eq!(
            (package.purl.as_str(), package.source_purl.as_str()),
            ("pkg:deb/debian/libssl3", "pkg:deb/debian/openssl")
        );
        assert_eq!(build("maven", "", "org.a:b", "1").purl, "pkg:maven/org.a/b");
        assert_eq!(ecosystem_of("node-pkg").0, "npm");
        assert_eq!(ecosystem_of("opensuse.leap"), ("rpm", "opensuse".to_owned()));
        assert_eq!(versions("11.0.14, 10.1.49"), ["11.0.14", "10.1.49"]);
    }
}
