use tributary_model::record::Extensions;

use super::normalize;
use crate::normalize::fact_lines::{check, check_robust, lines, run};

fn on(cluster: &str) -> Extensions {
    Extensions { resource: Some(format!("cluster/{cluster}")), ..Extensions::default() }
}

const D1: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

fn pod(owner: &str, labels: &str, status: &str) -> String {
    format!(
        r#"{{"kind":"Pod","metadata":{{"name":"till-7c9d5f6b4x-ab2cd","namespace":"shop","labels":{{{labels}}},
        "ownerReferences":[{owner}]}},"status":{status}}}"#
    )
}

fn running() -> String {
    format!(
        r#"{{"phase":"Running","containerStatuses":[{{"name":"app","image":"r.example/till:3","imageID":"docker-pullable://r.example/till@{D1}"}},
        {{"name":"starting","image":"r.example/side:1","imageID":""}}]}}"#
    )
}

#[test]
fn a_snapshot_in_yaml() {
    let yaml = format!(
        r"
apiVersion: v1
kind: List
items:
- {{kind: Namespace, metadata: {{name: shop, labels: {{env: Prod}}}}}}
- kind: Deployment
  metadata: {{name: till, namespace: shop, annotations: {{backstage.io/kubernetes-id: till-service}}}}
  spec: {{template: {{metadata: {{labels: {{app: till, port: 8080}}}}}}}}
- kind: ReplicaSet
  metadata: {{name: till-odd, namespace: shop, ownerReferences: [{{kind: Deployment, name: till, controller: true}}]}}
- kind: Pod
  metadata: {{name: till-odd-ab2cd, namespace: shop, labels: {{app: till, pod-template-hash: odd}}, ownerReferences: [{{kind: ReplicaSet, name: till-odd, controller: true}}]}}
  status: {{containerStatuses: [{{name: app, image: 'r.example/till:3', imageID: 'r.example/till@{D1}'}}]}}
---
# an empty document
---
kind: Service
metadata: {{name: till, namespace: shop}}
spec: {{type: ClusterIP, selector: {{app: till}}}}
"
    );
    check(
        normalize,
        &yaml,
        on("eu"),
        &[
            "workload:eu/shop/deployment/till environment = \"production\" (kubernetes:eu)",
            "workload:eu/shop/deployment/till workload_component = \"till-service\" (kubernetes:eu)",
            "workload:eu/shop/deployment/till pod_labels = {\"app\":\"till\",\"port\":\"8080\"} (kubernetes:eu)",
            &format!("workload:eu/shop/deployment/till runs_image [image:{D1}] = \"app\" (kubernetes:eu)"),
            &format!("image:{D1} image_name [r.example/till:3] = \"\" (kubernetes:eu)"),
            "service:eu/shop/till selector = {\"app\":\"till\"} (kubernetes:eu)",
            "service:eu/shop/till exposed_by [load-balancer] =  (kubernetes:eu)",
        ],
    );
}

