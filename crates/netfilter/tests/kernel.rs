//! Batches against the kernel, read back with the `nft` program.
#![expect(clippy::unwrap_used, reason = "a test says what failed by panicking")]

#[path = "support/namespace.rs"]
mod namespace;

use std::time::Duration;

use namespace::{isolated, run};
use netfilter::{
    Base, Batch, Chain, DataType, DynsetOp, Element, Expression, Family, Hook, Kind, MetaKey, NatKind, Policy,
    Register, Reject, Rule, Set, Socket, Table, Verdict,
};

fn table() -> Table {
    Table::new(Family::Ipv4, "example")
}

fn apply(build: impl FnOnce(&mut Batch)) -> Result<(), netfilter::Error> {
    let mut batch = Batch::new();
    build(&mut batch);
    Socket::open().unwrap().apply(&batch)
}

fn base() -> Batch {
    let mut batch = Batch::new();
    batch.add_table(&table());
    batch.add_chain(&table(), &Chain::base("in", Kind::Filter, Hook::Input, 0, Policy::Accept));
    batch.add_chain(&table(), &Chain::base("pre", Kind::Nat, Hook::Prerouting, -100, Policy::Accept));
    batch.add_chain(&table(), &Chain::base("post", Kind::Nat, Hook::Postrouting, 100, Policy::Accept));
    batch.add_chain(&table(), &Chain::plain("other"));
    batch
}

/// The lines of a chain or set as `nft` prints them, without the braces around.
fn listed(what: &str) -> Vec<String> {
    let text = run(&format!("nft list {what}"));
    text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty() && line != "}").skip(2).collect()
}

#[test]
fn a_table_is_there_or_not() {
    isolated(|| {
        let mut socket = Socket::open().unwrap();
        assert!(!socket.has_table(&table()).unwrap());
        socket.apply(&base()).unwrap();
        assert!(socket.has_table(&table()).unwrap());
        assert!(!socket.has_table(&Table::new(Family::Ipv6, "example")).unwrap(), "families are apart");
        assert!(!socket.has_table(&Table::new(Family::Ipv4, "exampl")).unwrap());
        apply(|batch| batch.remove_table(&table())).unwrap();
        assert!(!socket.has_table(&table()).unwrap(), "the socket serves again and again");
    });
}

#[test]
fn rules_read_back_as_written() {
    isolated(|| {
        let mut batch = base();
        let rules = [
            Rule::new().source_in("10.0.0.0/8".parse().unwrap()).counter().verdict(Verdict::Drop),
            Rule::new().destination_not_in("10.1.2.3/32".parse().unwrap()).verdict(Verdict::Jump("other".into())),
            Rule::new().input_starts_with("cor").protocol(6).destination_port(443).verdict(Verdict::Accept),
            Rule::new().input_is_not("lo").new_connection().reject(Reject::Ipv4Port),
            Rule::new().source_is_local().set_mark(0x4000),
            Rule::new().marked(0x4000).clear_mark(0x4000),
            Rule::new().protocol(6).reject(Reject::TcpReset),
        ];
        rules.iter().for_each(|rule| batch.add_rule(&table(), "in", rule));
        batch.add_rule(&table(), "post", &Rule::new().destination_translated().masquerade());
        Socket::open().unwrap().apply(&batch).unwrap();
        assert_eq!(
            listed("chain ip example in")[1..],
            [
                "ip saddr 10.0.0.0/8 counter packets 0 bytes 0 drop",
                "ip daddr != 10.1.2.3 jump other",
                "iifname \"cor*\" tcp dport 443 accept",
                "iifname != \"lo\" ct state new reject",
                "fib saddr type local meta mark set meta mark | 0x00004000",
                "meta mark & 0x00004000 == 0x00004000 meta mark set meta mark & 0xffffbfff",
                "reject with tcp reset",
            ]
        );
        assert_eq!(listed("chain ip example post")[1..], ["ct status dnat masquerade fully-random"]);
    });
}

