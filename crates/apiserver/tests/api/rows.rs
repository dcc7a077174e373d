//! Every row of the table through every verb: one test for all types.

use http::Method;
use schema::codec::protobuf;
use serde_json::{Value, json};

use crate::forms::PROTOBUF;
use crate::server::Api;

/// What a type demands beyond a name.
fn sample(kind: &str, name: &str) -> Value {
    let template = json!({
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    let selector = json!({"matchLabels": {"app": "a"}});
    let mut object = match kind {
        "Pod" => json!({"spec": {"containers": [{"name": "c", "image": "i"}]}}),
        "PodTemplate" => json!({"template": template}),
        "Service" => json!({"spec": {"ports": [{"port": 80}]}}),
        "ReplicationController" => json!({"spec": {"selector": {"app": "a"}, "template": template}}),
        "Deployment" | "ReplicaSet" | "DaemonSet" => json!({"spec": {"selector": selector, "template": template}}),
        "StatefulSet" => json!({"spec": {"serviceName": "s", "selector": selector, "template": template}}),
        // Without labels an update takes over those that the creation gave the pods.
        "Job" => json!({"metadata": {"labels": {"app": "a"}}, "spec": {"template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}],
        }}}}),
        "CronJob" => json!({"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}],
        }}}}}}),
        "PersistentVolume" => json!({"spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"},
        }}),
        "PersistentVolumeClaim" => json!({"spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
        }}),
        "HorizontalPodAutoscaler" => json!({"spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}, "maxReplicas": 3,
        }}),
        "Event" => json!({
            "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"},
            "regarding": {"kind": "Pod", "namespace": "default", "name": "p"},
            "reason": "r", "type": "Normal", "action": "a", "reportingController": "x.io/c",
            "reportingComponent": "x.io/c", "reportingInstance": "i",
            "eventTime": "2026-01-01T00:00:00.000000Z",
        }),
        "CustomResourceDefinition" => json!({
            "metadata": {"name": "samples.rows.test"},
            "spec": {
                "group": "rows.test", "scope": "Namespaced",
                "names": {"plural": "samples", "kind": "Sample"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
            },
        }),
        "APIService" => json!({
            "metadata": {"name": "v1.rows.test"},
            "spec": {"group": "rows.test", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1},
        }),
        "PriorityClass" => json!({"value": 5}),
        "RuntimeClass" => json!({"handler": "h"}),
        "StorageClass" => json!({"provisioner": "x.io/p"}),
        "IPAddress" => json!({
            "metadata": {"name": "10.43.7.7"},
            "spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "s"}},
        }),
        "ServiceCIDR" => json!({"spec": {"cidrs": ["10.99.0.0/16"]}}),
        "ClusterRoleBinding" | "RoleBinding" => json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "x"},
        }),
        "EndpointSlice" => json!({"addressType": "IPv4", "endpoints": []}),
        "Lease" => json!({"spec": {"holderIdentity": "h"}}),
        "LeaseCandidate" => json!({"spec": {
            "leaseName": "l", "binaryVersion": "1.36.0", "emulationVersion": "1.36.0", "strategy": "OldestEmulationVersion",
        }}),
        "ControllerRevision" => json!({"data": {}, "revision": 1}),
        "Ingress" => json!({"spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}}),
        "IngressClass" => json!({"spec": {"controller": "x.io/c"}}),
        "PodGroup" => json!({"spec": {"schedulingPolicy": {"basic": {}}}}),
        "Workload" => json!({"spec": {"podGroupTemplates": [{"name": "t", "schedulingPolicy": {"basic": {}}}]}}),
        "CSIStorageCapacity" => json!({"storageClassName": "c"}),
        "VolumeAttachment" => json!({"spec": {
            "attacher": "x.io", "nodeName": "n", "source": {"persistentVolumeName": "pv"},
        }}),
        "VolumeAttributesClass" => json!({"driverName": "x.io", "parameters": {"a": "b"}}),
        "StorageVersionMigration" => json!({"spec": {"resource": {"group": "apps", "resource": "deployments"}}}),
        "CertificateSigningRequest" => json!({"spec": {
            "request": base64(&signing_request().pem().expect("text").into_bytes()), "signerName": "x.io/s", "usages": ["client auth"],
        }}),
        "ClusterTrustBundle" => json!({"spec": {"trustBundle": authority()}}),
        "PodCertificateRequest" => json!({"spec": {
            "signerName": "x.io/s", "podName": "p", "podUID": "u", "serviceAccountName": "s", "serviceAccountUID": "v",
            "nodeName": "n", "nodeUID": "w", "stubPKCS10Request": base64(signing_request().der()),
        }}),
        "ValidatingAdmissionPolicy" => {
            json!({"spec": {"matchConstraints": matched(), "validations": [{"expression": "true"}]}})
        }
        "MutatingAdmissionPolicy" => json!({"spec": {
            "matchConstraints": matched(), "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}],
        }}),
        "ValidatingAdmissionPolicyBinding" => json!({"spec": {"policyName": "p", "validationActions": ["Deny"]}}),
        "MutatingAdmissionPolicyBinding" => json!({"spec": {"policyName": "p"}}),
        "FlowSchema" => json!({"spec": {"priorityLevelConfiguration": {"name": "global-default"}}}),
        "PriorityLevelConfiguration" => {
            json!({"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}})
        }
        "StorageVersion" => json!({"metadata": {"name": "rows.samples"}, "spec": {}}),
        "ResourceSlice" => {
            json!({"spec": {"driver": "d", "pool": {"name": "p", "resourceSliceCount": 1}, "nodeName": "n"}})
        }
        "DeviceTaintRule" => json!({"spec": {"taint": {"key": "k", "effect": "None"}}}),
        "ResourcePoolStatusRequest" => json!({"spec": {"driver": "d"}}),
        _ => json!({}),
    };
    if object["metadata"]["name"].is_null() {
        object["metadata"]["name"] = name.into();
    }
    object
}

/// What a policy is about.
fn matched() -> Value {
    json!({"resourceRules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]})
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn signing_request() -> rcgen::CertificateSigningRequest {
    let key = rcgen::KeyPair::generate().expect("a key");
    rcgen::CertificateParams::default().serialize_request(&key).expect("a request")
}

/// The certificate of an authority.
fn authority() -> String {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.self_signed(&key).expect("a certificate").pem()
}

#[tokio::test(start_paused = true)]
async fn every_type_passes_through_every_verb() {
    let api = Api::start().await;
    let table = schema::Table::builtin();
    let snapshot = table.snapshot();
    let mut failures = Vec::new();
    for row in snapshot.rows().filter(|row| row.is_stored()) {
        for version in row.versions.iter().filter(|version| version.served) {
            let served = snapshot.resource(&row.group, &version.name, &row.plural).expect("a served row");
            if let Err(why) = round(&api, &served).await {
                failures.push(format!("{} {}: {why}", row.qualified(), version.name));
            }
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

/// Create, get, list, update, patch, watch, delete.
async fn round(api: &Api, served: &schema::Served) -> Result<(), String> {
    let row = &served.resource;
    let base = if row.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}", served.api_version()) };
    let place = if row.is_namespaced() { "/namespaces/default" } else { "" };
    let collection = format!("{base}{place}/{}", row.plural);
    let body = sample(&row.kind, "sample");
    let name = body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let path = format!("{collection}/{name}");
    let expect = |what: &str, answer: &crate::server::Answer, code: u16| {
        if answer.status.as_u16() == code {
            Ok(answer.json())
        } else {
            Err(format!("{what}: {} {}", answer.status, String::from_utf8_lossy(&answer.bytes)))
        }
    };
    let created = expect("create", &api.post(&collection, &body).await, 201)?;
    if created["kind"] != *row.kind || created["apiVersion"] != served.api_version() {
        return Err(format!("create answered with {} {}", created["apiVersion"], created["kind"]));
    }
    expect("create again", &api.post(&collection, &body).await, 409)?;
    let got = expect("get", &api.get(&path).await, 200)?;
    if got != created {
        return Err(format!("get: {got} is not {created}"));
    }
    let compact = api.ask(Method::GET, &path, &[("accept", PROTOBUF)], "").await;
    let source = protobuf::Source::Value(&got);
    let expected =
        protobuf::encode(served.ty(), &served.api_version(), &row.kind, source).map_err(|e| e.to_string())?;
    schema::decode_protobuf(served.ty(), &compact.bytes).map_err(|error| error.to_string())?;
    if compact.bytes != expected {
        return Err(format!("get in protobuf: {:?} is not {got}", compact.bytes));
    }
    let list = expect("list", &api.get(&collection).await, 200)?;
    if list["kind"] != *row.list_kind || list["items"].as_array().is_none_or(|items| !items.contains(&created)) {
        return Err(format!("list: {list} has no {created}"));
    }
    let revision = list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    let put = expect("update without a change", &api.put(&path, &got).await, 200)?;
    if put != got {
        return Err(format!("update without a change made\n{put}\nof\n{got}"));
    }
    let patch = json!({"metadata": {"labels": {"patched": "yes"}}});
    let patched = expect("patch", &api.merge(&path, &patch).await, 200)?;
    if patched["metadata"]["labels"]["patched"] != "yes" {
        return Err(format!("patch: {patched}"));
    }
    // Some types leave their dependents alone unless told otherwise.
    expect("delete", &api.delete(&format!("{path}?propagationPolicy=Background")).await, 200)?;
    if row.kind != "Namespace" && row.kind != "Pod" {
        expect("get after delete", &api.get(&path).await, 404)?;
    }
    let mut watch = api.watch(&format!("{collection}?watch=1&resourceVersion={revision}&timeoutSeconds=60")).await;
    let (kind, found, _) = watch.brief().await;
    if (kind.as_str(), found.as_str()) != ("MODIFIED", name.as_str()) {
        return Err(format!("watch: {kind} {found}"));
    }
    Ok(())
}
