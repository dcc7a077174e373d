//! How a command ended, as the client is told.

use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::Writer;
use crate::spdy::Connection;
use crate::websocket::Outgoing;

/// How a command, or an attachment to one, ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    Success,
    /// It exited with a code other than zero.
    Code(i32),
    /// It could not be run or attached to; the text says what was tried and why it failed.
    Failure(String),
}

/// Tells the client how the session ended, and ends it.
pub struct Status {
    writer: Writer,
    form: Form,
    closer: Closer,
}

/// How a status is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A `metav1.Status`, always: version 4 and later.
    Json,
    /// A message, and only on failure: before version 4.
    Text,
}

/// What ends the connection.
#[derive(Debug)]
pub(crate) enum Closer {
    Spdy(Connection),
    WebSocket(mpsc::Sender<Outgoing>),
}

impl Status {
    pub(crate) fn new(writer: Writer, form: Form, closer: Closer) -> Self {
        Self { writer, form, closer }
    }

    /// Reports `exit` and closes the connection after everything that was written. Drop stdout and stderr first, so
    /// that the client sees their end. A client that is gone is no error.
    pub async fn finish(mut self, exit: Exit) {
        let report = match self.form {
            Form::Json => serde_json::to_vec(&exit.status()).unwrap_or_default(),
            Form::Text if exit == Exit::Success => Vec::new(),
            Form::Text => exit.message().into_bytes(),
        };
        let told = async {
            self.writer.write_all(&report).await?;
            self.writer.shutdown().await
        };
        if let Err(error) = told.await {
            tracing::debug!(%error, "the client left before its session's status");
        }
        match self.closer {
            Closer::Spdy(connection) => connection.close(),
            Closer::WebSocket(queue) => drop(queue.send(Outgoing::Close).await),
        }
    }
}

impl std::fmt::Debug for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Status").field("form", &self.form).finish_non_exhaustive()
    }
}

impl Exit {
    fn message(&self) -> String {
        match self {
            Self::Success => String::new(),
            Self::Code(code) => format!("command terminated with non-zero exit code: exit status {code}"),
            Self::Failure(why) => format!("Internal error occurred: {why}"),
        }
    }

    fn status(&self) -> MetaStatus {
        let message = Some(self.message()).filter(|message| !message.is_empty());
        let mut status = MetaStatus { metadata: Empty {}, status: "Failure", message, ..MetaStatus::default() };
        match self {
            Self::Success => status.status = "Success",
            Self::Code(code) => {
                let cause = Cause { reason: Some("ExitCode"), message: code.to_string() };
                status.reason = Some("NonZeroExitCode");
                status.details = Some(Details { causes: vec![cause] });
            }
            Self::Failure(why) => {
                status.reason = Some("InternalError");
                status.details = Some(Details { causes: vec![Cause { reason: None, message: why.clone() }] });
                status.code = Some(500);
            }
        }
        status
    }
}

/// The part of `metav1.Status` that clients of exec read.
#[derive(Debug, Default, Serialize)]
struct MetaStatus {
    metadata: Empty,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
}

#[derive(Debug, Default, Serialize)]
struct Empty {}

#[derive(Debug, Serialize)]
struct Details {
    causes: Vec<Cause>,
}

#[derive(Debug, Serialize)]
struct Cause {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_read_as_clients_expect() {
        let check = |exit: Exit, expected: &str| {
            assert_eq!(serde_json::to_string(&exit.status()).unwrap(), expected);
        };
        check(Exit::Success, r#"{"metadata":{},"status":"Success"}"#);
        check(
            Exit::Code(7),
            concat!(
                r#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: exit status 7","#,
                r#""reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}"#
            ),
        );
        check(
            Exit::Failure("no such program".into()),
            concat!(
                r#"{"metadata":{},"status":"Failure","message":"Internal error occurred: no such program","#,
                r#""reason":"InternalError","details":{"causes":[{"message":"no such program"}]},"code":500}"#
            ),
        );
    }
}
