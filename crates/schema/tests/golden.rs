//! Upstream's golden objects, with every field filled: what goes in must come out, byte for byte in JSON and protobuf.
//!
//! The files are not part of the repository: `CORACLE_REFERENCE_DATA` names their directory, by default
//! `../shared/data` beside the repository. Where they are absent the tests say so and pass.

#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::{fs, path::PathBuf};

use schema::codec::{Format, protobuf};
use schema::{Facts, Type, decode, decode_protobuf, encode};
use serde_json::Value;

/// How many of upstream's 185 files are types of this version. The others are versions that 1.36 no longer serves.
const SERVED: usize = 119;
/// How many conversions there are at least between versions of one kind.
const CONVERTED: usize = 30;

#[test]
fn json_round_trips() {
    let Some(objects) = golden("json") else { return };
    assert_eq!(objects.len(), SERVED);
    for (name, ty, text) in objects {
        let decoded = decode(&ty, &text, Format::Json).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(decoded.issues, [], "{name}");
        let printed = serde_json::to_string_pretty(&decoded.value).unwrap();
        let text = String::from_utf8(text).unwrap();
        for (ours, theirs) in printed.lines().zip(text.lines()) {
            assert_eq!(ours, theirs, "{name}");
        }
        assert_eq!(printed.lines().count(), text.lines().count(), "{name}");
    }
}

#[test]
fn yaml_means_the_same() {
    let (Some(yaml), Some(json)) = (golden("yaml"), golden("json")) else { return };
    for ((name, ty, yaml), (_, _, json)) in yaml.into_iter().zip(json) {
        let decoded = decode(&ty, &yaml, Format::Yaml).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!(decoded.issues, [], "{name}");
        assert_eq!(decoded.value, serde_json::from_slice::<Value>(&json).unwrap(), "{name}");
        let again = decode(&ty, &encode(&decoded.value, Format::Yaml), Format::Yaml).unwrap();
        assert_eq!(again.value, decoded.value, "{name}");
    }
}

