//! The options of deletes.

use object::field::{Error as FieldError, Path};
use schema::Type;
use serde_json::{Value, json};

use super::{OPTIONS_GROUP, Query, dry_run};
use crate::error::{Error, Result};

/// What becomes of an object's dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagation {
    Orphan,
    Background,
    Foreground,
}

/// `DeleteOptions`.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) dry_run: bool,
    pub(crate) grace_period_seconds: Option<i64>,
    pub(crate) propagation: Option<Propagation>,
    /// The deprecated form of [`Propagation::Orphan`].
    pub(crate) orphan_dependents: Option<bool>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
}

impl DeleteOptions {
    /// A body wins over the query, as upstream has it.
    pub(crate) fn parse(query: &Query, body: &[u8]) -> Result<Self> {
        let mut options = if body.is_empty() { Self::of_query(query)? } else { Self::of_body(&parse_body(body)?)? };
        options.dry_run |= query.dry_run()?;
        if options.orphan_dependents.is_some() && options.propagation.is_some() {
            let path = Path::new("propagationPolicy");
            let text = "orphanDependents and deletionPropagation cannot be both set";
            let shown = Value::from(options.propagation.map(Propagation::as_str));
            return Err(Error::invalid(
                OPTIONS_GROUP,
                "DeleteOptions",
                "",
                &FieldError::invalid(&path, shown, text).into(),
            ));
        }
        // Negative periods count as one second.
        options.grace_period_seconds =
            options.grace_period_seconds.map(|seconds| if seconds < 0 { 1 } else { seconds });
        Ok(options)
    }

    fn of_query(query: &Query) -> Result<Self> {
        Ok(Self {
            grace_period_seconds: query.number("gracePeriodSeconds")?,
            propagation: query.get("propagationPolicy").map(Propagation::parse).transpose()?,
            orphan_dependents: query.boolean("orphanDependents")?,
            ..Self::default()
        })
    }

    fn of_body(body: &Value) -> Result<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let kind = body["kind"].as_str().unwrap_or("DeleteOptions");
        if kind != "DeleteOptions" {
            return Err(Error::bad_request(format!("expected DeleteOptions, got {kind}")));
        }
        let dry = body["dryRun"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Ok(Self {
            dry_run: dry_run(dry, "DeleteOptions")?,
            grace_period_seconds: body["gracePeriodSeconds"].as_i64(),
            propagation: body["propagationPolicy"].as_str().map(Propagation::parse).transpose()?,
            orphan_dependents: body["orphanDependents"].as_bool(),
            uid: text(&body["preconditions"]["uid"]),
            resource_version: text(&body["preconditions"]["resourceVersion"]),
        })
    }

    /// As admission plugins see them.
    pub(crate) fn to_value(&self) -> Value {
        let mut options = json!({"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"});
        if let Some(seconds) = self.grace_period_seconds {
            options["gracePeriodSeconds"] = json!(seconds);
        }
        if let Some(propagation) = self.propagation {
            options["propagationPolicy"] = json!(propagation.as_str());
        }
        if self.dry_run {
            options["dryRun"] = json!(["All"]);
        }
        options
    }
}

impl Propagation {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Orphan => "Orphan",
            Self::Background => "Background",
            Self::Foreground => "Foreground",
        }
    }

    fn parse(text: &str) -> Result<Self> {
        match text {
            "Orphan" => Ok(Self::Orphan),
            "Background" => Ok(Self::Background),
            "Foreground" => Ok(Self::Foreground),
            _ => {
                let supported = ["Background", "Foreground", "Orphan"];
                let error = FieldError::not_supported(&Path::new("propagationPolicy"), text, &supported);
                Err(Error::invalid(OPTIONS_GROUP, "DeleteOptions", "", &error.into()))
            }
        }
    }
}

/// Bodies of deletes are small objects in any form; the first bytes tell which.
fn parse_body(body: &[u8]) -> Result<Value> {
    let protobuf = || {
        let ty = Type::builtin("meta.v1.DeleteOptions")?;
        schema::decode_protobuf(&ty, body).ok().map(|decoded| decoded.value)
    };
    let object: Option<Value> = match serde_json::from_slice(body) {
        Ok(value) => Some(value),
        Err(_) if body.starts_with(b"k8s\0") => protobuf(),
        Err(_) => std::str::from_utf8(body).ok().and_then(|text| serde_saphyr::from_str(text).ok()),
    };
    object
        .filter(Value::is_object)
        .ok_or_else(|| Error::bad_request("couldn't get version/kind; the body of a delete must be DeleteOptions"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::of(&format!("/x?{text}").parse().expect("a uri"))
    }

    #[test]
    fn delete_options_come_from_either_place() {
        let options =
            DeleteOptions::parse(&query("gracePeriodSeconds=-5&propagationPolicy=Orphan"), b"").expect("options");
        assert_eq!((options.grace_period_seconds, options.propagation), (Some(1), Some(Propagation::Orphan)));
        let body = br#"{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"u"},"dryRun":["All"]}"#;
        let options = DeleteOptions::parse(&query(""), body).expect("options");
        assert_eq!((options.uid.as_deref(), options.dry_run), (Some("u"), true));
        let protobuf = b"k8s\0\x0a\x13\x0a\x02v1\x12\x0dDeleteOptions\x12\x02\x08\x07";
        let options = DeleteOptions::parse(&query(""), protobuf).expect("options");
        assert_eq!(options.grace_period_seconds, Some(7));
        for bad in ["[]", "{", r#"{"propagationPolicy":"x"}"#, r#"{"dryRun":["x"]}"#, r#"{"kind":"Pod"}"#] {
            assert!(DeleteOptions::parse(&query(""), bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
