//! Schema files and types agree; records round-trip; damage is an error and never a panic.

use super::*;

/// `schemas/avro/*.avsc` is the source of truth; this fails when a type drifts from it.
/// `UPDATE_SCHEMAS=1 cargo test -p tributary-model` rewrites the files from the types, for review.
#[test]
fn schema_files_and_types_agree() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/avro");
    for (name, schema) in derived() {
        let path = directory.join(format!("{name}.avsc"));
        let derived = serde_json::to_value(&schema).unwrap();
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(&path, serde_json::to_string_pretty(&derived).unwrap() + "\n").unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let file = apache_avro::Schema::parse_str(&text).unwrap();
        assert_eq!(file.canonical_form(), schema.canonical_form(), "{name}: type and schema file differ");
    }
}

/// Rolling upgrades: for a while two releases read each other's records, so a schema may change only in ways that Avro
/// resolves in both directions (a field with a default). `schemas/avro/released/<version>` holds what was released.
#[test]
fn schemas_are_compatible_with_their_last_release_in_both_directions() {
    use apache_avro::schema_compatibility::SchemaCompatibility;
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/avro/released");
    let number = |version: &str| version.split('.').map(|part| part.parse::<u32>().unwrap()).collect::<Vec<u32>>();
    let versions = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let last = versions.max_by_key(|version| number(version)).expect("something was released");
    let now = derived();
    let mut compared = 0;
    for entry in std::fs::read_dir(root.join(&last)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let released = apache_avro::Schema::parse_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let (_, current) = now.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name} is gone"));
        for (writer, reader, who) in
            [(&released, current, "this build reads"), (current, &released, "the last release reads")]
        {
            SchemaCompatibility::can_read(writer, reader)
                .unwrap_or_else(|error| panic!("{name}: not so that {who}: {error}"));
        }
        compared += 1;
    }
    assert!(compared > 0, "{last} holds no schema");
}

#[test]
fn a_record_round_trips() {
    let fact = Fact {
        entity: "image:sha256:00".into(),
        attribute: crate::fact::Attribute::BuiltFrom,
        qualifier: String::new(),
        value: "{}".into(),
        asserter: "slsa".into(),
        observed_at: -1,
        expires_at: Some(i64::MAX),
        origin: crate::reject::Origin { topic: "raw.cicd".into(), partition: 3, offset: 9 },
    };
    let bytes = fact.encode().unwrap();
    assert_eq!(Fact::decode(&bytes).unwrap(), fact);
    let risk = Risk { cvss_score: Some(9.8), kev: Some(true), ..Risk::default() };
    assert_eq!(Risk::decode(&risk.encode().unwrap()).unwrap(), risk);
}

