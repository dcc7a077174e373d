//! Messages byte for byte, hostile ones, and that what is written reads back.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::codec::{Format, decode, decode_protobuf};
use crate::facts::{Facts, Presence, Shape, TypeId};

fn ty(name: &str) -> Type {
    Type::builtin(name).expect("a built-in type")
}

fn bare(name: &str, source: Source<'_>) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.message(&ty(name), source).expect("an object of the type");
    writer.take()
}

/// The message of an object, in hexadecimal; the same from text and value, and whatever the order of fields.
#[track_caller]
fn check(name: &str, object: Value, expected: &str) {
    let hex = |bytes: Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(hex(bare(name, Source::Value(&object))), expected, "{name} {object}");
    assert_eq!(hex(bare(name, Source::Json(object.to_string().as_bytes()))), expected);
    let reversed = object.as_object().expect("an object").iter().rev().map(|(k, v)| (k.clone(), v.clone())).collect();
    assert_eq!(hex(bare(name, Source::Value(&reversed))), expected);
}

#[test]
fn what_is_no_pointer_is_always_there() {
    check("core.v1.LocalObjectReference", json!({}), "0a00");
    check("meta.v1.Preconditions", json!({}), "");
    check("meta.v1.Preconditions", json!({"uid": ""}), "0a00");
    check("core.v1.ResourceFieldSelector", json!({"resource": "a"}), "0a001201611a030a0130");
    check(
        "core.v1.ContainerPort",
        json!({"hostPort": 1, "containerPort": -1}),
        "0a00100118ffffffffffffffffff0122002a00",
    );
    check("networking.v1.ServiceBackendPort", json!({"number": 80}), "0a001050");
}

#[test]
fn scalars_have_messages() {
    check("core.v1.TCPSocketAction", json!({"port": 80}), "0a06080010501a001200");
    check("core.v1.TCPSocketAction", json!({"port": "a"}), "0a07080110001a01611200");
    let time = json!({"acquireTime": "1970-01-01T00:00:01.000002Z"});
    check("coordination.v1.LeaseSpec", time, "1a05080110d00f");
    let before = json!({"acquireTime": "1969-12-31T23:59:59.999999Z"});
    check("coordination.v1.LeaseSpec", before, "1a1108ffffffffffffffffff0110988cebdc03");
}

#[test]
fn lists_and_maps() {
    check("meta.v1.LabelSelector", json!({"matchLabels": {"b": "", "a": "1"}}), "0a060a01611201310a050a01621200");
    check("core.v1.PodPortForwardOptions", json!({"ports": [1, 300]}), "080108ac02");
    let user = json!({"extra": {"k": ["a", "b"], "j": []}});
    check("authentication.v1.UserInfo", user, "0a00120022050a016a1200220b0a016b12060a01610a0162");
    let resource = json!({"name": "a", "verbs": ["get"]});
    check("meta.v1.APIResource", resource, "0a016110001a0022050a03676574320042004a005200");
}

#[test]
fn inlined_structs_are_messages() {
    check("core.v1.Volume", json!({"name": "a"}), "0a01611200");
    check("core.v1.Volume", json!({"emptyDir": {}, "name": "a"}), "0a0161120412020a00");
    check("core.v1.SecretKeySelector", json!({"key": "k", "name": "n"}), "0a030a016e12016b");
}

#[test]
fn schemas_stand_beside_others() {
    let props = |object| {
        let all = bare("apiextensions.v1.JSONSchemaProps", Source::Value(&object));
        let none = bare("apiextensions.v1.JSONSchemaProps", Source::Value(&json!({})));
        (all.len() - none.len(), decode_bare("apiextensions.v1.JSONSchemaProps", &all))
    };
    for object in [
        json!({"additionalProperties": false}),
        json!({"additionalProperties": {"type": "string"}}),
        json!({"items": {"type": "string"}}),
        json!({"items": [{"type": "string"}, {}]}),
        json!({"dependencies": {"a": ["xy", "z"], "b": {"type": "object"}}}),
        json!({"default": {"b": 1, "a": [null, 1.5]}, "enum": ["a", 1]}),
    ] {
        let (length, again) = props(object.clone());
        assert!(length > 0 && again == object, "{object} {again}");
    }
}

fn decode_bare(name: &str, message: &[u8]) -> Value {
    let mut object = envelope("", "", message.len());
    object.extend_from_slice(message);
    decode_protobuf(&ty(name), &object).expect("our own bytes").value
}

