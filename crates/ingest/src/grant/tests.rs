//! What a grant allows, and above all what it does not.

use tributary_model::time::Millis;

use super::*;
use RawClass::{Scanner, Triage};

fn grants() -> Grants {
    let grant = |name: &str, assets: &[&str], classes: &[&str], verbs: &[Verb], token: Option<&str>| GrantConfig {
        name: name.into(),
        assets: assets.iter().map(|&a| a.to_owned()).collect(),
        classes: classes.iter().map(|&c| c.to_owned()).collect(),
        verbs: verbs.to_vec(),
        token_sha256: token
            .map(|token| Sha256::digest(token).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))),
    };
    let configs = [
        grant(
            "ci-shop",
            &["repo:github.com/Acme/shop", "image:registry.example/shop/*"],
            &["scanner"],
            &[Verb::Observe, Verb::Withdraw],
            Some("t0p"),
        ),
        grant(
            "team-pay",
            &["image:sha256:aa*", "repo:github.com/acme/pay#*"],
            &["scanner", "triage"],
            &[Verb::Observe, Verb::Decide],
            Some("s3cret"),
        ),
        grant("raw.cicd", &["repo:github.com/acme/*"], &[], &[Verb::Observe], None),
    ];
    Grants::new(&configs, Unlisted::Nothing).unwrap()
}

fn check(
    credential: Option<&str>,
    class: RawClass,
    run: impl Fn(&Rights<'_>) -> Result<(), Rejection>,
) -> Result<(), String> {
    let ext = Extensions { credential: credential.map(str::to_owned), ..Extensions::default() };
    run(&grants().of(&ext, class)).map_err(|rejection| {
        assert_eq!(rejection.code, code::NOT_GRANTED);
        rejection.reason
    })
}

fn fact(entity: &str, attribute: Attribute) -> Fact {
    Fact {
        entity: entity.into(),
        attribute,
        qualifier: String::new(),
        value: String::new(),
        asserter: "x".into(),
        observed_at: 0 as Millis,
        expires_at: None,
        origin: tributary_model::reject::Origin::default(),
    }
}

#[test]
fn assets_and_verbs() {
    let asset = |credential, verb, asset: &'static str| {
        check(Some(credential), RawClass::Scanner, move |r| r.asset(verb, asset))
    };
    for (credential, verb, key) in [
        ("ci-shop", Verb::Observe, "repo:github.com/acme/shop#main"),
        ("ci-shop", Verb::Withdraw, "repo:github.com/acme/shop#feature/x"),
        ("ci-shop", Verb::Withdraw, "image:registry.example/shop/api:1"),
        ("team-pay", Verb::Decide, "image:sha256:aa11"),
        ("team-pay", Verb::Observe, "repo:github.com/acme/pay#main"),
        ("team-pay", Verb::Observe, "repo:github.com/acme/pay"),
    ] {
        assert_eq!(asset(credential, verb, key), Ok(()), "{credential} {key}");
    }
    for (credential, verb, key) in [
        ("ci-shop", Verb::Observe, "repo:github.com/acme/pay#main"),
        ("ci-shop", Verb::Observe, "repo:github.com/acme/shopping#main"),
        ("ci-shop", Verb::Decide, "repo:github.com/acme/shop#main"),
        ("team-pay", Verb::Withdraw, "repo:github.com/acme/pay#main"),
        ("team-pay", Verb::Observe, "image:sha256:ab"),
        ("nobody", Verb::Observe, "repo:github.com/acme/shop#main"),
    ] {
        let reason = asset(credential, verb, key).unwrap_err();
        assert!(reason.contains(key) && reason.contains(credential), "{reason}");
    }
}

#[test]
fn records_without_a_credential_are_trusted_unless_their_topic_has_a_grant() {
    assert_eq!(check(None, RawClass::Scanner, |r| r.asset(Verb::Decide, "image:x")), Ok(()));
    assert_eq!(check(None, RawClass::Cicd, |r| r.asset(Verb::Observe, "repo:github.com/acme/x#main")), Ok(()));
    assert!(check(None, RawClass::Cicd, |r| r.asset(Verb::Withdraw, "repo:github.com/acme/x#main")).is_err());
    let ext = Extensions { credential: Some("anyone".into()), ..Extensions::default() };
    assert!(Grants::everything().of(&ext, RawClass::Triage).asset(Verb::Decide, "image:x").is_ok());
}

