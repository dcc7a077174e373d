//! The options of requests, from their query and, for deletes, their body.

mod delete;

use http::Uri;
use object::field::{Error as FieldError, ErrorList, Path};
use object::{FieldSelector, LabelSelector};
use serde_json::{Value, json};

pub(crate) use delete::{DeleteOptions, Propagation};

use crate::error::{Error, Result};
use crate::request::query;

const OPTIONS_GROUP: &str = "meta.k8s.io";

/// The parameters of a query, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

/// Which state a read may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// All that was written before the request.
    Latest,
    /// Whatever is at hand.
    Any,
    /// Not older than this revision.
    NotOlderThan(u64),
    /// Exactly this revision.
    Exact(u64),
}

/// `ListOptions`, for list and watch.
#[derive(Debug, Clone)]
pub(crate) struct ListOptions {
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
    pub(crate) freshness: Freshness,
    /// 0 when not limited.
    pub(crate) limit: usize,
    pub(crate) continue_token: String,
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) bookmarks: bool,
    pub(crate) send_initial_events: Option<bool>,
}

/// What a write is to be checked for beyond its types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// The options that creates, updates and patches share.
#[derive(Debug, Clone)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) field_validation: FieldValidation,
    /// Empty when not given.
    pub(crate) field_manager: String,
    /// Apply patches only: take fields from other managers.
    pub(crate) force: Option<bool>,
}

impl Query {
    pub(crate) fn of(uri: &Uri) -> Self {
        Self(query(uri))
    }

    /// The first value with this name; empty counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>> {
        // Present without a value means true, as upstream's conversion has it.
        let Some((_, value)) = self.0.iter().find(|(key, _)| key == name) else { return Ok(None) };
        Ok(Some(!matches!(value.to_ascii_lowercase().as_str(), "false" | "0")))
    }

    fn number(&self, name: &str) -> Result<Option<i64>> {
        let parse = |text: &str| {
            text.parse().map_err(|_| Error::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))
        };
        self.get(name).map(parse).transpose()
    }

    fn dry_run(&self) -> Result<bool> {
        dry_run(self.all("dryRun"), "")
    }
}

impl ListOptions {
    /// The options of a list, or with `watching` of a watch.
    pub(crate) fn parse(query: &Query, watching: bool) -> Result<Self> {
        let labels = LabelSelector::parse(query.get("labelSelector").unwrap_or_default())
            .map_err(|error| Error::bad_request(format!("unable to parse requirement: {error}")))?;
        let fields = FieldSelector::parse(query.get("fieldSelector").unwrap_or_default())
            .map_err(|error| Error::bad_request(error.to_string()))?;
        let limit = query.number("limit")?.unwrap_or(0);
        let timeout = query.number("timeoutSeconds")?;
        let send_initial_events = query.boolean("sendInitialEvents")?;
        check_combination(query, watching, send_initial_events)?;
        Ok(Self {
            labels,
            fields,
            freshness: freshness(query, watching, limit)?,
            limit: usize::try_from(limit).unwrap_or(0),
            continue_token: query.get("continue").unwrap_or_default().to_owned(),
            timeout_seconds: timeout.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0),
            bookmarks: query.boolean("allowWatchBookmarks")?.unwrap_or(false),
            send_initial_events,
        })
    }
}

/// The revision in `resourceVersion`, for reads of one object.
pub(crate) fn get_freshness(query: &Query) -> Result<Freshness> {
    Ok(match revision(query)? {
        None => Freshness::Latest,
        Some(0) => Freshness::Any,
        Some(revision) => Freshness::NotOlderThan(revision),
    })
}

fn revision(query: &Query) -> Result<Option<u64>> {
    let parse = |text: &str| {
        text.parse().map_err(|_| {
            let mut errors = ErrorList::new();
            let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
            errors.push(FieldError::invalid(&Path::new("resourceVersion"), text, why));
            Error::invalid(OPTIONS_GROUP, "ListOptions", "", &errors)
        })
    };
    query.get("resourceVersion").map(parse).transpose()
}

fn freshness(query: &Query, watching: bool, limit: i64) -> Result<Freshness> {
    let exact = query.get("resourceVersionMatch") == Some("Exact");
    Ok(match revision(query)? {
        None => Freshness::Latest,
        Some(0) => Freshness::Any,
        Some(revision) if watching => Freshness::NotOlderThan(revision),
        // A limited list at a revision without a match asks for that revision: the older clients' consistent paging.
        Some(revision) if exact || (limit > 0 && query.get("resourceVersionMatch").is_none()) => {
            Freshness::Exact(revision)
        }
        Some(revision) => Freshness::NotOlderThan(revision),
    })
}