#[test]
fn envelopes_and_frames() {
    let object = json!({"metadata": {"name": "a"}});
    let whole = encode(&ty("core.v1.ConfigMap"), "v1", "ConfigMap", Source::Value(&object)).expect("a config map");
    assert!(whole.starts_with(b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x13\x0a\x11\x0a\x01a\x12\0"), "{whole:?}");
    assert!(whole.ends_with(b"\x1a\0\x22\0"), "{whole:?}");
    let read = decode_protobuf(&ty("core.v1.ConfigMap"), &whole).expect("our own bytes").value;
    assert_eq!(read, json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}}));
    assert_eq!(watch_frame("ADDED", b"x"), b"\0\0\0\x0c\x0a\x05ADDED\x12\x03\x0a\x01x");
}

#[test]
fn long_messages_have_long_lengths() {
    for length in [0, 100, 120, 127, 128, 5_000, 16_383, 16_384, 70_000] {
        let object = json!({"metadata": {}, "data": {"b": "x".repeat(length), "a": "y".repeat(length)}});
        let bytes = encode(&ty("core.v1.ConfigMap"), "", "", Source::Value(&object)).expect("a config map");
        assert_eq!(decode_protobuf(&ty("core.v1.ConfigMap"), &bytes).expect("our own bytes").value, object);
    }
}

#[test]
fn other_objects_are_refused() {
    for (name, object) in [
        ("core.v1.ConfigMap", json!(null)),
        ("core.v1.ConfigMap", json!([])),
        ("core.v1.ConfigMap", json!({"data": 1})),
        ("core.v1.ConfigMap", json!({"data": {"a": {}}})),
        ("core.v1.Pod", json!({"spec": {"containers": "a"}})),
        ("core.v1.Pod", json!({"metadata": {"creationTimestamp": "now"}})),
        ("core.v1.Secret", json!({"data": {"a": "!"}})),
    ] {
        let result = Writer::default().message(&ty(name), Source::Value(&object));
        assert!(result.is_err(), "{object}");
    }
}

#[test]
fn hostile_messages_are_refused() {
    let read = |name: &str, message: &[u8]| {
        let mut bytes = envelope("v1", "X", message.len());
        bytes.extend_from_slice(message);
        decode_protobuf(&ty(name), &bytes).map_err(|error| error.to_string())
    };
    // not -> not -> not …, each inside the other
    let mut deep = Vec::new();
    for _ in 0..2_000 {
        let mut outer = Vec::new();
        wire::put_key(&mut outer, 28, wire::BYTES);
        wire::put_varint(&mut outer, deep.len() as u64);
        outer.append(&mut deep);
        deep = outer;
    }
    for (name, message, expected) in [
        ("apiextensions.v1.JSONSchemaProps", deep.as_slice(), "exceeded max depth"),
        ("core.v1.Pod", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "ends in the middle"),
        ("core.v1.Pod", b"\x0a\xff\xff\xff\xff\x0f", "ends in the middle"),
        ("core.v1.Pod", b"\x0a\x05a", "ends in the middle"),
        ("core.v1.Pod", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "ends in the middle"),
        ("core.v1.Pod", b"\x08\x01", "field 1 is encoded in a way"),
        ("core.v1.Pod", b"\x0b", "field 1 is encoded in a way"),
        ("core.v1.ConfigMap", b"\x12\x05\x0a\x01\xff\x12\x00", "not UTF-8"),
        ("apps.v1.ControllerRevision", b"\x12\x03\x0a\x01{", "not JSON"),
    ] {
        let error = read(name, message).expect_err("refused");
        assert!(error.contains(expected), "{name}: {error}");
    }
    // What a type does not have is skipped.
    assert!(read("core.v1.Pod", b"\xf8\x07\x01\xfa\x07\x01a").is_ok());
    assert!(decode_protobuf(&ty("core.v1.Pod"), b"k8s\x01").is_err());
}

