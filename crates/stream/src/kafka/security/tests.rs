//! Settings that cannot work are refused with one sentence that names the setting; nothing shows a secret.

use super::*;

fn settings(toml: &str) -> SecuritySettings {
    serde_json::from_str(toml).unwrap()
}

fn refused(json: &str) -> String {
    settings(json).check("kafka.example:9093").unwrap_err()
}

#[test]
fn the_protocol_follows_from_the_rest() {
    assert_eq!(settings("{}").protocol(), Protocol::Plaintext);
    assert_eq!(settings(r#"{"ca_file": "ca.pem"}"#).protocol(), Protocol::Ssl);
    assert_eq!(settings(r#"{"mechanism": "PLAIN"}"#).protocol(), Protocol::SaslSsl);
    assert_eq!(settings(r#"{"mechanism": "PLAIN", "protocol": "SASL_PLAINTEXT"}"#).protocol(), Protocol::SaslPlaintext);
}

#[test]
fn what_works_is_accepted() {
    for json in [
        "{}",
        r#"{"protocol": "ssl"}"#,
        r#"{"ca_file": "ca", "certificate_file": "c", "key_file": "k", "key_password": "p"}"#,
        r#"{"mechanism": "SCRAM-SHA-512", "username": "u", "password": "p"}"#,
        r#"{"mechanism": "PLAIN", "username": "u", "password_file": "p", "ca_file": "ca"}"#,
        r#"{"mechanism": "OAUTHBEARER", "token_file": "t"}"#,
        r#"{"mechanism": "OAUTHBEARER", "token_url": "https://i.example/t", "client_id": "c", "client_secret": "s"}"#,
        r#"{"mechanism": "OAUTHBEARER", "token_url": "http://[::1]:80/t", "client_id": "c", "client_secret_file": "s"}"#,
    ] {
        assert_eq!(settings(json).check("kafka.example:9093"), Ok(()), "{json}");
    }
    let local = settings(r#"{"protocol": "sasl_plaintext", "mechanism": "PLAIN", "username": "u", "password": "p"}"#);
    assert_eq!(local.check("127.0.0.1:9092, localhost:9093,[::1]:9094"), Ok(()));
}

#[test]
fn what_cannot_work_is_named() {
    for (json, names) in [
        (r#"{"protocol": "plaintext", "ca_file": "ca"}"#, "security.ca_file"),
        (r#"{"protocol": "sasl_ssl"}"#, "security.mechanism"),
        (
            r#"{"protocol": "ssl", "mechanism": "PLAIN", "username": "u", "password": "p"}"#,
            "security.protocol = sasl_ssl",
        ),
        (r#"{"certificate_file": "c"}"#, "security.key_file"),
        (r#"{"key_file": "c"}"#, "security.certificate_file"),
        (r#"{"key_password": "c"}"#, "security.key_file"),
        (r#"{"username": "u"}"#, "security.username"),
        (r#"{"token_url": "https://i.example"}"#, "security.token_url"),
        (r#"{"mechanism": "PLAIN", "password": "p"}"#, "security.username"),
        (r#"{"mechanism": "PLAIN", "username": "u"}"#, "security.password or security.password_file"),
        (r#"{"mechanism": "PLAIN", "username": "u", "password": "p", "password_file": "f"}"#, "both set"),
        (r#"{"mechanism": "PLAIN", "username": "u", "password": "p", "client_id": "c"}"#, "security.client_id"),
        (r#"{"mechanism": "OAUTHBEARER", "username": "u", "token_file": "t"}"#, "security.username"),
        (r#"{"mechanism": "OAUTHBEARER"}"#, "security.token_file or security.token_url"),
        (r#"{"mechanism": "OAUTHBEARER", "token_file": "t", "scope": "s"}"#, "security.scope"),
        (r#"{"mechanism": "OAUTHBEARER", "token_url": "https://i.example"}"#, "security.client_id"),
        (
            r#"{"mechanism": "OAUTHBEARER", "token_url": "https://i.example", "client_id": "c"}"#,
            "security.client_secret",
        ),
        (
            r#"{"mechanism": "OAUTHBEARER", "token_url": "http://i.example/t", "client_id": "c", "client_secret": "s"}"#,
            "i.example unencrypted",
        ),
        (
            r#"{"mechanism": "OAUTHBEARER", "token_url": "i.example/t", "client_id": "c", "client_secret": "s"}"#,
            "https://",
        ),
        (
            r#"{"protocol": "sasl_plaintext", "mechanism": "PLAIN", "username": "u", "password": "p"}"#,
            "kafka.example:9093 unencrypted",
        ),
        (r#"{"mechanism": "PLAIN", "username": "u", "password": "a\u0000b"}"#, "security.password"),
    ] {
        let why = refused(json);
        assert!(why.contains(names) && !why.contains('\n'), "{json}: {why}");
    }
}

#[test]
fn one_broker_elsewhere_is_enough_to_refuse_credentials_in_the_clear() {
    let json = r#"{"protocol": "sasl_plaintext", "mechanism": "OAUTHBEARER", "token_file": "t"}"#;
    let why = settings(json).check("127.0.0.1:9092,10.0.0.7:9092").unwrap_err();
    assert!(why.contains("10.0.0.7:9092"), "{why}");
}

#[test]
fn neither_debug_nor_a_dump_nor_an_error_shows_a_secret() {
    let all = settings(
        r#"{"mechanism": "PLAIN", "username": "u", "password": "hunter2", "key_password": "hunter2", "client_secret": "hunter2"}"#,
    );
    assert!(!format!("{all:?}").contains("hunter2"));
    assert!(!serde_json::to_string(&all).unwrap().contains("hunter2"));
    assert!(!all.check("k:1").unwrap_err().contains("hunter2"));
    let mut config = ClientConfig::new();
    settings(r#"{"mechanism": "PLAIN", "username": "u", "password": "hunter2"}"#).apply(&mut config).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn files_are_read_and_what_is_wrong_with_them_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("password"), "hunter2\r\n").unwrap();
    std::fs::write(path("two lines"), "hunter2\nhunter3\n").unwrap();
    std::fs::write(path("key"), "hunter2").unwrap();
    assert_eq!(
        files::secret("kafka.security.password", &Secret::default(), &path("password")).unwrap().reveal(),
        "hunter2"
    );
    let failed = |settings: SecuritySettings| settings.apply(&mut ClientConfig::new()).unwrap_err().to_string();
    let with_password = |file: PathBuf| SecuritySettings {
        mechanism: Some(Mechanism::Plain),
        password_file: file,
        ..SecuritySettings::default()
    };
    let missing = failed(with_password(path("missing")));
    assert!(missing.starts_with("kafka.security.password_file") && missing.contains("No such file"), "{missing}");
    let lines = failed(with_password(path("two lines")));
    assert!(lines.contains("not one line") && !lines.contains("hunter"), "{lines}");
    let key = failed(SecuritySettings {
        key_file: path("key"),
        certificate_file: path("key"),
        ..SecuritySettings::default()
    });
    assert!(key.contains("certificate_file") && key.contains("not PEM") && !key.contains("hunter"), "{key}");
}
