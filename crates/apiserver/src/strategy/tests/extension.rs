//! What extends the API: definitions, certificates, fairness. Refusals on creation are cases of their own, beside the
//! answers of upstream's server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Bench, check_update, strategy, with_bench};

const DEFINITION: &str = "apiextensions.v1.CustomResourceDefinition";
const REQUEST: &str = "certificates.v1.CertificateSigningRequest";
const POD_REQUEST: &str = "certificates.v1beta1.PodCertificateRequest";

/// A definition with these versions, of which the first is stored.
fn definition(plural: &str, kind: &str, versions: &[&str]) -> String {
    let version = |(index, name): (usize, &&str)| {
        json!({"name": name, "served": true, "storage": index == 0,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {"type": "string", "format": *name}}}}})
    };
    let versions: Vec<Value> = versions.iter().enumerate().map(version).collect();
    json!({
        "metadata": {"name": "samples.rest.test"},
        "spec": {"group": "rest.test", "scope": "Namespaced", "names": {"plural": plural, "kind": kind}, "versions": versions},
    })
    .to_string()
}

#[test]
fn definitions_keep_what_others_rely_on() {
    let one = definition("samples", "Sample", &["v1"]);
    check_update(DEFINITION, "", &one, &one, &[]);
    let errors = &["spec.names.plural: Invalid value: \"others\": field is immutable"];
    check_update(DEFINITION, "", &one, &definition("others", "Sample", &["v1"]), errors);
    // Only once it is served a kind is fixed.
    check_update(DEFINITION, "", &one, &definition("samples", "Other", &["v1"]), &[]);
    let gone = "status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions; v1 was previously a storage \
                version, and must remain in spec.versions until a storage migration ensures no data remains persisted in \
                v1 and removes v1 from status.storedVersions";
    with_bench(|bench| {
        let (old, _) = bench.create(DEFINITION, &one);
        assert_eq!(old["status"], json!({"storedVersions": ["v1"]}));
        let update = |to: &str, old: &Value| {
            let mut new = super::parse(DEFINITION, to);
            new["status"] = old["status"].clone();
            bench.update(DEFINITION, "", old, &new.to_string())
        };
        let (new, errors) = update(&definition("samples", "Sample", &["v2", "v1"]), &old);
        assert_eq!((&new["status"]["storedVersions"], errors), (&json!(["v1", "v2"]), vec![]));
        assert_eq!(update(&definition("samples", "Sample", &["v2"]), &old).1, [gone]);
        let mut established = old.clone();
        established["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
        let (_, errors) = update(&definition("samples", "Other", &["v1"]), &established);
        assert_eq!(errors, ["spec.names.kind: Invalid value: \"Other\": field is immutable"]);
        let kind = strategy(DEFINITION);
        let warnings = |old| kind.warnings(&bench.context(""), &new, old);
        assert_eq!(warnings(None), ["unrecognized format \"v2\"", "unrecognized format \"v1\""]);
        assert_eq!(warnings(Some(&old)), ["unrecognized format \"v2\""]);
    });
}

#[test]
fn accepted_names_are_names() {
    let one = definition("samples", "Sample", &["v1"]);
    let named =
        json!({"metadata": {"name": "samples.rest.test"}, "status": {"acceptedNames": {"plural": "A", "kind": "B"}}});
    with_bench(|bench| {
        let (old, _) = bench.create(DEFINITION, &one);
        let (_, errors) = bench.update(DEFINITION, "status", &old, &named.to_string());
        assert_eq!(errors.len(), 1);
        assert!(errors[0].starts_with("status.acceptedNames.plural: Invalid value: \"A\": "), "{errors:?}");
    });
}

/// A request for a certificate in PEM, as objects have it.
fn signing_request() -> String {
    let key = rcgen::KeyPair::generate().expect("a key");
    let request = rcgen::CertificateParams::default().serialize_request(&key).expect("a request");
    STANDARD.encode(request.pem().expect("text"))
}

fn asked(bench: &Bench, request: &str) -> Value {
    let yaml = format!("spec: {{request: {request}, signerName: x.io/s, usages: [client auth], username: other}}");
    let (object, errors) = bench.create(REQUEST, &yaml);
    assert_eq!(errors, [""; 0]);
    object
}

#[test]
fn signing_requests_say_who_asks() {
    with_bench(|bench| {
        let object = asked(bench, &signing_request());
        assert_eq!(object["spec"]["username"], "system:apiserver");
        assert_eq!(object["spec"]["groups"], json!(["system:masters"]));
        let mut broken = STANDARD.decode(signing_request()).expect("base64");
        broken.truncate(broken.len() / 2);
        let yaml = format!("spec: {{request: {}, signerName: x.io/s, usages: [any]}}", STANDARD.encode(broken));
        let errors = bench.create(REQUEST, &yaml).1;
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].ends_with("PEM block type must be CERTIFICATE REQUEST"), "{errors:?}");
    });
}