#[test]
fn protobuf_means_the_same() {
    let (Some(binary), Some(json)) = (golden("pb"), golden("json")) else { return };
    assert_eq!(binary.len(), json.len());
    for ((name, ty, bytes), (_, _, json)) in binary.into_iter().zip(json) {
        let decoded = decode_protobuf(&ty, &bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(decoded.issues, [], "{name}");
        let expected = decode(&ty, &json, Format::Json).unwrap();
        assert_eq!(decoded.value, expected.value, "{name}");
    }
}

/// Both from upstream's JSON and from what its protobuf reads as.
#[test]
fn protobuf_round_trips() {
    let (Some(binary), Some(json)) = (golden("pb"), golden("json")) else { return };
    for ((name, ty, bytes), (_, _, json)) in binary.into_iter().zip(json) {
        for decoded in [decode_protobuf(&ty, &bytes).unwrap(), decode(&ty, &json, Format::Json).unwrap()] {
            let (text, source) = (decoded.value.to_string(), protobuf::Source::Value(&decoded.value));
            // Watch events have neither.
            let head = |field: &str| decoded.value[field].as_str().unwrap_or_default();
            for source in [source, protobuf::Source::Json(text.as_bytes())] {
                let written = protobuf::encode(&ty, head("apiVersion"), head("kind"), source).unwrap();
                let at = written.iter().zip(&bytes).take_while(|(a, b)| a == b).count();
                assert!(written == bytes, "{name} differs at {at} of {}", bytes.len());
            }
        }
    }
}

#[test]
fn hostile_protobuf_is_refused() {
    let Some(objects) = golden("pb") else { return };
    for (_, ty, bytes) in objects.into_iter().take(10) {
        for end in (0..bytes.len()).step_by(7) {
            // Cut anywhere it is refused or, between fields, a smaller object; it never panics.
            drop(decode_protobuf(&ty, &bytes[..end]));
            let mut flipped = bytes.clone();
            flipped[end] ^= 0x55;
            drop(decode_protobuf(&ty, &flipped));
        }
    }
}

#[test]
fn normalising_a_normal_object_changes_nothing() {
    let Some(objects) = golden("json") else { return };
    for (name, ty, text) in objects {
        let value: Value = serde_json::from_slice(&text).unwrap();
        let normal = schema::normalise(&ty, value.clone()).unwrap();
        assert_eq!(encode(&normal.value, Format::Json), encode(&value, Format::Json), "{name}");
    }
}

#[test]
fn every_version_holds_what_the_others_hold() {
    let Some(objects) = golden("json") else { return };
    let snapshot = schema::Table::builtin().snapshot();
    let mut converted = 0;
    for (name, ty, text) in objects {
        let Some(gvk) = &ty.get().gvk else { continue };
        let mut rows = snapshot.rows().filter(|row| row.group == *gvk.group && row.kind == *gvk.kind);
        let Some(row) = rows.find(|row| row.version(&gvk.version).is_some()) else { continue };
        let here = row.version(&gvk.version).unwrap();
        let object = decode(&ty, &text, Format::Json).unwrap().value;
        for (there, version) in row.versions.iter().enumerate() {
            let other = schema::convert(row, object.clone(), there).unwrap();
            let other = schema::normalise(&version.ty, other).unwrap();
            assert_eq!(other.issues, [], "{name} as {}", version.name);
            let back = schema::normalise(&ty, schema::convert(row, other.value, here).unwrap()).unwrap();
            assert_eq!(back.value, object, "{name} through {}", version.name);
            converted += usize::from(there != here);
        }
    }
    assert!(converted >= CONVERTED, "only {converted} conversions");
}

#[test]
fn stored_objects_come_back() {
    let Some(objects) = golden("json") else { return };
    let snapshot = schema::Table::builtin().snapshot();
    for (name, ty, text) in objects {
        let Some(gvk) = &ty.get().gvk else { continue };
        let mut rows =
            snapshot.rows().filter(|row| row.group == *gvk.group && row.kind == *gvk.kind && row.is_stored());
        let Some(served) = rows.find_map(|row| snapshot.resource(&row.group, &gvk.version, &row.plural)) else {
            continue;
        };
        let object = decode(&ty, &text, Format::Json).unwrap().value;
        let stored = schema::to_storage(&served, object.clone()).unwrap();
        let kept = served.resource.stored_as.as_ref().and_then(Type::of_kind);
        let kept = kept.unwrap_or_else(|| served.resource.storage_version().ty.clone());
        let stored = schema::normalise(&kept, stored).unwrap();
        assert_eq!(stored.issues, [], "{name}");
        let back = schema::normalise(&ty, schema::from_storage(&served, stored.value).unwrap()).unwrap();
        assert_eq!(back.value, object, "{name}");
    }
}

/// Name, type and content of each file whose type is known, by name.
fn golden(extension: &str) -> Option<Vec<(String, Type, Vec<u8>)>> {
    let directory = reference_data().join("api-roundtrip-testdata-1.36");
    let Ok(entries) = fs::read_dir(&directory) else {
        println!("skipped: no golden objects at {}", directory.display());
        return None;
    };
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("a directory entry").path()).collect();
    paths.sort();
    let facts = Facts::builtin();
    let objects = paths.iter().filter(|p| p.extension().is_some_and(|e| e == extension)).filter_map(|path| {
        let name = path.file_stem()?.to_str()?.to_owned();
        let (group_version, kind) = name.rsplit_once('.')?;
        let (group, version) = group_version.rsplit_once('.')?;
        let gvk = object::Gvk::new(if group == "core" { "" } else { group }, version, kind);
        let by_kind = facts.iter().find(|(_, ty)| ty.gvk.as_ref() == Some(&gvk)).map(|(id, _)| id);
        let short = format!("{}.{version}.{kind}", group.split('.').next()?);
        let id = by_kind.or_else(|| facts.find(&short)).or_else(|| facts.find(&format!("meta.{version}.{kind}")))?;
        Some((name, Type::new(facts.clone(), id), fs::read(path).expect("golden files are readable")))
    });
    Some(objects.collect())
}

fn reference_data() -> PathBuf {
    std::env::var_os("CORACLE_REFERENCE_DATA")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")), PathBuf::from)
}
