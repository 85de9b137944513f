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

/// An independent reader (the reference implementation) understands what we write.
#[test]
fn the_reference_implementation_reads_our_bytes() {
    let risk = Risk { title: "x".into(), epss_ppm: Some(7), ..Risk::default() };
    let bytes = risk.encode().unwrap();
    let schema = apache_avro::Schema::parse_str(Risk::schema().text).unwrap();
    let value = apache_avro::from_avro_datum(&schema, &mut &bytes[HEADER_BYTES..], None).unwrap();
    assert_eq!(apache_avro::from_value::<Risk>(&value).unwrap(), risk);
}
