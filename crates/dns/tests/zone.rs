//! Services and slices as text in, answers to questions out.

#![expect(clippy::unwrap_used, reason = "a test says what failed by panicking")]

use dns::{Answer, Responder, Source, Zone, records};
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, Record, RecordType};
use informer::Key;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;

const SERVICES: &str = "
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.43.0.9, ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}, {port: 99}]}
---
metadata: {name: dual, namespace: default}
spec: {clusterIP: 10.43.0.10, clusterIPs: [10.43.0.10, 'fd00:43::a'], ports: []}
---
metadata: {name: db, namespace: default}
spec: {clusterIP: None, ports: [{name: sql, port: 5432}]}
---
metadata: {name: empty, namespace: default}
spec: {clusterIP: None}
---
metadata: {name: away, namespace: default}
spec: {type: ExternalName, externalName: db.example.com}
---
metadata: {name: alias, namespace: default}
spec: {type: ExternalName, externalName: web.default.svc.cluster.local.}
---
metadata: {name: circle, namespace: default}
spec: {type: ExternalName, externalName: circle.default.svc.cluster.local}
";

const SLICE: &str = "
metadata: {}
addressType: IPv4
ports: [{name: sql, port: 5432, protocol: TCP}]
endpoints:
- {addresses: [10.42.0.5], hostname: db-0}
- {addresses: [10.42.0.6], conditions: {ready: true}}
- {addresses: [10.42.0.7], conditions: {ready: false}}
";

fn responder() -> Responder {
    let domain = Name::from_ascii("cluster.local.").unwrap();
    let cidrs = vec!["10.42.0.0/16".parse().unwrap(), "10.43.0.0/16".parse().unwrap()];
    let mut zone = Zone::new(&domain, cidrs, &["10.43.0.10".parse().unwrap()]);
    let namespace = zone.namespace_entries("default");
    zone.set(Source::Namespace("default".into()), namespace);
    let slices = [Box::new(serde_saphyr::from_str::<EndpointSlice>(SLICE).unwrap())];
    for text in SERVICES.split("---") {
        let service: Service = serde_saphyr::from_str(text).unwrap();
        let name = service.metadata.name.clone().unwrap();
        let slices = if name == "db" { &slices[..] } else { &[] };
        let entries = records(&service, slices, &domain);
        zone.set(Source::Service(Key::new(Some("default"), &name)), entries);
    }
    Responder::new(zone)
}

fn query(name: &str, wanted: RecordType) -> Message {
    let mut query = Message::new(0, MessageType::Query, OpCode::Query);
    query.add_query(Query::query(Name::from_ascii(name).unwrap(), wanted));
    query
}

fn ask(responder: &Responder, name: &str, wanted: RecordType) -> Vec<String> {
    let text = |record: &Record| format!("{} {} {}", record.name, record.record_type(), record.data);
    match responder.answer(&query(name, wanted).to_vec().unwrap()) {
        Answer::Silence => vec!["silence".into()],
        Answer::Done(answer) => {
            let code = answer.metadata.response_code.to_str().to_owned();
            let negative = answer.authorities.iter().any(|record| record.record_type() == RecordType::SOA);
            let found = answer.answers.iter().chain(&answer.additionals).map(text);
            std::iter::once(if negative { format!("{code}, SOA") } else { code }).chain(found).collect()
        }
        Answer::Ask(answer, question) => {
            let asked = format!("ask {} {}", question.name(), question.query_type());
            answer.answers.iter().map(text).chain([asked]).collect()
        }
    }
}

#[track_caller]
fn check(name: &str, wanted: RecordType, expected: &[&str]) {
    assert_eq!(ask(&responder(), name, wanted), expected, "{name} {wanted}");
}

#[test]
fn services_have_addresses_and_ports() {
    let web = "web.default.svc.cluster.local.";
    check(web, RecordType::A, &["No Error", "web.default.svc.cluster.local. A 10.43.0.9"]);
    check("WEB.default.SVC.cluster.local.", RecordType::A, &["No Error", "WEB.default.SVC.cluster.local. A 10.43.0.9"]);
    check(web, RecordType::AAAA, &["No Error, SOA"]);
    let dual = "dual.default.svc.cluster.local.";
    check(dual, RecordType::AAAA, &["No Error", "dual.default.svc.cluster.local. AAAA fd00:43::a"]);
    check(
        "_http._tcp.web.default.svc.cluster.local.",
        RecordType::SRV,
        &[
            "No Error",
            "_http._tcp.web.default.svc.cluster.local. SRV 0 100 80 web.default.svc.cluster.local.",
            "web.default.svc.cluster.local. A 10.43.0.9",
        ],
    );
    check("_dns._tcp.web.default.svc.cluster.local.", RecordType::SRV, &["Non-Existent Domain, SOA"]);
    check(
        "9.0.43.10.in-addr.arpa.",
        RecordType::PTR,
        &["No Error", "9.0.43.10.in-addr.arpa. PTR web.default.svc.cluster.local."],
    );
}

