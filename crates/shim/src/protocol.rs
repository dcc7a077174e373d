//! What the runtime and a shim say to each other.
//!
//! A connection begins with [`Hello`] and [`Welcome`], which settle the version. Then each [`Request`] gets one
//! [`Answer`], in order; only [`Request::Watch`] and [`Request::Exec`] are followed by [`Event`]s. Descriptors travel
//! with the frame that mentions them (see [`crate::frame`]).

use serde::{Deserialize, Serialize};

use crate::spec::{Container, Identity, Process};
use crate::status::Exit;

/// The versions this code speaks, oldest first. A shim outlives the program that started it, so a runtime has to
/// speak those of every release that it may replace.
pub const VERSIONS: &[u32] = &[1];

/// The socket in a sandbox's directory.
pub const SOCKET: &str = "shim.sock";

/// The [`crate::spec::Sandbox`] in a sandbox's directory.
pub const SANDBOX: &str = "sandbox.json";

/// The first frame of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The versions the client speaks.
    pub versions: Vec<u32>,
}

/// The shim's answer to [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Welcome {
    /// The version to be spoken, whose sandbox this is, and the shim's process.
    Speak { version: u32, sandbox: String, pid: i32 },
    /// No version in common.
    Refused { message: String },
}

/// What a runtime asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Creates a container and starts its process. Answer: [`Answer::Started`].
    Start(Box<Container>),
    /// Sends a signal to the first process of a container, or to all of them. A container that has ended is no error.
    Signal { container: String, signal: i32, all: bool },
    /// Runs a further process in a container. Without a tty the frame carries stdin, stdout and stderr, in this order,
    /// as far as `streams` has them. Answer: [`Answer::Executing`], with the tty's master side if there is one; after
    /// the end [`Event::Ended`]. Closing the connection kills the process.
    Exec { container: String, process: Box<Process>, streams: Streams },
    /// Copies the output of a container, from now on, to the carried stdout and stderr. Answer: [`Answer::Attached`],
    /// with a writer to its stdin, or with the tty's master side.
    Attach { container: String, streams: Streams },
    /// Closes the shim's writer to a container's stdin. Answer: [`Answer::Done`].
    CloseStdin { container: String },
    /// Opens the log file anew. Answer: [`Answer::Done`].
    ReopenLog { container: String },
    /// Answer: [`Answer::Sockets`] with two TCP sockets of the sandbox's network, unconnected: IPv4, then IPv6.
    Sockets,
    /// Forgets a container that has ended. Answer: [`Answer::Done`].
    Forget { container: String },
    /// Answer: [`Answer::State`]; every exit from then on follows as [`Event::Exited`].
    Watch,
    /// Kills every container, waits for their ends, and ends. Answer: [`Answer::Done`], before the end.
    Shutdown,
}

/// Which streams are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streams {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

/// What a shim answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    Done,
    Started(Started),
    Executing,
    /// Which descriptors came along: the writer to stdin, or the terminal.
    Attached {
        stdin: bool,
        terminal: bool,
    },
    /// IPv6 is missing where the kernel has none.
    Sockets {
        v6: bool,
    },
    State {
        containers: Vec<Running>,
    },
    /// The request failed; the text says what was attempted on what.
    Failed {
        message: String,
    },
}

/// A container has started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    pub pid: i32,
    /// Nanoseconds since the epoch.
    pub started_at: i64,
    pub user: Identity,
    /// What could not be done on this machine and is no reason to fail.
    pub warnings: Vec<String>,
}

/// A container that the shim holds, whether its process still runs or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    pub container: String,
    pub pid: i32,
    pub exit: Option<Exit>,
}

/// What a shim says unasked, on the connections that wait for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The first process of a container ended; its output is in the log.
    Exited { container: String, exit: Exit },
    /// The process of [`Request::Exec`] ended.
    Ended { code: i32 },
}

