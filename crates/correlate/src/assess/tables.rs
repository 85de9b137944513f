//! Decision tables as data, compiled in: BOD 26-04, SSVC Deployer, CISA Coordinator.
//! Each is total over its inputs; a missing, doubled or unknown cell fails the build's tests, never a decision.

use std::sync::LazyLock;

use serde::Serialize;
use tributary_model::severity::Band;

/// Whether anybody exploits it (SSVC Exploitation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exploitation {
    /// No evidence.
    #[default]
    None,
    /// A public proof of concept, or a demonstration against this component.
    Poc,
    /// Exploited in the wild.
    Active,
}

impl Exploitation {
    /// The word in the tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Exploitation::None => "none",
            Exploitation::Poc => "poc",
            Exploitation::Active => "active",
        }
    }
}

/// How reachable the system is (SSVC System Exposure).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum SystemExposure {
    Small,
    Controlled,
    Open,
}

impl SystemExposure {
    /// The word in the tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SystemExposure::Small => "small",
            SystemExposure::Controlled => "controlled",
            SystemExposure::Open => "open",
        }
    }
}

/// What harm it can do to people and the mission (SSVC Human Impact).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum HumanImpact {
    Low,
    Medium,
    High,
    VeryHigh,
}

impl HumanImpact {
    /// The word in the tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            HumanImpact::Low => "low",
            HumanImpact::Medium => "medium",
            HumanImpact::High => "high",
            HumanImpact::VeryHigh => "very_high",
        }
    }

    /// One step less; `Low` stays.
    #[must_use]
    pub const fn lower(self) -> HumanImpact {
        match self {
            HumanImpact::VeryHigh => HumanImpact::High,
            HumanImpact::High => HumanImpact::Medium,
            HumanImpact::Medium | HumanImpact::Low => HumanImpact::Low,
        }
    }
}

const BOD_TEXT: &str = include_str!("../../../../schemas/tables/bod-26-04.csv");
const DEPLOYER_TEXT: &str = include_str!("../../../../schemas/tables/ssvc-deployer.csv");
const COORDINATOR_TEXT: &str = include_str!("../../../../schemas/tables/cisa-coordinator.csv");

const NO_YES: &[&str] = &["no", "yes"];
const PARTIAL_TOTAL: &[&str] = &["partial", "total"];
const EXPLOITATION: &[&str] = &["none", "poc", "active"];
const EXPOSURE: &[&str] = &["small", "controlled", "open"];
const HUMAN_IMPACT: &[&str] = &["low", "medium", "high", "very_high"];
const WELL_BEING: &[&str] = &["low", "medium", "high"];

/// One outcome: the band, and the table's own word for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Band.
    pub band: Band,
    /// `60 days`, `attend`; empty where the table's word is the band.
    pub word: String,
}

/// A table in mixed-radix order of its columns.
#[derive(Debug)]
struct Table {
    columns: &'static [&'static [&'static str]],
    cells: Vec<Cell>,
}

static BOD: LazyLock<Table> = LazyLock::new(|| load(BOD_TEXT, &[NO_YES, NO_YES, NO_YES, PARTIAL_TOTAL]));
static DEPLOYER: LazyLock<Table> =
    LazyLock::new(|| load(DEPLOYER_TEXT, &[EXPLOITATION, EXPOSURE, NO_YES, HUMAN_IMPACT]));
static COORDINATOR: LazyLock<Table> =
    LazyLock::new(|| load(COORDINATOR_TEXT, &[EXPLOITATION, NO_YES, PARTIAL_TOTAL, WELL_BEING]));

#[allow(clippy::expect_used)] // the texts are compiled in, and a test reads every cell of each
fn load(text: &str, columns: &'static [&'static [&'static str]]) -> Table {
    parse(text, columns).expect("schemas/tables holds total tables")
}

fn parse(text: &str, columns: &'static [&'static [&'static str]]) -> Result<Table, String> {
    let size: usize = columns.iter().map(|values| values.len()).product();
    let mut cells: Vec<Option<Cell>> = vec![None; size];
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        if fields.len() <= columns.len() {
            return Err(format!("too few fields: {line}"));
        }
        let mut at = 0;
        for (values, field) in columns.iter().zip(&fields) {
            let digit = values.iter().position(|value| value == field).ok_or_else(|| format!("{field} in: {line}"))?;
            at = at * values.len() + digit;
        }
        let band = Band::ALL
            .into_iter()
            .find(|band| band.name() == fields[columns.len()])
            .ok_or_else(|| format!("no band in: {line}"))?;
        let word = fields.get(columns.len() + 1).unwrap_or(&"").to_string();
        if cells[at].replace(Cell { band, word }).is_some() {
            return Err(format!("twice: {line}"));
        }
    }
    let cells = cells.into_iter().collect::<Option<Vec<_>>>().ok_or("a combination has no cell")?;
    Ok(Table { columns, cells })
}

impl Table {
    fn cell(&self, digits: [usize; 4]) -> &Cell {
        let at = self.columns.iter().zip(digits).fold(0, |at, (values, digit)| at * values.len() + digit);
        &self.cells[at]
    }
}

/// BOD 26-04: in KEV, exposed to the internet, automatable, total technical impact.
#[must_use]
#[allow(clippy::fn_params_excessive_bools)] // the table's own columns
pub fn bod(kev: bool, exposed: bool, automatable: bool, total: bool) -> &'static Cell {
    BOD.cell([usize::from(kev), usize::from(exposed), usize::from(automatable), usize::from(total)])
}

/// SSVC Deployer v1.0.0.
#[must_use]
pub fn deployer(
    exploitation: Exploitation,
    exposure: SystemExposure,
    automatable: bool,
    impact: HumanImpact,
) -> &'static Cell {
    DEPLOYER.cell([exploitation as usize, exposure as usize, usize::from(automatable), impact as usize])
}

/// CISA Coordinator v2.0.3. Mission and well-being: `Low`, `Medium`, `High`; `VeryHigh` counts as `High`.
#[must_use]
pub fn coordinator(
    exploitation: Exploitation,
    automatable: bool,
    total: bool,
    well_being: HumanImpact,
) -> &'static Cell {
    let well_being = (well_being as usize).min(WELL_BEING.len() - 1);
    COORDINATOR.cell([exploitation as usize, usize::from(automatable), usize::from(total), well_being])
}

#[cfg(test)]
mod tests;