#[test]
fn concatenations_maps_and_numbers() {
    isolated(|| {
        let (ip, protocol, port) = (Register(0), Register(1), Register(2));
        let mut batch = base();
        let key = [DataType::Ipv4, DataType::Protocol, DataType::Port];
        batch.add_set(&table(), &Set::verdict_map("services", &key));
        batch.add_set(&table(), &Set::map("endpoints", &[DataType::Mark], &[DataType::Ipv4, DataType::Port]));
        let affinity = Set::map("affinity", &[DataType::Ipv4], &[DataType::Ipv4, DataType::Port]);
        batch.add_set(&table(), &affinity.dynamic(1000, Duration::from_secs(60)));
        let service = [10, 43, 0, 1, 6, 0, 0, 0, 1, 187, 0, 0];
        batch.add_elements(&table(), "services", &[Element::with_verdict(service, Verdict::Goto("other".into()))]);
        let endpoint = Element::with_data(1u32.to_ne_bytes(), [10, 42, 0, 5, 24, 0, 0, 0]);
        batch.add_elements(&table(), "endpoints", &[endpoint]);
        let lookup = Rule::new()
            .expression(Expression::Payload { base: Base::Network, offset: 16, length: 4, into: ip })
            .expression(Expression::Meta { key: MetaKey::Protocol, into: protocol })
            .expression(Expression::Payload { base: Base::Transport, offset: 2, length: 2, into: port })
            .expression(Expression::LookupVerdict { map: "services".into(), from: ip });
        batch.add_rule(&table(), "pre", &lookup);
        let (address, port) = (Register(4), Register(5));
        let choose = Rule::new()
            .protocol(6)
            .expression(Expression::Random { modulus: 2, into: Register(0) })
            .expression(Expression::Lookup {
                set: "endpoints".into(),
                from: Register(0),
                into: Some(address),
                negated: false,
            })
            .expression(Expression::Payload { base: Base::Network, offset: 12, length: 4, into: Register(8) })
            .expression(Expression::Dynset {
                set: "affinity".into(),
                op: DynsetOp::Add,
                key: Register(8),
                data: Some(address),
                timeout: Some(Duration::from_secs(5)),
            })
            .expression(Expression::Nat { kind: NatKind::Destination, ipv6: false, address, port: Some(port) });
        batch.add_rule(&table(), "other", &choose);
        Socket::open().unwrap().apply(&batch).unwrap();
        let services = listed("map ip example services").join(" ");
        assert!(services.contains("elements = { 10.43.0.1 . tcp . 443 : goto other"), "{services}");
        let endpoints = listed("map ip example endpoints").join(" ");
        assert!(endpoints.contains("10.42.0.5 . 6144"), "{endpoints}");
        let dnat = listed("chain ip example pre").join(" ");
        assert!(dnat.contains("ip daddr . meta l4proto . th dport vmap @services"), "{dnat}");
    });
}

#[test]
fn a_refused_change_is_named_and_undoes_the_rest() {
    isolated(|| {
        Socket::open().unwrap().apply(&base()).unwrap();
        let error = apply(|batch| {
            batch.add_chain(&table(), &Chain::plain("unseen"));
            batch.add_rule(&table(), "missing", &Rule::new().counter());
        })
        .unwrap_err();
        assert!(error.to_string().starts_with("add a rule to chain missing in table ip example"), "{error}");
        assert!(error.is_absent());
        assert!(!run("nft list table ip example").contains("unseen"));
    });
}

#[test]
fn elements_are_replaced_in_one_step_and_many_fit() {
    isolated(|| {
        let mut batch = base();
        batch.add_set(&table(), &Set::map("m", &[DataType::Mark], &[DataType::Mark]));
        let many: Vec<Element> =
            (0..20_000u32).map(|n| Element::with_data(n.to_ne_bytes(), (n + 1).to_ne_bytes())).collect();
        batch.add_elements(&table(), "m", &many);
        assert!(batch.len() > 10, "a list is cut into messages");
        Socket::open().unwrap().apply(&batch).unwrap();
        apply(|batch| {
            batch.delete_elements(&table(), "m", &many[..1]);
            batch.add_elements(&table(), "m", &[Element::with_data(0u32.to_ne_bytes(), 9u32.to_ne_bytes())]);
            batch.delete_elements(&table(), "m", &many[2..]);
        })
        .unwrap();
        let left = listed("map ip example m").join(" ");
        // The program is not told the byte order of marks in sets and shows them swapped.
        assert!(left.contains("0x00000000 : 0x09000000") && left.contains("0x01000000 : 0x02000000"), "{left}");
        let twice = apply(|batch| batch.add_elements(&table(), "m", &many[1..2])).unwrap_err();
        assert!(twice.to_string().starts_with("add elements to set m in table ip example"), "{twice}");
    });
}

#[test]
fn tables_are_renewed_and_removed_and_others_stay() {
    isolated(|| {
        run("nft add table ip someone");
        Socket::open().unwrap().apply(&base()).unwrap();
        apply(|batch| {
            batch.renew_table(&table());
            batch.add_chain(&table(), &Chain::plain("fresh"));
        })
        .unwrap();
        let text = run("nft list ruleset");
        assert!(text.contains("fresh") && !text.contains("other"), "{text}");
        for _ in 0..2 {
            apply(|batch| batch.remove_table(&table())).unwrap();
        }
        assert_eq!(run("nft list ruleset").trim(), "table ip someone {\n}");
    });
}
