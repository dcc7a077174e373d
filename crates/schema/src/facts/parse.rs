//! The text form of facts.
//!
//! ```text
//! apps.v1.Deployment gvk=apps/v1/Deployment
//!  spec 2 apps.v1.DeploymentSpec always
//! core.v1.PodSpec
//!  containers 2 []core.v1.Container required list=map keys=name patch=merge:name
//! ```
//!
//! A line without indent starts a type; an indented one is a field: JSON name, protobuf number (`outer.own` where Go
//! inlines a struct), shape, then words. Shapes: `string bytes bool int32 int64 float quantity intOrString time
//! microTime any`, a type, `[]` or `map:` before a shape, `orBool:`, `orList:` or
//! `orTexts:` before a type.

use std::collections::HashMap;

use thiserror::Error;

use super::{Facts, Field, ListType, Number, Or, Patch, Presence, Shape, TypeFacts, TypeId};

/// A line that is no fact.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("facts line {line}: {problem}")]
pub struct ParseError {
    pub line: usize,
    pub problem: String,
}

pub(super) fn parse(text: &str) -> Result<Facts, ParseError> {
    let lines = || text.lines().enumerate().filter(|(_, l)| !l.is_empty() && !l.starts_with('#'));
    let heads = lines().filter(|(_, l)| !l.starts_with(' '));
    let ids: HashMap<&str, TypeId> = heads.zip(0..).map(|((_, l), i)| (first_word(l), TypeId(i))).collect();
    let mut types: Vec<TypeFacts> = Vec::with_capacity(ids.len());
    for (number, line) in lines() {
        let fail = |problem: String| ParseError { line: number + 1, problem };
        if let Some(line) = line.strip_prefix(' ') {
            let ty = types.last_mut().ok_or_else(|| fail("a field before any type".into()))?;
            ty.fields.push(field(line, &ids).map_err(fail)?);
        } else {
            types.push(head(line).map_err(fail)?);
        }
    }
    Ok(Facts::from_types(types))
}