#[test]
fn owners_of_pods() {
    for (owner, labels, expected) in [
        (r#"{"kind":"ReplicaSet","name":"till-7c9d5f6b4x"}"#, r#""pod-template-hash":"7c9d5f6b4x""#, "deployment/till"),
        (r#"{"kind":"ReplicaSet","name":"till-7c9d5f6b4x"}"#, "", "deployment/till"),
        (r#"{"kind":"ReplicaSet","name":"t-9"}"#, r#""rollouts-pod-template-hash":"9""#, "rollout/t"),
        (r#"{"kind":"StatefulSet","name":"ledger"}"#, "", "statefulset/ledger"),
        (r#"{"kind":"Job","name":"nightly-29389215"}"#, "", "cronjob/nightly"),
        (r#"{"kind":"Job","name":"migrate"}"#, "", "job/migrate"),
        ("", "", "pod/till-7c9d5f6b4x-ab2cd"),
    ] {
        let events = run(normalize, &pod(owner, labels, &running()), on("eu")).unwrap();
        let runs = lines(&events).into_iter().find(|line| line.contains(" runs_image ")).unwrap();
        assert!(runs.starts_with(&format!("workload:eu/shop/{expected} ")), "{owner}: {runs}");
    }
}

#[test]
fn ended_and_deleted_pods_run_nothing() {
    let owner = r#"{"kind":"ReplicaSet","name":"till-7c9d5f6b4x"}"#;
    let evicted = pod(owner, r#""app":"till""#, &running().replace("Running", "Failed"));
    let events = run(normalize, &evicted, on("eu")).unwrap();
    assert!(lines(&events).iter().all(|line| !line.contains("runs_image")), "{:?}", lines(&events));
    let deleted = format!(r#"{{"type":"DELETED","object":{}}}"#, pod(owner, r#""app":"till""#, &running()));
    assert_eq!(run(normalize, &deleted, on("eu")).unwrap_err().code, "nothing_in_it");
}

#[test]
fn a_deleted_workload_retracts_everything() {
    check(
        normalize,
        r#"{"kind":"Deployment","metadata":{"name":"till","namespace":"shop","deletionTimestamp":"2026-11-20T08:59:00Z"}}"#,
        on("eu"),
        &[
            "workload:eu/shop/deployment/till runs_image =  (kubernetes:eu)",
            "workload:eu/shop/deployment/till environment =  (kubernetes:eu)",
            "workload:eu/shop/deployment/till pod_labels =  (kubernetes:eu)",
            "workload:eu/shop/deployment/till workload_component =  (kubernetes:eu)",
        ],
    );
}

#[test]
fn names_only_hint_at_environments() {
    let ext = Extensions { source: Some("kubernetes://fleet/live-eu".into()), ..Extensions::default() };
    check(
        normalize,
        r#"{"kind":"StatefulSet","metadata":{"name":"ledger"},"spec":{"template":{"metadata":{"labels":null}}}}"#,
        ext,
        &["workload:live-eu/default/statefulset/ledger environment = \"production\" (inferred:live-eu)"],
    );
}

#[test]
fn ways_in() {
    let objects = r#"[
      {"kind":"Service","metadata":{"name":"a"},"spec":{"type":"LoadBalancer"},"status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.9"}]}}},
      {"kind":"Service","metadata":{"name":"b","annotations":{"service.beta.kubernetes.io/aws-load-balancer-internal":"true"}},"spec":{"type":"LoadBalancer"}},
      {"kind":"Service","metadata":{"name":"c"},"spec":{"type":"LoadBalancer"},"status":{"loadBalancer":{"ingress":[{"ip":"10.2.3.4"}]}}},
      {"kind":"Ingress","metadata":{"name":"front"},"spec":{"ingressClassName":"nginx","rules":[
        {"host":"shop.example","http":{"paths":[{"path":"/","backend":{"service":{"name":"a"}}},{"path":"/v2","backend":{"service":{"name":"a"}}}]}}]}},
      {"kind":"Ingress","metadata":{"name":"back","annotations":{"alb.ingress.kubernetes.io/scheme":"internal"}},"spec":{"defaultBackend":{"service":{"name":"d"}}}},
      {"kind":"Ingress","metadata":{"name":"staff"},"spec":{"ingressClassName":"nginx-internal","backend":{"serviceName":"e"}}},
      {"kind":"HTTPRoute","metadata":{"name":"gw"},"spec":{"parentRefs":[{"name":"public"},{"name":"private"}],"hostnames":["x.example"],
        "rules":[{"matches":[{"path":{"value":"/x"}}],"backendRefs":[{"name":"f","namespace":"other"},{"name":"z","kind":"Bucket"}]}]}}
    ]"#;
    check(
        normalize,
        objects,
        on("eu"),
        &[
            r#"service:eu/default/a exposed_by [load-balancer] = {"host":"203.0.113.9","path":"","internet":true} (kubernetes:eu)"#,
            r#"service:eu/default/b exposed_by [load-balancer] = {"host":"","path":"","internet":false} (kubernetes:eu)"#,
            r#"service:eu/default/c exposed_by [load-balancer] = {"host":"10.2.3.4","path":"","internet":false} (kubernetes:eu)"#,
            r#"service:eu/default/a exposed_by [front] = {"host":"shop.example","path":"/","internet":true} (kubernetes:eu)"#,
            r#"service:eu/default/d exposed_by [back] = {"host":"","path":"","internet":false} (kubernetes:eu)"#,
            r#"service:eu/default/e exposed_by [staff] = {"host":"","path":"","internet":false} (kubernetes:eu)"#,
            r#"service:eu/other/f exposed_by [gw] = {"host":"x.example","path":"/x","internet":true} (kubernetes:eu)"#,
        ],
    );
}

#[test]
fn broken_input_is_answered() {
    let list = format!(r#"{{"kind":"List","items":[{},{{"kind":"Secret"}}]}}"#, pod("", "", &running()));
    check_robust(normalize, &list);
    check_robust(normalize, "kind: Service\nmetadata: {name: a}\nspec: {type: LoadBalancer}\n");
    assert_eq!(run(normalize, r#"{"kind":"Secret"}"#, on("eu")).unwrap_err().code, "nothing_in_it");
}
