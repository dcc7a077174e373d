//! One pass over an object's bytes for what the cache needs to know: labels, selectable fields, where the uid stands.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What the pass has found. Offsets are into the scanned bytes.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    pub(super) labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Values of the paths asked for, in their order.
    pub(super) fields: Vec<Option<Cow<'a, str>>>,
    pub(super) uid: Option<Cow<'a, str>>,
    pub(super) name: Option<Cow<'a, str>>,
}

/// Reads the fields at `paths` (`["spec", "nodeName"]`) and what every object has.
///
/// # Errors
/// When the bytes are no JSON object.
pub(super) fn scan<'a, 'p>(
    bytes: &'a [u8],
    paths: impl Iterator<Item = &'p [Box<str>]>,
) -> Result<Found<'a>, serde_json::Error> {
    let wanted: Vec<(usize, &[Box<str>])> = paths.enumerate().collect();
    let mut found = Found { fields: vec![None; wanted.len()], ..Found::default() };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Level { wanted: &wanted, place: Place::Top, found: &mut found }.deserialize(&mut deserializer)?;
    Ok(found)
}

/// Where in the object a level is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Metadata,
    Labels,
    Elsewhere,
}

struct Level<'p, 'f, 'a> {
    wanted: &'p [(usize, &'p [Box<str>])],
    place: Place,
    found: &'f mut Found<'a>,
}

impl<'a> DeserializeSeed<'a> for Level<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Level<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key()? {
            match (self.place, &*key) {
                (Place::Labels, _) => {
                    let Scalar(value) = map.next_value()?;
                    self.found.labels.push((key, value.unwrap_or_default()));
                }
                (Place::Metadata, "uid") => self.found.uid = map.next_value::<Scalar<'_>>()?.0,
                (Place::Metadata, "name") => self.found.name = map.next_value::<Scalar<'_>>()?.0,
                _ => self.found.descend(self.wanted, below(self.place, &key), &key, &mut map)?,
            }
        }
        Ok(())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        if self.place == Place::Top { Err(E::custom("null is no object")) } else { Ok(()) }
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.place == Place::Top {
            return Err(A::Error::custom("a list is no object"));
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
}

impl<'a> Found<'a> {
    /// Reads the value of `key`: a leaf that is wanted, a branch that leads to one, or nothing of interest.
    fn descend<A: MapAccess<'a>>(
        &mut self,
        wanted: &[(usize, &[Box<str>])],
        place: Place,
        key: &str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let tails: Vec<(usize, &[Box<str>])> = wanted
            .iter()
            .filter_map(|(index, path)| {
                path.split_first().filter(|(head, _)| &***head == key).map(|(_, t)| (*index, t))
            })
            .collect();
        if let Some((index, _)) = tails.iter().find(|(_, tail)| tail.is_empty()) {
            self.fields[*index] = map.next_value::<Scalar<'_>>()?.0;
        } else if tails.is_empty() && place == Place::Elsewhere {
            map.next_value::<IgnoredAny>()?;
        } else {
            map.next_value_seed(Level { wanted: &tails, place, found: self })?;
        }
        Ok(())
    }
}

fn below(place: Place, key: &str) -> Place {
    match (place, key) {
        (Place::Top, "metadata") => Place::Metadata,
        (Place::Metadata, "labels") => Place::Labels,
        _ => Place::Elsewhere,
    }
}

/// A text, borrowed where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'a> serde::Deserialize<'a> for Text<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        Scalar::deserialize(deserializer).map(|Scalar(text)| Self(text.unwrap_or_default()))
    }
}

/// Any value as a selector compares it: texts, numbers and booleans as written, all else as nothing.
struct Scalar<'a>(Option<Cow<'a, str>>);

impl<'a> serde::Deserialize<'a> for Scalar<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor).map(Self)
    }
}

struct ScalarVisitor;

impl<'a> Visitor<'a> for ScalarVisitor {
    type Value = Option<Cow<'a, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(if value { "true" } else { "false" }.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(value.to_string().into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(value.to_string().into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Some(value.to_string().into()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Box<[Box<str>]> {
        text.split('.').map(Into::into).collect()
    }

    #[test]
    fn finds_what_is_asked() {
        let json = br#"{"kind":"Pod","metadata":{"name":"p","uid":"u-1","labels":{"a":"1","b\n":"2"},"ownerReferences":[{"uid":"x"}]},
            "spec":{"nodeName":"n","hostNetwork":true,"labels":{"no":"no"},"containers":[{"name":"c"}]},"status":{"replicas":3,"phase":null}}"#;
        let paths =
            ["spec.nodeName", "spec.hostNetwork", "status.replicas", "status.phase", "spec.none", "spec.nodeName.x"];
        let found = scan(json, paths.map(path).iter().map(|path| &**path)).expect("json");
        let fields: Vec<_> = found.fields.iter().map(Option::as_deref).collect();
        assert_eq!(fields[1..5], [Some("true"), Some("3"), None, None]);
        assert_eq!(found.labels, [("a".into(), "1".into()), ("b\n".into(), "2".into())]);
        assert_eq!((found.uid.as_deref(), found.name.as_deref()), (Some("u-1"), Some("p")));
    }

    #[test]
    fn other_shapes_are_refused_or_ignored() {
        for bad in ["", "null", "[]", "{", "{\"metadata\""] {
            assert!(scan(bad.as_bytes(), std::iter::empty()).is_err(), "{bad}");
        }
        assert!(scan(br#"{"metadata":[1,{}],"spec":"x"}"#, std::iter::once(&*path("spec.a"))).is_ok());
    }
}