#[test]
fn damage_is_an_error() {
    let bytes = Finding::default().encode().unwrap();
    assert!(matches!(Finding::decode(b""), Err(CodecError::NotAvro)));
    assert!(matches!(Finding::decode(b"{\"a\":1}     "), Err(CodecError::NotAvro)));
    assert!(matches!(Risk::decode(&bytes), Err(CodecError::UnknownSchema(..))));
    for cut in HEADER_BYTES..bytes.len() {
        assert!(Finding::decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

/// A release that lacks one of our fields and has one that we lack: its records are ours, with defaults.
#[test]
fn a_record_of_another_release_becomes_one_of_this() {
    use crate::Topic;
    #[derive(Serialize)]
    struct Theirs {
        mood: Vec<&'static str>,
        identity: &'static str,
        model: &'static str,
        activated_at: i64,
    }
    let schema = |with_by: bool| {
        let mut schema: serde_json::Value = serde_json::from_str(Versions::schema().text).unwrap();
        let fields = schema["fields"].as_array_mut().unwrap();
        fields.insert(
            0,
            serde_json::json!({"name": "mood", "type": {"type": "array", "items": "string"}, "default": []}),
        );
        fields.retain(|field| with_by || field["name"] != "activated_by");
        schema.to_string()
    };
    Versions::schema().check_exchange(Versions::schema().text).unwrap();
    Versions::schema().check_exchange(&schema(true)).unwrap();
    let lost = Versions::schema().check_exchange(&schema(false)).unwrap_err();
    assert!(lost.contains("activated_by") || lost.contains("default"), "no default tells what it was: {lost}");

    let (text, theirs) =
        (schema(false), Theirs { mood: vec!["good", "bad"], identity: "kv1", model: "tributary-1", activated_at: 7 });
    let writer = WriterSchema::parse(&text).unwrap();
    assert_ne!(writer.fingerprint, Versions::schema().fingerprint);
    let fast: serde_avro_fast::Schema = text.parse().unwrap();
    let mut config = serde_avro_fast::ser::SerializerConfig::new(&fast);
    let body = serde_avro_fast::to_datum_vec(&theirs, &mut config).unwrap();
    let ours = transcode(Topic::Versions, &writer, &body).unwrap().unwrap();
    assert_eq!(Versions::decode(&ours).unwrap(), Versions { activated_at: 7, ..Versions::default() });
    for cut in 0..body.len() {
        assert!(transcode(Topic::Versions, &writer, &body[..cut]).unwrap().is_err(), "cut at {cut}");
    }
    assert!(transcode(Topic::Versions, &writer, &[&body[..], b"x"].concat()).unwrap().is_err(), "a byte too many");
    assert!(transcode(Topic::Tickets, &writer, &body).is_none(), "JSON");
    assert!(transcode(Topic::Risks, &writer, &body).unwrap().is_err(), "of another topic");
}

#[test]
fn the_header_of_a_registry_is_no_rubbish() {
    let bytes = [&[0][..], &77_u32.to_be_bytes(), b"body"].concat();
    assert!(matches!(Risk::decode(&bytes), Err(CodecError::UnknownId(77))));
    assert!(matches!(Risk::decode(&[0, 1, 2]), Err(CodecError::NotAvro)));
    let record = Risk::default().encode().unwrap();
    let (fingerprint, body) = split(&record).unwrap();
    assert_eq!(with_header(fingerprint, body), record);
    assert_eq!(split(&bytes), None);
}

/// An independent reader (the reference implementation) understands what we write.
#[test]
fn the_reference_implementation_reads_our_bytes() {
    let risk = Risk { title: "x".into(), epss_ppm: Some(7), ..Risk::default() };
    let bytes = risk.encode().unwrap();
    let schema = apache_avro::Schema::parse_str(Risk::schema().text).unwrap();
    let value = apache_avro::from_avro_datum(&schema, &mut &bytes[HEADER_BYTES..], None).unwrap();
    assert_eq!(apache_avro::from_value::<Risk>(&value).unwrap(), risk);
}

/// Writing by position relies on what this holds the schemas to: unions are `[null, T]`, and nothing but the types that
/// [`write`] knows.
#[test]
fn schemas_have_only_the_shapes_that_are_written_by_position() {
    fn check(schema: &serde_json::Value, at: &str) {
        match schema {
            serde_json::Value::String(name) => {
                assert!(!matches!(name.as_str(), "float" | "bytes" | "null"), "{at}: {name}");
            }
            serde_json::Value::Array(branches) => {
                assert_eq!((branches.len(), branches[0].as_str()), (2, Some("null")), "{at}");
                check(&branches[1], at);
            }
            serde_json::Value::Object(object) => match object["type"].as_str() {
                Some("record") => {
                    for field in object["fields"].as_array().unwrap() {
                        check(&field["type"], &format!("{at}.{}", field["name"]));
                    }
                }
                Some("array") => check(&object["items"], at),
                Some("enum") => {}
                _ => check(&object["type"], at),
            },
            other => panic!("{at}: {other}"),
        }
    }
    for (name, schema) in schemas() {
        check(&serde_json::from_str(schema.text).unwrap(), name);
    }
}

/// A library that goes by names and schemas writes the same bytes, and reads them.
#[test]
fn bytes_by_position_are_those_by_name() {
    fn same<T: AvroRecord + PartialEq + std::fmt::Debug>(record: &T) {
        let bytes = record.encode().unwrap();
        let mut config = serde_avro_fast::ser::SerializerConfig::new(&T::schema().fast);
        let by_name = serde_avro_fast::to_datum_vec(record, &mut config).unwrap();
        assert_eq!(bytes[HEADER_BYTES..], by_name, "{}", T::NAME);
        assert_eq!(T::decode(&bytes).unwrap(), *record);
        assert_eq!(T::decode_as::<T>(&bytes).unwrap(), *record);
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(T::decode(&longer).is_err(), "{}: a byte too many", T::NAME);
    }
    let Samples { finding, risk, change, observation, scan, fact } = samples();
    same(&finding.tracked);
    same(&finding);
    same(&risk);
    same(&change);
    same(&observation);
    same(&scan);
    same(&fact);
    same(&EntityAssertions::default());
    same(&EntityContext::default());
    same(&AssetProfile::default());
    same(&RemedyMember::default());
    same(&Reject { size_bytes: 1 << 40, ..Default::default() });
}

/// Whatever the bytes, reading ends with a record or an error, and reserves no more than there are.
#[test]
fn damaged_bytes_never_panic() {
    let finding = Finding {
        tracked: TrackedFinding { components: vec!["abc".into(); 3], ..Default::default() },
        ..Default::default()
    };
    let bytes = finding.encode().unwrap();
    for at in HEADER_BYTES..bytes.len() {
        for value in [0, 1, 0x7F, 0x80, 0xFF] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            if let Ok(read) = Finding::decode(&damaged) {
                assert!(read.encode().is_ok());
            }
        }
    }
}

/// Records with every part filled.
pub(crate) struct Samples {
    pub(crate) finding: Finding,
    pub(crate) risk: Risk,
    pub(crate) change: Change,
    pub(crate) observation: Observation,
    pub(crate) scan: ScanRun,
    pub(crate) fact: Fact,
}

/// What [`write`] makes of a record in whatever form.
pub(crate) fn write_again<T: Serialize>(record: &T) -> Vec<u8> {
    let mut out = Vec::new();
    write::write(record, &mut out).unwrap();
    out
}

/// Bytes of a record without header.
pub(crate) fn body_of(bytes: &[u8]) -> &[u8] {
    &bytes[HEADER_BYTES..]
}

/// Texts are all different, so that two fields that change places show.
#[allow(clippy::too_many_lines)] // one literal
pub(crate) fn samples() -> Samples {
    use crate::finding::{Departure, FindingEnd, FindingState, RuntimeVerdict, ToolClaim};
    use crate::id::{FindingId, RiskId};
    use crate::observation::{InventoryItem, RuntimeUse, UseLevel};
    use crate::reject::Origin;
    use crate::risk::{ChangeKind, Contribution, DecisionStep, Evidence, Exposure, Fix, Owner, RiskState};
    use crate::scan::{ScanCompleted, ScanRef, ScanState};
    use crate::severity::{Band, Severity};
    use crate::sighting::{DependencyScope, Endpoint, FindingClass, Location, Package, Secret, Sighting, ToolStatus};
    let count = std::cell::Cell::new(0);
    let text = || {
        count.set(count.get() + 1);
        format!("text {} é", count.get())
    };
    let texts = || vec![text(), text()];
    let origin = || Origin { topic: text(), partition: 3, offset: 4 };
    let owner = || Owner { team: text(), source: text(), confidence: text() };
    let sighting = Sighting {
        class: FindingClass::Manual,
        rule: text(),
        title: text(),
        severity: Severity::High,
        cvss_vector: text(),
        cvss_score: Some(-0.0),
        aliases: vec![String::new(), "é".repeat(90)],
        cwes: vec![0, 79, u32::MAX],
        package: Some(Package {
            purl: text(),
            name: text(),
            version: text(),
            ecosystem: text(),
            source_purl: text(),
            is_os_package: true,
            manifest_dir: text(),
            file: text(),
            scope: DependencyScope::Test,
            fixed_versions: texts(),
            wont_fix: true,
            introduced_by: texts(),
        }),
        location: Some(Location {
            path: text(),
            start_line: 5,
            end_line: 6,
            line_hash: text(),
            snippet_hash: text(),
            enclosing: text(),
        }),
        secret: Some(Secret { hmac: text(), key_id: text(), family: text(), verified: true, revoked: false }),
        endpoint: Some(Endpoint { method: text(), path_template: text(), parameter: text() }),
        resource: text(),
        control: text(),
        count: 7,
        status: ToolStatus::Fixed,
        confidence: Severity::Low,
        reachable: Some(false),
    };
    let claim = ToolClaim {
        tool: text(),
        scope: text(),
        scan_id: text(),
        observed_at: 8,
        present: true,
        rule: text(),
        severity: Severity::Medium,
        cvss_vector: text(),
        cvss_score: Some(7.5),
        aliases: texts(),
        fixed_versions: texts(),
        verified: true,
        dismissed: false,
        confidence: Severity::Critical,
        reachable: Some(true),
    };
    let tracked = TrackedFinding {
        finding: FindingId([0xAB; 16]),
        asset: text(),
        sighting: sighting.clone(),
        sighting_tool: text(),
        claims: vec![claim, ToolClaim::default()],
        state: FindingState::Stale,
        first_seen: i64::MIN,
        state_since: i64::MAX,
        reopened: 9,
        runtime: RuntimeVerdict::Executed,
        components: texts(),
        attributed_by: text(),
        left: vec![Departure { component: text(), at: -1 }],
        counts: true,
        backfill: false,
        cause: origin(),
    };
    let risk = Risk {
        risk: RiskId([0xCD; 16]),
        component: text(),
        generation: 10,
        revision: 11,
        state: RiskState::Suppressed,
        class: FindingClass::Web,
        title: text(),
        name: text(),
        vulnerability_ids: texts(),
        cwes: vec![12],
        package: text(),
        installed_versions: texts(),
        place: text(),
        band: Band::Immediate,
        score: -13,
        severity: Severity::Critical,
        contributions: vec![Contribution {
            factor: text(),
            value: text(),
            source: text(),
            observed_at: 14,
            points: 15,
            assumed: true,
        }],
        decision: vec![DecisionStep { kind: text(), band: Band::Scheduled, reason: text(), assumed: false }],
        model_version: text(),
        inputs_digest: text(),
        owner: owner(),
        tier: 2,
        environments: texts(),
        exposure: Exposure::Open,
        deployed: Some(true),
        runtime: RuntimeVerdict::Loaded,
        kev: Some(false),
        epss_ppm: Some(16),
        cvss_score: Some(9.8),
        verified: true,
        fix: Fix { kind: text(), target: text(), scope: text(), version: text(), summary: text(), owner: owner() },
        first_seen: 17,
        opened_at: 18,
        clock_start: 19,
        due_at: Some(-20),
        resolved_at: Some(21),
        reopened: 22,
        suppressed_by: text(),
        confirmed_by: vec![RiskId([1; 16])],
        tools: texts(),
        evidence: vec![Evidence {
            finding: FindingId([2; 16]),
            asset: text(),
            tools: texts(),
            rules: texts(),
            location: text(),
            state: FindingState::Fixed,
            counts: true,
            first_seen: 23,
            runtime: RuntimeVerdict::NotSeen,
        }],
        evidence_total: 24,
        backfill: true,
        decided_at: 25,
        chain_head: text(),
    };
    let change = Change {
        risk: risk.risk,
        component: text(),
        generation: 26,
        revision: 27,
        kind: ChangeKind::Moved,
        fields: texts(),
        reason: text(),
        band_before: Band::Defer,
        band: Band::OutOfCycle,
        score: 28,
        state: RiskState::Resolved,
        other: Some(RiskId([3; 16])),
        actor: text(),
        cause: origin(),
        event_at: 29,
        decided_at: 30,
        model_version: text(),
        inputs_before: text(),
        inputs_after: text(),
        previous_hash: text(),
        hash: text(),
    };
    let completed = ScanCompleted {
        parts: 31,
        sightings: 32,
        complete: true,
        rules_enabled: texts(),
        paths: texts(),
        classes: vec![FindingClass::Secret],
    };
    let observation = Observation {
        asset: text(),
        observed_at: 33,
        tool: text(),
        tool_version: text(),
        format: text(),
        source: text(),
        backfill: true,
        origin: origin(),
        scan: Some(ScanRef { scan_id: text(), scope: text(), started_at: 34 }),
        part: 35,
        sightings: vec![sighting; 300],
        completed: Some(completed.clone()),
        runtime: vec![RuntimeUse { workload: text(), path: text(), level: UseLevel::Loaded, count: 36 }],
        inventory: vec![InventoryItem {
            purl: text(),
            name: text(),
            version: text(),
            ecosystem: text(),
            licence: text(),
            files: texts(),
        }],
    };
    let scan = ScanRun {
        completed: Some(completed),
        seen: vec![tracked.finding; 2],
        state: ScanState::Suspect,
        parts_received: vec![0, 4],
        ..ScanRun::default()
    };
    let fact = Fact {
        entity: "image:sha256:00".into(),
        attribute: crate::fact::Attribute::BuiltFrom,
        qualifier: String::new(),
        value: "{}".into(),
        asserter: "slsa".into(),
        observed_at: -1,
        expires_at: Some(0),
        origin: Origin::default(),
    };
    let finding = Finding { component: text(), end: FindingEnd::Forgotten, moved_to: text(), tracked };
    Samples { finding, risk, change, observation, scan, fact }
}
