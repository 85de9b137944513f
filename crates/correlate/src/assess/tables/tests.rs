//! Every cell against the published tables, typed here a second time in their compact form.

use super::*;

#[test]
fn bod_cell_by_cell() {
    // Rows KEV × exposed, columns no/partial, no/total, yes/partial, yes/total.
    let published = [
        (false, false, ["fix on system upgrade", "fix on system upgrade", "60 days", "60 days"]),
        (false, true, ["60 days", "14 days", "14 days", "3 days"]),
        (true, false, ["14 days", "14 days", "14 days", "3 days and forensic triage"]),
        (true, true, ["14 days", "3 days and forensic triage", "3 days", "3 days and forensic triage"]),
    ];
    for (kev, exposed, row) in published {
        for (column, word) in row.into_iter().enumerate() {
            let cell = bod(kev, exposed, column >= 2, column % 2 == 1);
            let band = match word {
                "fix on system upgrade" => Band::Defer,
                "60 days" => Band::Scheduled,
                "14 days" => Band::OutOfCycle,
                _ => Band::Immediate,
            };
            assert_eq!((cell.word.as_str(), cell.band), (word, band), "kev {kev} exposed {exposed} column {column}");
        }
    }
}

#[test]
fn deployer_cell_by_cell() {
    let published = [
        (Exploitation::None, ["DDSS", "DSSS", "DSSS", "SSSS", "DSSS", "SSSO"]),
        (Exploitation::Poc, ["DSSS", "SSSS", "DSSS", "SSSO", "SSSO", "SSOO"]),
        (Exploitation::Active, ["SSOO", "SOOO", "SSOO", "OOOO", "SOOI", "OOII"]),
    ];
    let exposures = [SystemExposure::Small, SystemExposure::Controlled, SystemExposure::Open];
    let impacts = [HumanImpact::Low, HumanImpact::Medium, HumanImpact::High, HumanImpact::VeryHigh];
    for (exploitation, columns) in published {
        for (column, letters) in columns.into_iter().enumerate() {
            for (letter, impact) in letters.chars().zip(impacts) {
                let band = match letter {
                    'D' => Band::Defer,
                    'S' => Band::Scheduled,
                    'O' => Band::OutOfCycle,
                    _ => Band::Immediate,
                };
                let cell = deployer(exploitation, exposures[column / 2], column % 2 == 1, impact);
                assert_eq!(cell.band, band, "{exploitation:?} column {column} {impact:?}");
            }
        }
    }
}

#[test]
fn coordinator_cell_by_cell() {
    let published = [
        (Exploitation::None, ["T/T/T", "T/T/T*", "T/T/AT", "T/T/AT"]),
        (Exploitation::Poc, ["T/T/T*", "T/T*/AT", "T/T/AT", "T/T*/AT"]),
        (Exploitation::Active, ["T/T/AT", "T/AT/AC", "AT/AT/AC", "AT/AC/AC"]),
    ];
    for (exploitation, columns) in published {
        for (column, levels) in columns.into_iter().enumerate() {
            let impacts = [HumanImpact::Low, HumanImpact::Medium, HumanImpact::High];
            for (level, impact) in levels.split('/').zip(impacts) {
                let (word, band) = match level {
                    "T" => ("track", Band::Defer),
                    "T*" => ("track*", Band::Scheduled),
                    "AT" => ("attend", Band::OutOfCycle),
                    _ => ("act", Band::Immediate),
                };
                let cell = coordinator(exploitation, column >= 2, column % 2 == 1, impact);
                assert_eq!(
                    (cell.word.as_str(), cell.band),
                    (word, band),
                    "{exploitation:?} column {column} {impact:?}"
                );
            }
        }
    }
}

#[test]
fn a_table_with_a_hole_or_a_double_is_refused() {
    const COLUMNS: &[&[&str]] = &[NO_YES];
    assert!(parse("kev,band\nno,defer\n", COLUMNS).is_err());
    assert!(parse("kev,band\nno,defer\nno,defer\nyes,defer\n", COLUMNS).is_err());
    assert!(parse("kev,band\nno,defer\nyes,soon\n", COLUMNS).is_err());
    assert!(parse("kev,band\nno,defer\nyes,immediate\n", COLUMNS).is_ok());
}