#[test]
#[allow(clippy::redundant_closure_for_method_calls)] // a path of a method with a lifetime is not general enough here
fn a_scan_cannot_smuggle_in_other_claims() {
    let say = |credential, class, entity: &'static str, attribute| {
        check(Some(credential), class, move |r| r.fact(&fact(entity, attribute)))
    };
    assert_eq!(say("ci-shop", Scanner, "repo:github.com/acme/shop", Attribute::DefaultBranch), Ok(()));
    assert_eq!(say("ci-shop", Scanner, "vuln:CVE-2026-1", Attribute::Alias), Ok(()), "a by-product of a report");
    assert!(say("ci-shop", Scanner, "vuln:CVE-2026-1", Attribute::Kev).is_err());
    assert!(say("ci-shop", Scanner, "component:shop", Attribute::Owner).is_err());
    assert!(say("ci-shop", Scanner, "repo:github.com/acme/pay", Attribute::DefaultBranch).is_err());
    assert!(say("ci-shop", Scanner, "product:sha256:aa", Attribute::Vex).is_err(), "no class, no verb, no asset");
    assert_eq!(say("team-pay", Triage, "product:sha256:aa11", Attribute::Vex), Ok(()));
    assert!(say("team-pay", Triage, "product:sha256:bb11", Attribute::Vex).is_err());
    assert!(say("team-pay", Triage, "product:pkg:npm/x", Attribute::Vex).is_err());
    assert!(check(Some("ci-shop"), Triage, |r| r.class()).is_err());
    assert_eq!(check(Some("team-pay"), Triage, |r| r.class()), Ok(()));
}

#[test]
fn tokens() {
    let grants = grants();
    assert!(grants.wants_token() && !Grants::everything().wants_token());
    assert_eq!(grants.credential("t0p"), Some("ci-shop"));
    assert_eq!(grants.credential("s3cret"), Some("team-pay"));
    for bad in ["", "t0", "t0p ", "raw.cicd"] {
        assert_eq!(grants.credential(bad), None, "{bad}");
    }
}

#[test]
fn mistakes_in_the_configuration_are_named() {
    let good = GrantConfig {
        name: "a".into(),
        assets: vec!["*".into()],
        classes: vec![],
        verbs: vec![Verb::Observe],
        token_sha256: None,
    };
    let new = |config: GrantConfig| Grants::new(&[good.clone(), config], Unlisted::Nothing).map(drop);
    assert_eq!(new(good.clone()), Err(GrantError::Duplicate("a".into())));
    let with = |change: fn(&mut GrantConfig)| {
        let mut config = GrantConfig { name: "b".into(), ..good.clone() };
        change(&mut config);
        new(config)
    };
    assert_eq!(with(|_| {}), Ok(()));
    assert!(matches!(with(|c| c.classes.push("scan".into())), Err(GrantError::Class(..))));
    assert!(matches!(with(|c| c.assets.push("acme/shop".into())), Err(GrantError::Pattern(..))));
    assert!(matches!(with(|c| c.token_sha256 = Some("t0p".into())), Err(GrantError::Token(_))));
}

#[test]
fn globs() {
    for (pattern, text) in
        [("*", ""), ("a*c", "abc"), ("a*c", "ac"), ("*b*", "abc"), ("a**", "a"), ("", ""), ("a*bc", "abcbc")]
    {
        assert!(matches(pattern, text), "{pattern} {text}");
    }
    for (pattern, text) in [("a", "ab"), ("a*c", "abd"), ("", "a"), ("a*bc", "abcb"), ("b*", "ab")] {
        assert!(!matches(pattern, text), "{pattern} {text}");
    }
    assert!(!matches(&"*a".repeat(50), &"a".repeat(49)), "and in no time");
}