/// The newest version that both speak.
#[must_use]
pub fn negotiate(theirs: &[u32]) -> Option<u32> {
    VERSIONS.iter().rev().find(|version| theirs.contains(version)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_common_version_is_spoken() {
        assert_eq!(negotiate(&[1]), Some(1));
        assert_eq!(negotiate(&[0, 1, 99]), Some(1));
        assert_eq!(negotiate(&[99]), None);
        assert_eq!(negotiate(&[]), None);
    }

    /// What a shim or a runtime of version 1 says, whatever release it is of.
    #[track_caller]
    fn check<T: Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(message: &T, text: &str) {
        assert_eq!(serde_json::to_string(message).unwrap(), text);
        assert_eq!(serde_json::from_str::<T>(text).unwrap(), *message);
    }

    #[test]
    fn version_1_is_spoken_as_ever() {
        let container = || "c".to_owned();
        let streams = Streams { stdin: true, stdout: true, stderr: false };
        let exit = Exit { code: 3, finished_at: 9, out_of_memory: false };
        check(&Hello { versions: vec![1] }, r#"{"versions":[1]}"#);
        check(
            &Welcome::Speak { version: 1, sandbox: "s".into(), pid: 7 },
            r#"{"Speak":{"version":1,"sandbox":"s","pid":7}}"#,
        );
        check(&Welcome::Refused { message: "m".into() }, r#"{"Refused":{"message":"m"}}"#);
        let requests = [
            (
                Request::Signal { container: container(), signal: 15, all: false },
                r#"{"Signal":{"container":"c","signal":15,"all":false}}"#,
            ),
            (
                Request::Attach { container: container(), streams },
                r#"{"Attach":{"container":"c","streams":{"stdin":true,"stdout":true,"stderr":false}}}"#,
            ),
            (Request::CloseStdin { container: container() }, r#"{"CloseStdin":{"container":"c"}}"#),
            (Request::ReopenLog { container: container() }, r#"{"ReopenLog":{"container":"c"}}"#),
            (Request::Sockets, r#""Sockets""#),
            (Request::Forget { container: container() }, r#"{"Forget":{"container":"c"}}"#),
            (Request::Watch, r#""Watch""#),
            (Request::Shutdown, r#""Shutdown""#),
        ];
        requests.iter().for_each(|(request, text)| check(request, text));
        let user = Identity { uid: 1, gid: 2, groups: vec![3] };
        let started = Started { pid: 7, started_at: 5, user, warnings: vec!["w".into()] };
        let running = Running { container: container(), pid: 7, exit: Some(exit) };
        let answers = [
            (Answer::Done, r#""Done""#),
            (
                Answer::Started(started),
                r#"{"Started":{"pid":7,"started_at":5,"user":{"uid":1,"gid":2,"groups":[3]},"warnings":["w"]}}"#,
            ),
            (Answer::Executing, r#""Executing""#),
            (Answer::Attached { stdin: true, terminal: false }, r#"{"Attached":{"stdin":true,"terminal":false}}"#),
            (Answer::Sockets { v6: false }, r#"{"Sockets":{"v6":false}}"#),
            (
                Answer::State { containers: vec![running] },
                r#"{"State":{"containers":[{"container":"c","pid":7,"exit":{"code":3,"finished_at":9,"out_of_memory":false}}]}}"#,
            ),
            (Answer::Failed { message: "m".into() }, r#"{"Failed":{"message":"m"}}"#),
        ];
        answers.iter().for_each(|(answer, text)| check(answer, text));
        check(&Event::Ended { code: 3 }, r#"{"Ended":{"code":3}}"#);
        check(
            &Event::Exited { container: container(), exit },
            r#"{"Exited":{"container":"c","exit":{"code":3,"finished_at":9,"out_of_memory":false}}}"#,
        );
    }

    #[test]
    fn a_process_of_version_1_is_described_as_ever() {
        let text = r#"{"args":["a"],"env":["A=b"],"cwd":"/","user":{"name":"","uid":1,"gid":null,"groups":[],"image_groups":true},"capabilities":{"bounding":3,"ambient":0},"no_new_privileges":false,"oom_score_adj":null,"tty":false}"#;
        let process = Process {
            args: vec!["a".into()],
            env: vec!["A=b".into()],
            cwd: "/".into(),
            user: crate::spec::User { uid: Some(1), image_groups: true, ..Default::default() },
            capabilities: crate::spec::Capabilities { bounding: 3, ambient: 0 },
            ..Default::default()
        };
        check(&process, text);
        let streams = Streams::default();
        check(
            &Request::Exec { container: "c".into(), process: Box::new(process), streams },
            &format!(
                r#"{{"Exec":{{"container":"c","process":{text},"streams":{{"stdin":false,"stdout":false,"stderr":false}}}}}}"#
            ),
        );
    }
}
