//! Narrows what the engine process may open (Linux Landlock): its tables, its library, and what a process needs.
//! The SQL rules come first; this stands behind them, for the function or format that nobody thought of.

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus,
};
use std::path::Path;

/// Files that the engine reads: its own state, CPU topology, time zones. And every loaded library, because it prints
/// the stack of each exception: not finding one made it abort.
const READABLE: &[&str] = &[
    "/proc",
    "/sys",
    "/usr/share/zoneinfo",
    "/etc/localtime",
    "/dev/null",
    "/dev/urandom",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
];

/// Restricts this process, once and for good. `writable` keeps all rights; the kernel may lack some or all of this,
/// which the return value says. Call it before the engine starts its threads: they inherit it.
///
/// # Errors
/// The kernel has Landlock but refused the rules.
pub(crate) fn restrict(library: &Path, writable: &Path) -> Result<bool, String> {
    let abi = ABI::V5;
    let all = AccessFs::from_all(abi);
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)
        // Without a rule for any port: no connection out, and no listener besides the one that was handed over.
        .and_then(|ruleset| ruleset.handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp))
        .and_then(Ruleset::create)
        .map_err(|error| error.to_string())?;
    let program = Path::new("/proc/self/exe");
    let readable = READABLE.iter().map(Path::new).chain([library, program]);
    for (path, access) in readable.map(|path| (path, read)).chain([(writable, all), (Path::new("/dev/null"), all)]) {
        // What is absent on this machine needs no rule.
        let Ok(file) = PathFd::new(path) else { continue };
        let access = if path.is_dir() { access } else { access & AccessFs::from_file(abi) };
        rules = rules.add_rule(PathBeneath::new(file, access)).map_err(|error| error.to_string())?;
    }
    let status = rules.restrict_self().map_err(|error| error.to_string())?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}