/// Objects of a type: its fields or some of them, lists and maps of up to two, no deeper than a few levels.
fn objects(facts: &'static Facts, id: TypeId, depth: u32) -> BoxedStrategy<Value> {
    let fields = facts.get(id).fields.iter().filter(|field| field.number.own != 0);
    let some: Vec<_> = fields
        .map(|field| {
            let value = values(facts, &field.shape, depth);
            let chance = if field.presence == Presence::Always { 0.9 } else { 0.4 };
            (Just(field.name.to_string()), prop::option::weighted(chance, value))
        })
        .collect();
    let object = |fields: Vec<(String, Option<Value>)>| {
        Value::Object(fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    };
    some.prop_map(object).boxed()
}

fn values(facts: &'static Facts, shape: &'static Shape, depth: u32) -> BoxedStrategy<Value> {
    let down = depth.saturating_sub(1);
    match shape {
        Shape::String => "\\PC{0,6}".prop_map(Value::from).boxed(),
        Shape::Bytes => prop::sample::select(vec!["", "AA==", "AAECAw=="]).prop_map(Value::from).boxed(),
        Shape::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Shape::Int32 => any::<i32>().prop_map(Value::from).boxed(),
        Shape::Int64 => any::<i64>().prop_map(Value::from).boxed(),
        Shape::Float => (-1000i32..1000).prop_map(|n| json!(f64::from(n) / 4.0)).boxed(),
        Shape::Quantity => prop::sample::select(vec!["0", "1", "100m", "1Gi"]).prop_map(Value::from).boxed(),
        Shape::IntOrString => {
            prop_oneof![any::<i32>().prop_map(Value::from), "[a-z]{0,3}".prop_map(Value::from)].boxed()
        }
        Shape::Time => (1u32..).prop_map(|n| time(n, 0).into()).boxed(),
        Shape::MicroTime => (1u32.., 0..1_000_000).prop_map(|(n, micros)| time(n, micros).into()).boxed(),
        Shape::Any => prop::sample::select(vec![json!({"b": [1, null], "a": "x"}), json!("x"), json!(1.5)]).boxed(),
        Shape::Object(id) | Shape::ObjectOr(id, _) if depth > 0 => objects(facts, *id, down),
        Shape::Object(_) | Shape::ObjectOr(..) => Just(Value::Null).boxed(),
        Shape::List(item) => prop::collection::vec(values(facts, item, down), 0..3).prop_map(without_nulls).boxed(),
        Shape::Map(value) => {
            let entries = prop::collection::btree_map("[a-z./]{0,4}", values(facts, value, down), 0..3);
            let some = |map: std::collections::BTreeMap<String, Value>| {
                let map: Value = map.into_iter().filter(|(_, value)| !value.is_null()).collect();
                if map.as_object().is_none_or(|map| map.is_empty()) { Value::Null } else { map }
            };
            entries.prop_map(some).boxed()
        }
    }
}

fn time(seconds: u32, micros: i32) -> String {
    let time = jiff::Timestamp::new(seconds.into(), micros * 1_000).expect("a time");
    if micros == 0 { object::time::seconds(time) } else { object::time::micros(time) }
}

/// Empty lists and maps are absent: protobuf does not tell one from the other.
fn without_nulls(mut items: Vec<Value>) -> Value {
    items.retain(|item| !item.is_null());
    if items.is_empty() { Value::Null } else { items.into() }
}

fn any_object() -> BoxedStrategy<(String, Value)> {
    let facts: &'static Facts = Box::leak(Box::new(Facts::builtin()));
    let roots: Vec<TypeId> = facts.iter().filter(|(_, ty)| ty.gvk.is_some()).map(|(id, _)| id).collect();
    let object = move |id| objects(facts, id, 4).prop_map(move |object| (facts.get(id).name.to_string(), object));
    prop::sample::select(roots).prop_flat_map(object).boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back((name, object) in any_object()) {
        let normal = decode(&ty(&name), object.to_string().as_bytes(), Format::Json).expect("an object").value;
        let bytes = encode(&ty(&name), "", "", Source::Value(&normal)).expect("a normal object");
        let text = normal.to_string();
        prop_assert_eq!(&bytes, &encode(&ty(&name), "", "", Source::Json(text.as_bytes())).expect("its text"));
        prop_assert_eq!(decode_protobuf(&ty(&name), &bytes).expect("our own bytes").value, normal);
    }

    #[test]
    fn nothing_panics(
        (name, object) in any_object(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encode(&ty(&name), "", "", Source::Value(&object)).expect("an object");
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] ^= byte;
        }
        bytes.truncate(end.index(bytes.len()) + 1);
        drop(decode_protobuf(&ty(&name), &bytes));
    }

    #[test]
    fn noise_is_refused_or_read(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = envelope("", "", noise.len());
        bytes.extend_from_slice(&noise);
        drop(decode_protobuf(&ty("core.v1.Pod"), &bytes));
    }
}