/// Upstream's rules for what goes together.
fn check_combination(query: &Query, watching: bool, send_initial_events: Option<bool>) -> Result<()> {
    let mut errors = ErrorList::new();
    let matching = query.get("resourceVersionMatch");
    let path = Path::new("resourceVersionMatch");
    let initial = Path::new("sendInitialEvents");
    if let Some(wanted) = matching {
        if watching && send_initial_events.is_none() {
            errors.push(FieldError::forbidden(
                &path,
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
        if !watching && query.get("resourceVersion").is_none() {
            errors.push(FieldError::forbidden(
                &path,
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        if query.get("continue").is_some() {
            errors.push(FieldError::forbidden(&path, "resourceVersionMatch is forbidden when continue is provided"));
        }
        let supported: &[&str] = if watching { &["NotOlderThan"] } else { &["Exact", "NotOlderThan"] };
        if !supported.contains(&wanted) {
            errors.push(FieldError::not_supported(&path, wanted, supported));
        }
        if wanted == "Exact" && query.get("resourceVersion") == Some("0") {
            errors.push(FieldError::forbidden(
                &path,
                "resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"",
            ));
        }
    }
    if send_initial_events.is_some() && !watching {
        errors.push(FieldError::forbidden(&initial, "sendInitialEvents is forbidden for list"));
    }
    if send_initial_events.is_some() && watching && matching != Some("NotOlderThan") {
        let text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        errors.push(FieldError::forbidden(&path, text));
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid(OPTIONS_GROUP, "ListOptions", "", &errors)) }
}

impl WriteOptions {
    pub(crate) fn parse(query: &Query) -> Result<Self> {
        Ok(Self {
            dry_run: query.dry_run()?,
            field_validation: field_validation(query)?,
            field_manager: query.get("fieldManager").unwrap_or_default().to_owned(),
            force: query.boolean("force")?,
        })
    }

    /// Only apply patches may be forced.
    pub(crate) fn check_patch(&self) -> Result<()> {
        if self.force.is_none() {
            return Ok(());
        }
        let error = FieldError::forbidden(&Path::new("force"), "may not be specified for non-apply patch");
        Err(Error::invalid(OPTIONS_GROUP, "PatchOptions", "", &error.into()))
    }

    /// As admission plugins see them.
    pub(crate) fn to_value(&self, kind: &str) -> Value {
        let mut options = json!({"kind": kind, "apiVersion": "meta.k8s.io/v1"});
        if self.dry_run {
            options["dryRun"] = json!(["All"]);
        }
        if !self.field_manager.is_empty() {
            options["fieldManager"] = json!(self.field_manager);
        }
        options
    }
}

fn field_validation(query: &Query) -> Result<FieldValidation> {
    match query.get("fieldValidation") {
        None | Some("Warn") => Ok(FieldValidation::Warn),
        Some("Ignore") => Ok(FieldValidation::Ignore),
        Some("Strict") => Ok(FieldValidation::Strict),
        Some(other) => {
            let supported = ["", "Ignore", "Strict", "Warn"];
            let error = FieldError::not_supported(&Path::new("fieldValidation"), other, &supported);
            Err(Error::invalid(OPTIONS_GROUP, "CreateOptions", "", &error.into()))
        }
    }
}

fn dry_run<'a>(values: impl Iterator<Item = &'a str>, kind: &str) -> Result<bool> {
    let mut on = false;
    for value in values {
        if value != "All" {
            let error = FieldError::not_supported(&Path::new("dryRun"), value, &["All"]);
            let kind = if kind.is_empty() { "CreateOptions" } else { kind };
            return Err(Error::invalid(OPTIONS_GROUP, kind, "", &error.into()));
        }
        on = true;
    }
    Ok(on)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::of(&format!("/x?{text}").parse().expect("a uri"))
    }

    fn check_freshness(text: &str, watching: bool, expected: Freshness) {
        let options = ListOptions::parse(&query(text), watching).expect("options");
        assert_eq!(options.freshness, expected, "{text}");
    }

    #[test]
    fn revisions_mean_what_upstream_means() {
        check_freshness("", false, Freshness::Latest);
        check_freshness("resourceVersion=0", false, Freshness::Any);
        check_freshness("resourceVersion=7", false, Freshness::NotOlderThan(7));
        check_freshness("resourceVersion=7&limit=5", false, Freshness::Exact(7));
        check_freshness(
            "resourceVersion=7&limit=5&resourceVersionMatch=NotOlderThan",
            false,
            Freshness::NotOlderThan(7),
        );
        check_freshness("resourceVersion=7&resourceVersionMatch=Exact", false, Freshness::Exact(7));
        check_freshness("resourceVersion=7", true, Freshness::NotOlderThan(7));
    }

    #[test]
    fn wrong_combinations_are_invalid() {
        for (text, watching) in [
            ("resourceVersionMatch=Exact", false),
            ("resourceVersionMatch=Exact&resourceVersion=0", false),
            ("resourceVersionMatch=Foo&resourceVersion=1", false),
            ("resourceVersion=x", false),
            ("sendInitialEvents=true&resourceVersion=1", false),
            ("sendInitialEvents=true", true),
            ("resourceVersionMatch=NotOlderThan&resourceVersion=1", true),
            ("fieldSelector=a", true),
            ("labelSelector=a%3D%3D%3D", true),
            ("limit=x", false),
        ] {
            let error = ListOptions::parse(&query(text), watching).expect_err(text);
            assert!(matches!(error.code().as_u16(), 400 | 422), "{text}: {error}");
        }
    }
}
