//! What is checked without a registry. What is said to one is tested on a real one: `tests/kafka/registry.rs`.

use super::*;

fn checked(change: impl FnOnce(&mut RegistrySettings)) -> Result<(), String> {
    let mut settings =
        RegistrySettings { url: "https://registry.example/apis".to_owned(), ..RegistrySettings::default() };
    change(&mut settings);
    settings.check()
}

#[test]
fn what_cannot_work_is_named() {
    assert_eq!(RegistrySettings::default().check(), Ok(()));
    assert_eq!(checked(|_| ()), Ok(()));
    let with_password = |settings: &mut RegistrySettings| {
        settings.username = "u".to_owned();
        settings.password = "hunter2".to_owned().into();
    };
    assert_eq!(checked(with_password), Ok(()));
    let error = |change: &dyn Fn(&mut RegistrySettings)| {
        let error = checked(change).unwrap_err();
        assert!(error.contains("schema_registry.") && !error.contains("hunter2"), "{error}");
        error
    };
    assert!(error(&|settings| settings.url = "registry:8081".to_owned()).contains("https://"));
    assert!(error(&|settings| settings.url = "https://u:hunter2@registry".to_owned()).contains("password_file"));
    assert!(error(&|settings| settings.username = "u".to_owned()).contains("go together"));
    assert!(error(&|settings| settings.password = "hunter2".to_owned().into()).contains("go together"));
    assert!(
        error(&|settings| {
            with_password(settings);
            settings.password_file = "p".into();
        })
        .contains("keep one")
    );
    assert!(
        error(&|settings| {
            with_password(settings);
            settings.url = "http://registry:8081".to_owned();
        })
        .contains("unencrypted")
    );
    let nowhere = |settings: &mut RegistrySettings| {
        settings.url.clear();
        settings.register = true;
    };
    assert!(error(&nowhere).contains("url is empty"));
}

#[test]
fn subjects_are_named_after_topics() {
    assert_eq!(subject(&Names::new("acme."), Topic::Risks), "acme.risks-value");
}

/// Answers every request alike, and tells what was asked.
fn answering(status: &'static str, body: &'static str) -> (Registry, std::sync::mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = RegistrySettings {
        url: format!("http://{}/", listener.local_addr().unwrap()),
        username: "ingest".to_owned(),
        password: "hunter2".to_owned().into(),
        ..RegistrySettings::default()
    };
    let (asked, requests) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 4_096];
            let count = std::io::Read::read(&mut client, &mut request).unwrap();
            let _ = asked.send(String::from_utf8_lossy(&request[..count]).into_owned());
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            std::io::Write::write_all(&mut client, answer.as_bytes()).unwrap();
        }
    });
    (Registry::new(&settings).unwrap(), requests)
}

/// What a registry says when it is not well, by the published contract: a real one cannot be made to say it.
#[test]
fn answers_are_told_apart() {
    let trouble = |status, body| answering(status, body).0.schema(7).unwrap_err();
    for (status, body) in [
        ("503 Service Unavailable", ""),
        ("500 Internal Server Error", r#"{"error_code": 50002, "message": "timed out"}"#),
        ("429 Too Many Requests", "slow down"),
    ] {
        assert!(matches!(trouble(status, body), Trouble::Away(why) if why.contains("does not answer")), "{status}");
    }
    let denied = trouble("401 Unauthorized", r#"{"error_code": 401, "message": "no\nsuch user"}"#);
    let Trouble::Refused(why) = denied else { panic!("{denied:?}") };
    assert!(why.contains("username and password") && why.contains("no such user") && !why.contains("hunter2"), "{why}");
    for (status, body) in [("404 Not Found", "<html>"), ("200 OK", "<html>"), ("302 Found", "")] {
        assert!(matches!(trouble(status, body), Trouble::Refused(_)), "{status}");
    }
    let none = answering("404 Not Found", r#"{"error_code": 40403, "message": "Schema not found"}"#).0;
    assert_eq!(none.schema(7).unwrap(), None);
    for other in
        [r#"{"schema": "{}", "schemaType": "JSON"}"#, r#"{"schema": "\"a.B\"", "references": [{"name": "a.B"}]}"#]
    {
        assert_eq!(answering("200 OK", other).0.schema(7).unwrap(), None, "{other}");
    }
}

#[test]
fn what_is_asked_is_what_the_contract_says() {
    let (registry, requests) = answering("200 OK", r#"{"id": 7, "version": 1, "schema": "\"string\""}"#);
    assert_eq!(registry.id_of("risks-value", "\"string\"").unwrap(), Some(7));
    let request = requests.recv().unwrap();
    assert!(request.starts_with("POST /subjects/risks-value HTTP/1.1\r\n"), "{request}");
    assert!(request.to_lowercase().contains("authorization: basic aw5nzxn0omh1bnrlcji=\r\n"), "{request}");
    assert_eq!(registry.register("risks-value", "\"string\"").unwrap(), 7);
    assert!(requests.recv().unwrap().starts_with("POST /subjects/risks-value/versions HTTP/1.1\r\n"));
    assert_eq!(registry.schema(7).unwrap().unwrap(), "\"string\"");
    assert!(requests.recv().unwrap().starts_with("GET /schemas/ids/7 HTTP/1.1\r\n"));
    assert_eq!(registry.latest("risks-value").unwrap().unwrap().version, 1);
    assert!(requests.recv().unwrap().starts_with("GET /subjects/risks-value/versions/latest HTTP/1.1\r\n"));
}