#[test]
fn each_endpoint_writes_its_part_of_a_request() {
    let approved = json!({"type": "Approved", "status": "True", "reason": "R"});
    with_bench(|bench| {
        let old = asked(bench, &signing_request());
        let write = |subresource: &str, old: &Value, status: Value| {
            let mut new = old.clone();
            new["spec"]["signerName"] = "other.io/s".into();
            new["status"] = status;
            bench.update(REQUEST, subresource, old, &new.to_string())
        };
        let (new, errors) = write("approval", &old, json!({"conditions": [approved], "certificate": "AAAA"}));
        assert_eq!(errors, [""; 0]);
        assert_eq!((&new["spec"], &new["status"]["certificate"]), (&old["spec"], &Value::Null));
        assert_eq!(new["status"]["conditions"][0]["lastUpdateTime"], "1970-01-01T00:00:00Z");
        assert!(strategy(REQUEST).writes_status("approval") && !strategy(REQUEST).writes_status(""));
        let (kept, errors) = write("", &new, json!({}));
        assert_eq!((&kept["status"], errors), (&new["status"], vec![]));
        let changed = json!({"type": "Approved", "status": "True", "reason": "Other"});
        let (kept, errors) = write("status", &new, json!({"conditions": [changed]}));
        assert_eq!((&kept["status"]["conditions"], errors), (&new["status"]["conditions"], vec![]));
        let (_, errors) = write("status", &new, json!({}));
        assert_eq!(errors, ["status.conditions: Forbidden: updates may not remove a condition of type \"Approved\""]);
    });
}

/// A pod's request for a certificate of a key, and the certificate that it gets.
fn issued() -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).expect("names");
    params.not_before = rcgen::date_time_ymd(1970, 1, 1);
    params.not_after = rcgen::date_time_ymd(1970, 1, 2);
    let request = rcgen::CertificateParams::default().serialize_request(&key).expect("a request");
    let chain = params.self_signed(&key).expect("a certificate").pem();
    (STANDARD.encode(request.der()), chain)
}

#[test]
fn chains_fit_their_request() {
    let (request, chain) = issued();
    let spec = json!({"signerName": "x.io/s", "podName": "p", "podUID": "u", "serviceAccountName": "s",
        "serviceAccountUID": "v", "nodeName": "n", "nodeUID": "w", "stubPKCS10Request": request});
    let status = |chain: &str, times: [&str; 3]| {
        json!({"conditions": [{"type": "Issued", "status": "True", "reason": "R", "message": "",
                "lastTransitionTime": "1970-01-01T00:00:00Z"}],
            "certificateChain": chain, "notBefore": times[0], "beginRefreshAt": times[1], "notAfter": times[2]})
    };
    let good = ["1970-01-01T00:00:00Z", "1970-01-01T12:00:00Z", "1970-01-02T00:00:00Z"];
    with_bench(|bench| {
        let (old, errors) = bench.create(POD_REQUEST, &json!({ "spec": spec }).to_string());
        assert_eq!(errors, [""; 0]);
        let check = |status: Value, expected: Option<&str>| {
            let new = json!({"spec": spec, "status": status});
            let errors = bench.update(POD_REQUEST, "status", &old, &new.to_string()).1;
            assert_eq!(errors.len(), usize::from(expected.is_some()), "{errors:?}");
            assert!(expected.is_none_or(|expected| errors[0].ends_with(expected)), "{errors:?}");
        };
        check(status(&chain, good), None);
        check(status(&format!("{chain}{chain}"), good), None);
        check(status("", good), Some("issued certificate chain must contain at least one certificate"));
        check(status(&issued().1, good), Some("leaf certificate was not issued to the requested public key"));
        let late = ["1970-01-01T00:00:01Z", good[1], good[2]];
        check(status(&chain, late), Some("must be set to the NotBefore time encoded in the leaf certificate"));
        let early = [good[0], "1970-01-01T00:09:59Z", good[2]];
        check(status(&chain, early), Some("must be at least 10 minutes after status.notBefore"));
        let rest = format!("{chain}-----BEGIN X-----\nAAAA\n-----END X-----\n");
        check(status(&rest, good), Some("issued certificate chain must consist entirely of CERTFICATE PEM blocks"));
    });
}

#[test]
fn two_flow_schemas_and_levels_are_fixed() {
    let exempt = json!({"metadata": {"name": "exempt"}, "spec": {"type": "Exempt", "exempt": {"lendablePercent": 5}}});
    let all = json!({"metadata": {"name": "catch-all"}, "spec": {"type": "Limited", "limited": {
        "nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}}}});
    let mut other = all.clone();
    other["spec"]["limited"]["nominalConcurrencyShares"] = 6.into();
    let schema =
        json!({"metadata": {"name": "catch-all"}, "spec": {"priorityLevelConfiguration": {"name": "catch-all"}}});
    with_bench(|bench| {
        let errors =
            |kind: &str, object: &Value| bench.create(&format!("flowcontrol.v1.{kind}"), &object.to_string()).1;
        assert_eq!(errors("PriorityLevelConfiguration", &exempt), [""; 0]);
        assert_eq!(errors("PriorityLevelConfiguration", &all), [""; 0]);
        let fixed = |errors: Vec<String>| {
            errors.len() == 1 && errors[0].ends_with(": spec of 'catch-all' must equal the fixed value")
        };
        assert!(fixed(errors("PriorityLevelConfiguration", &other)));
        assert!(fixed(errors("FlowSchema", &schema)));
    });
    let conditions =
        "{spec: {priorityLevelConfiguration: {name: a}}, status: {conditions: [{type: A}, {type: A}, {}]}}";
    check_update(
        "flowcontrol.v1.FlowSchema",
        "status",
        "spec: {priorityLevelConfiguration: {name: a}}",
        conditions,
        &["status.conditions[1].type: Duplicate value: \"A\"", "status.conditions[2].type: Required value"],
    );
}