#[test]
fn headless_services_have_their_ready_endpoints() {
    let db = "db.default.svc.cluster.local.";
    check(db, RecordType::A, &["No Error", &format!("{db} A 10.42.0.5"), &format!("{db} A 10.42.0.6")]);
    check(&format!("db-0.{db}"), RecordType::A, &["No Error", &format!("db-0.{db} A 10.42.0.5")]);
    check(&format!("10-42-0-6.{db}"), RecordType::A, &["No Error", &format!("10-42-0-6.{db} A 10.42.0.6")]);
    check(
        &format!("_sql._tcp.{db}"),
        RecordType::SRV,
        &[
            "No Error",
            &format!("_sql._tcp.{db} SRV 0 100 5432 db-0.{db}"),
            &format!("_sql._tcp.{db} SRV 0 100 5432 10-42-0-6.{db}"),
            &format!("db-0.{db} A 10.42.0.5"),
            &format!("10-42-0-6.{db} A 10.42.0.6"),
        ],
    );
    check("5.0.42.10.in-addr.arpa.", RecordType::PTR, &["No Error", &format!("5.0.42.10.in-addr.arpa. PTR db-0.{db}")]);
    check("empty.default.svc.cluster.local.", RecordType::A, &["Non-Existent Domain, SOA"]);
}

#[test]
fn aliases_are_followed() {
    check(
        "away.default.svc.cluster.local.",
        RecordType::A,
        &["away.default.svc.cluster.local. CNAME db.example.com.", "ask db.example.com. A"],
    );
    check(
        "away.default.svc.cluster.local.",
        RecordType::CNAME,
        &["No Error", "away.default.svc.cluster.local. CNAME db.example.com."],
    );
    check(
        "alias.default.svc.cluster.local.",
        RecordType::A,
        &[
            "No Error",
            "alias.default.svc.cluster.local. CNAME web.default.svc.cluster.local.",
            "web.default.svc.cluster.local. A 10.43.0.9",
        ],
    );
    assert_eq!(ask(&responder(), "circle.default.svc.cluster.local.", RecordType::A)[0], "Server Failure");
}

#[test]
fn pods_have_names_by_address() {
    let pod = "10-42-0-5.default.pod.cluster.local.";
    check(pod, RecordType::A, &["No Error", &format!("{pod} A 10.42.0.5")]);
    check(pod, RecordType::AAAA, &["No Error, SOA"]);
    let v6 = "fd00-42--5.default.pod.cluster.local.";
    check(v6, RecordType::AAAA, &["No Error", &format!("{v6} AAAA fd00:42::5")]);
    for none in ["10-42-0-5.nowhere.pod.cluster.local.", "web.default.pod.cluster.local."] {
        check(none, RecordType::A, &["Non-Existent Domain, SOA"]);
    }
}

#[test]
fn the_zone_knows_what_is_not_there() {
    for exists in
        ["cluster.local.", "svc.cluster.local.", "default.svc.cluster.local.", "_tcp.web.default.svc.cluster.local."]
    {
        check(exists, RecordType::A, &["No Error, SOA"]);
    }
    for missing in ["nothing.default.svc.cluster.local.", "web.other.svc.cluster.local.", "x.cluster.local."] {
        check(missing, RecordType::A, &["Non-Existent Domain, SOA"]);
    }
    check("8.8.43.10.in-addr.arpa.", RecordType::PTR, &["Non-Existent Domain, SOA"]);
    check("8.8.8.8.in-addr.arpa.", RecordType::PTR, &["ask 8.8.8.8.in-addr.arpa. PTR"]);
    check("example.com.", RecordType::A, &["ask example.com. A"]);
    check("dns-version.cluster.local.", RecordType::TXT, &["No Error", "dns-version.cluster.local. TXT 1.1.0"]);
    check("cluster.local.", RecordType::NS, &["No Error", "cluster.local. NS ns.dns.cluster.local."]);
}

#[test]
fn forgotten_services_leave_nothing() {
    let responder = responder();
    let gone = |name: &str| ask(&responder, name, RecordType::A)[0].clone();
    responder.change(|zone| {
        for service in ["web", "db", "dual"] {
            zone.remove(&Source::Service(Key::new(Some("default"), service)));
        }
    });
    for name in ["web", "_tcp.web", "db", "db-0.db", "dual"] {
        assert_eq!(gone(&format!("{name}.default.svc.cluster.local.")), "Non-Existent Domain, SOA", "{name}");
    }
    assert_eq!(gone("default.svc.cluster.local."), "No Error, SOA", "the namespace is there still");
    responder.change(|zone| zone.remove(&Source::Namespace("default".into())));
    assert_eq!(gone("default.pod.cluster.local."), "Non-Existent Domain, SOA");
}

#[test]
fn malformed_queries_are_harmless() {
    let responder = responder();
    let good = query("web.default.svc.cluster.local.", RecordType::A).to_vec().unwrap();
    for length in 0..good.len() {
        assert!(!matches!(responder.answer(&good[..length]), Answer::Ask(..)), "{length}");
    }
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            let _ = responder.answer(&bytes);
        }
    }
    let mut response = good;
    response[2] |= 0x80;
    assert!(matches!(responder.answer(&response), Answer::Silence));
}
