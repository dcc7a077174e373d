//! The parameters that requests may have.

use std::borrow::Cow;

use super::route::{Parameter, Place};

/// A query parameter that is the same wherever it stands: name, JSON type, description.
pub(super) type Row = (&'static str, &'static str, &'static str);

pub(super) const PRETTY: Row = ("pretty", "string", "'true' asks for output with line breaks and indentation.");
const DRY_RUN: Row = ("dryRun", "string", "'All' does everything but store the result.");
const MANAGER: Row =
    ("fieldManager", "string", "The name under which changed fields are managed; the user agent's if empty.");
const VALIDATION: Row = (
    "fieldValidation",
    "string",
    "What happens to unknown and duplicate fields: 'Ignore' drops them, 'Warn' (the default) also warns, 'Strict' refuses the request.",
);
const FORCE: Row = ("force", "boolean", "Apply patches only: take over fields that others manage.");

/// Of creates and updates.
pub(super) const WRITE: &[Row] = &[DRY_RUN, MANAGER, VALIDATION];
/// Of patches. Their manager may be demanded.
pub(super) const PATCH: &[Row] = &[
    DRY_RUN,
    ("fieldManager", "string", "The name under which changed fields are managed. Apply patches require it."),
    VALIDATION,
    FORCE,
];
/// Of deletes.
pub(super) const DELETE: &[Row] = &[
    DRY_RUN,
    (
        "gracePeriodSeconds",
        "integer",
        "Seconds until the object is removed; 0 is at once, absent is what its type has.",
    ),
    (
        "ignoreStoreReadErrorWithClusterBreakingPotential",
        "boolean",
        "Remove an object that can no longer be read from the store, without its finalizers and preconditions.",
    ),
    ("orphanDependents", "boolean", "Deprecated: see propagationPolicy."),
    ("propagationPolicy", "string", "What happens to dependents: 'Orphan', 'Background' or 'Foreground'."),
];
const CONTINUE: Row = ("continue", "string", "The token of the page before.");
const FIELDS: Row = ("fieldSelector", "string", "Only objects whose fields match.");
const LABELS: Row = ("labelSelector", "string", "Only objects whose labels match.");
const LIMIT: Row = ("limit", "integer", "The most objects that a page has.");
const VERSION: Row = ("resourceVersion", "string", "The revision that the answer must at least have reached.");
const MATCH: Row = ("resourceVersionMatch", "string", "'NotOlderThan' or 'Exact': how resourceVersion is meant.");
const INITIAL: Row =
    ("sendInitialEvents", "boolean", "Watches: begin with the objects that are there, and say when they end.");
const TIMEOUT: Row = ("timeoutSeconds", "integer", "Seconds after which the request ends, whatever it is doing.");
/// Of deletes of collections, beside those of deletes.
pub(super) const SELECT: &[Row] = &[CONTINUE, FIELDS, LABELS, LIMIT, VERSION, MATCH, INITIAL, TIMEOUT];
/// Of lists and watches.
pub(super) const LIST: &[Row] = &[
    ("allowWatchBookmarks", "boolean", "Watches: report progress while nothing changes."),
    CONTINUE,
    FIELDS,
    LABELS,
    LIMIT,
    VERSION,
    MATCH,
    INITIAL,
    TIMEOUT,
    ("watch", "boolean", "Answer with changes as they happen instead of a list."),
];
pub(super) const LOG: &[Row] = &[
    ("container", "string", "The container; may be left out when the pod has one."),
    ("follow", "boolean", "Go on with what is written later."),
    (
        "insecureSkipTLSVerifyBackend",
        "boolean",
        "Do not verify the certificate of the kubelet: the log may come from anyone.",
    ),
    ("limitBytes", "integer", "The most bytes to send; may end within a line."),
    ("previous", "boolean", "The log of the container's instance before this one."),
    ("sinceSeconds", "integer", "Only lines that are not older than so many seconds."),
    ("stream", "string", "'All', 'Stdout' or 'Stderr'."),
    ("tailLines", "integer", "Only so many lines from the end."),
    ("timestamps", "boolean", "Begin each line with the time at which it was written."),
    PRETTY,
];
const STREAMS: [Row; 5] = [
    ("container", "string", "The container; may be left out when the pod has one."),
    ("stderr", "boolean", "Send standard error."),
    ("stdin", "boolean", "Take standard input."),
    ("stdout", "boolean", "Send standard output."),
    ("tty", "boolean", "Use a terminal."),
];
const ATTACH: &[Row] = &STREAMS;
const EXEC: &[Row] = &[
    ("command", "string", "The command and its arguments, one parameter each. No shell runs it."),
    STREAMS[0],
    STREAMS[1],
    STREAMS[2],
    STREAMS[3],
    STREAMS[4],
];
const PORT_FORWARD: &[Row] = &[("ports", "integer", "The ports to forward; for WebSockets.")];
const PROXY: &[Row] = &[("path", "string", "The path that the request is passed on with.")];

/// The parameters of a subresource that connects.
pub(super) fn of_connection(subresource: &str) -> &'static [Row] {
    match subresource {
        "attach" => ATTACH,
        "exec" => EXEC,
        "portforward" => PORT_FORWARD,
        "proxy" => PROXY,
        _ => &[],
    }
}

pub(super) fn query(rows: &[Row]) -> impl Iterator<Item = Parameter> {
    let parameter = |row: &Row| Parameter { name: row.0, place: Place::Query, ty: row.1, text: row.2.into() };
    rows.iter().map(parameter)
}

pub(super) fn in_path(name: &'static str, text: impl Into<Cow<'static, str>>) -> Parameter {
    Parameter { name, place: Place::Path, ty: "string", text: text.into() }
}