fn first_word(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

fn head(line: &str) -> Result<TypeFacts, String> {
    let mut words = line.split(' ');
    let name = words.next().unwrap_or_default().into();
    let mut ty = TypeFacts {
        name,
        gvk: None,
        fields: Vec::new(),
        atomic: false,
        open: false,
        defaults: Default::default(),
        layout: Default::default(),
    };
    for word in words {
        match word.split_once('=') {
            None if word == "atomic" => ty.atomic = true,
            Some(("gvk", gvk)) => {
                let mut parts = gvk.splitn(3, '/');
                let mut part = || parts.next().ok_or_else(|| format!("gvk {gvk} has fewer than three parts"));
                ty.gvk = Some(object::Gvk::new(part()?, part()?, part()?));
            }
            _ => return Err(format!("unknown word {word}")),
        }
    }
    Ok(ty)
}

fn field(line: &str, ids: &HashMap<&str, TypeId>) -> Result<Field, String> {
    let mut words = line.split(' ');
    let mut next = || words.next().ok_or_else(|| "a field needs a name, a number and a shape".to_owned());
    let (name, number, shape_text) = (next()?, next()?, next()?);
    let shape = shape(shape_text, ids)?;
    let presence = match shape {
        Shape::Object(_)
        | Shape::ObjectOr(..)
        | Shape::Time
        | Shape::MicroTime
        | Shape::Quantity
        | Shape::IntOrString
        | Shape::Any => Presence::OmitNull,
        _ => Presence::OmitEmpty,
    };
    let mut field = Field {
        name: name.into(),
        number: self::number(number)?,
        wrapped: false,
        shape,
        presence,
        required: false,
        list: ListType::Atomic,
        atomic: false,
        keys: Box::default(),
        patch: Patch::default(),
    };
    words.try_for_each(|word| apply(&mut field, word))?;
    Ok(field)
}

fn apply(field: &mut Field, word: &str) -> Result<(), String> {
    match word.split_once('=').unwrap_or((word, "")) {
        ("required", "") => field.required = true,
        ("always", "") => field.presence = Presence::Always,
        ("null", "") => field.presence = Presence::AlwaysNull,
        ("ptr", "") => field.presence = Presence::OmitNull,
        ("zero", "") => field.presence = Presence::OmitZero,
        ("atomic", "") => field.atomic = true,
        ("wrapped", "") => field.wrapped = true,
        ("list", "set") => field.list = ListType::Set,
        ("list", "map") => field.list = ListType::Map,
        ("keys", keys) => field.keys = keys.split(',').map(Into::into).collect(),
        ("patch", strategy) => {
            let (strategies, key) = strategy.split_once(':').unwrap_or((strategy, ""));
            field.patch = Patch {
                merge: strategies.split(',').any(|s| s == "merge"),
                retain_keys: strategies.split(',').any(|s| s == "retainKeys"),
                merge_key: (!key.is_empty()).then(|| key.into()),
            };
        }
        _ => return Err(format!("unknown word {word}")),
    }
    Ok(())
}

fn number(text: &str) -> Result<Number, String> {
    let mut steps = [0; 3];
    for (i, step) in text.split('.').enumerate() {
        let parsed = step.parse().map_err(|_| format!("{text} is no field number"))?;
        *steps.get_mut(i).ok_or_else(|| format!("{text} has more than three steps"))? = parsed;
    }
    Ok(match steps {
        [own, 0, 0] => Number { outer: [0, 0], own },
        [outer, own, 0] => Number { outer: [outer, 0], own },
        [outer, inner, own] => Number { outer: [outer, inner], own },
    })
}

fn shape(text: &str, ids: &HashMap<&str, TypeId>) -> Result<Shape, String> {
    let id = |name: &str| ids.get(name).copied().ok_or_else(|| format!("unknown type {name}"));
    Ok(match text {
        "string" => Shape::String,
        "bytes" => Shape::Bytes,
        "bool" => Shape::Bool,
        "int32" => Shape::Int32,
        "int64" => Shape::Int64,
        "float" => Shape::Float,
        "quantity" => Shape::Quantity,
        "intOrString" => Shape::IntOrString,
        "time" => Shape::Time,
        "microTime" => Shape::MicroTime,
        "any" => Shape::Any,
        _ => {
            if let Some(item) = text.strip_prefix("[]") {
                Shape::List(Box::new(shape(item, ids)?))
            } else if let Some(value) = text.strip_prefix("map:") {
                Shape::Map(Box::new(shape(value, ids)?))
            } else if let Some(name) = text.strip_prefix("orBool:") {
                Shape::ObjectOr(id(name)?, Or::Bool)
            } else if let Some(name) = text.strip_prefix("orList:") {
                Shape::ObjectOr(id(name)?, Or::List)
            } else if let Some(name) = text.strip_prefix("orTexts:") {
                Shape::ObjectOr(id(name)?, Or::Texts)
            } else {
                Shape::Object(id(text)?)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_types_and_fields() {
        let text = "# comment\na.v1.A gvk=g/v1/A\n spec 2 a.v1.B always\na.v1.B atomic\n items 1.3 []map:int32 required \
                    list=map keys=x,y patch=merge,retainKeys:x\n";
        let facts = parse(text).expect("valid");
        let a = facts.get(facts.find("a.v1.A").expect("there"));
        assert_eq!(a.gvk, Some(object::Gvk::new("g", "v1", "A")));
        assert_eq!(a.fields[0].presence, Presence::Always);
        let b = facts.get(facts.find("a.v1.B").expect("there"));
        let items = &b.fields[0];
        assert!(b.atomic && items.required && items.patch.merge && items.patch.retain_keys);
        assert_eq!((items.number, items.keys.len()), (Number { outer: [1, 0], own: 3 }, 2));
    }

    #[test]
    fn names_the_wrong_line() {
        for text in [" a 1 string", "t\n a", "t\n a x string", "t\n a 1 other.T", "t\n a 1 string wrong"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(
            parse("t\n a 1 b.C").map(|_| ()).expect_err("unknown").to_string(),
            "facts line 2: unknown type b.C"
        );
    }
}
