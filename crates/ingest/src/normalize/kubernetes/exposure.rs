//! Services, ingresses and gateway routes → what a service selects and by which ways it is reached from outside.
//! A way in faces the internet unless its class, scheme or address says that it is internal.

use serde_json::Value;
use tributary_model::entity;
use tributary_model::fact::Attribute;
use tributary_model::fact::value::{Exposed, Labels};

use super::Snapshot;
use super::object::{Object, ServiceSpec, view};
use crate::normalize::claims::Claims;

/// The qualifier of a load balancer of the service's own.
const LOAD_BALANCER: &str = "load-balancer";

/// Selector and load balancer of a service.
pub fn service(snapshot: &Snapshot<'_>, object: &Object, claims: &mut Claims<'_>) {
    if object.kind != "Service" {
        return;
    }
    let metadata = &object.metadata;
    let service = entity::service(snapshot.cluster, metadata.namespace(), &metadata.name);
    if object.is_deleted {
        claims.retract(&service, Attribute::Selector, "");
        claims.retract(&service, Attribute::ExposedBy, LOAD_BALANCER);
        return;
    }
    let spec: ServiceSpec = view(&object.spec);
    if !spec.selector.is_empty() {
        claims.say(&service, Attribute::Selector, "", &spec.selector);
    }
    if spec.service_type != "LoadBalancer" {
        // It may have been one before.
        claims.retract(&service, Attribute::ExposedBy, LOAD_BALANCER);
        return;
    }
    let address = object.status.pointer("/loadBalancer/ingress/0");
    let text = |key: &str| address.and_then(|address| address.get(key)).and_then(Value::as_str);
    let host = text("hostname").or_else(|| text("ip")).unwrap_or_default().to_owned();
    let internet = !is_internal(&metadata.annotations) && !is_private_address(&host);
    claims.say(&service, Attribute::ExposedBy, LOAD_BALANCER, &Exposed { host, path: String::new(), internet });
}

/// The services that an ingress routes to, each with the first host and path that reach it.
pub fn ingress(snapshot: &Snapshot<'_>, object: &Object, claims: &mut Claims<'_>) {
    if object.kind != "Ingress" {
        return;
    }
    let annotations = &object.metadata.annotations;
    let class = object.spec.get("ingressClassName").and_then(Value::as_str);
    let class = class.or_else(|| annotations.get("kubernetes.io/ingress.class").map(String::as_str));
    let internet = !is_internal(annotations) && !names_inside(class.unwrap_or_default());
    let mut ways = Vec::new();
    if let Some(default) = object.spec.get("defaultBackend").or_else(|| object.spec.get("backend")) {
        ways.push((backend(default), "", ""));
    }
    for rule in items(&object.spec, "rules") {
        let host = rule.get("host").and_then(Value::as_str).unwrap_or_default();
        for path in rule.get("http").map(|http| items(http, "paths")).unwrap_or_default() {
            let backend = path.get("backend").and_then(backend);
            ways.push((backend, host, path.get("path").and_then(Value::as_str).unwrap_or_default()));
        }
    }
    for (name, host, path) in ways {
        if let Some(name) = name {
            way_in(snapshot, object, (object.metadata.namespace(), name), (host, path, internet), claims);
        }
    }
}

/// The services that a gateway route leads to.
pub fn route(snapshot: &Snapshot<'_>, object: &Object, claims: &mut Claims<'_>) {
    if !matches!(object.kind.as_str(), "HTTPRoute" | "GRPCRoute" | "TLSRoute" | "TCPRoute") {
        return;
    }
    let gateways = items(&object.spec, "parentRefs");
    let gateway_names = gateways.iter().filter_map(|gateway| gateway.get("name")?.as_str());
    // A route on a public and an internal gateway faces the internet.
    let mut inside = gateway_names.map(names_inside).peekable();
    let all_inside = inside.peek().is_some() && inside.all(|inside| inside);
    let internet = !is_internal(&object.metadata.annotations) && !all_inside;
    let host = items(&object.spec, "hostnames").first().and_then(|host| host.as_str()).unwrap_or_default();
    for rule in items(&object.spec, "rules") {
        let path = rule.pointer("/matches/0/path/value").and_then(Value::as_str).unwrap_or_default();
        for backend in items(rule, "backendRefs") {
            let is_service = backend.get("kind").and_then(Value::as_str).is_none_or(|kind| kind == "Service");
            let Some(name) = backend.get("name").and_then(Value::as_str).filter(|_| is_service) else { continue };
            let namespace = backend.get("namespace").and_then(Value::as_str);
            let namespace = namespace.unwrap_or_else(|| object.metadata.namespace());
            way_in(snapshot, object, (namespace, name), (host, path, internet), claims);
        }
    }
}

fn way_in(
    snapshot: &Snapshot<'_>,
    object: &Object,
    (namespace, name): (&str, &str),
    (host, path, internet): (&str, &str, bool),
    claims: &mut Claims<'_>,
) {
    let service = entity::service(snapshot.cluster, namespace, name);
    if object.is_deleted {
        return claims.retract(&service, Attribute::ExposedBy, &object.metadata.name);
    }
    let exposed = Exposed { host: host.to_owned(), path: path.to_owned(), internet };
    claims.say(&service, Attribute::ExposedBy, &object.metadata.name, &exposed);
}

/// The service of a backend, in the current shape or that of `v1beta1`.
fn backend(backend: &Value) -> Option<&str> {
    backend.pointer("/service/name").or_else(|| backend.get("serviceName"))?.as_str()
}

fn items<'a>(value: &'a Value, key: &str) -> Vec<&'a Value> {
    value.get(key).and_then(Value::as_array).map(|items| items.iter().collect()).unwrap_or_default()
}

/// Whether annotations ask for an internal load balancer. The clouds spell it in a dozen ways that share two forms:
/// a key that ends in `internal` set to true (or to a source range), or a key about the scheme or type set to `internal`.
fn is_internal(annotations: &Labels) -> bool {
    annotations.iter().any(|(key, value)| {
        let about_balancer = key.contains("load-balancer") || key.contains("ingress") || key.contains("scheme");
        let switched_on = key.ends_with("internal") || key.contains("internal-load-balancer");
        let value = value.to_ascii_lowercase();
        (switched_on && matches!(value.as_str(), "true" | "0.0.0.0/0" | "yes"))
            || (about_balancer && value == "internal")
    })
}

/// Whether the name of an ingress class or gateway says that it stays inside, as one of its words.
fn names_inside(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| matches!(word, "internal" | "private" | "intranet"))
}

/// RFC 1918 and RFC 4193 addresses: a balancer with one of them cannot be reached from the internet.
fn is_private_address(address: &str) -> bool {
    match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(v4)) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        Ok(std::net::IpAddr::V6(v6)) => v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local(),
        Err(_) => false,
    }
}
