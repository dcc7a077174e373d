//! kubectl: the commands of its help, one after the other.

mod access;
mod attach;
mod carrier;
mod copy;
mod create;
mod debug;
mod exec;
mod forward;
mod logs;
mod nodes;
mod proxy;
mod read;
mod rollout;
mod terminal;
mod wait;
mod write;

use std::path::PathBuf;
use std::process::Command;

use testing::cluster::{run, run_with};
use testing::{Cluster, Printed};

use crate::SOON;

/// kubectl with a namespace of its own.
pub(crate) struct Kubectl<'a> {
    cluster: &'a Cluster,
    namespace: &'static str,
    /// Another program than the usual one.
    program: Option<PathBuf>,
    environment: &'static [(&'static str, &'static str)],
}

/// One step: what a user does, and the check that it worked.
type Step = (&'static str, fn(&Kubectl<'_>));

const OBJECTS: &[Step] = &[
    ("creates every kind", create::creates_every_kind),
    ("patches in every way", write::patches),
    ("replaces", write::replaces),
    ("compares", write::compares),
    ("labels and annotates", write::labels_and_annotates),
    ("customizes", write::customizes),
    ("applies on the server", write::applies_on_the_server),
    ("rolls out", rollout::rolls_out),
    ("sets", rollout::sets),
    ("autoscales", rollout::autoscales),
    ("prints in every format", read::prints),
    ("selects", read::selects),
    ("reads the server", read::reads_the_server),
    ("asks what it may", access::asks),
    ("waits", wait::waits),
    ("deletes with every cascade", wait::deletes),
    ("debugs", debug::debugs),
    ("proxies", proxy::proxies),
];

/// Those that depend on what carries the streams.
const CARRIED: &[Step] = &[
    ("runs commands", exec::runs_commands),
    ("pipes both ways", exec::pipes_both_ways),
    ("has a terminal", terminal::has_a_terminal),
    ("attaches", attach::attaches),
    ("copies", copy::copies),
    ("forwards ports", forward::forwards_ports),
];

const STREAMS: &[Step] = &[("reads logs", logs::reads), ("follows logs", logs::follows)];

/// Before the other clients start: it takes their node away.
pub(crate) fn empties_a_node(cluster: &Cluster) {
    Kubectl::new(cluster, "kubectl-nodes").steps(&[("empties a node", nodes::empties)]);
}

pub(crate) fn uses_objects(cluster: &Cluster) {
    Kubectl::new(cluster, "kubectl-objects").steps(OBJECTS);
}

pub(crate) fn uses_streams(cluster: &Cluster) {
    let kubectl = Kubectl::new(cluster, "kubectl-streams");
    exec::starts(&kubectl);
    kubectl.steps(STREAMS);
    for carrier in carrier::all(cluster) {
        println!("{}", carrier.name);
        carrier.kubectl.steps(CARRIED);
    }
}

impl<'a> Kubectl<'a> {
    /// Makes the namespace.
    fn new(cluster: &'a Cluster, namespace: &'static str) -> Self {
        cluster.kubectl(&["create", "namespace", namespace]).expect("create namespace");
        Self { cluster, namespace, program: None, environment: &[] }
    }

    fn steps(&self, steps: &[Step]) {
        for (name, step) in steps {
            crate::timed(name, || step(self));
        }
    }

    /// A command line; single quotes hold words with spaces together.
    fn command(&self, line: &str) -> Command {
        let mut command = match &self.program {
            Some(program) => self.cluster.machine().command(program),
            None => self.cluster.kubectl_command(&[]),
        };
        command.env("KUBECONFIG", self.cluster.kubeconfig()).envs(self.environment.iter().copied());
        command.args(["--namespace", self.namespace]).args(words(line));
        command
    }

    fn run(&self, line: &str) -> Printed {
        run(&mut self.command(line))
    }

    /// What a command prints that must succeed.
    #[track_caller]
    fn ok(&self, line: &str) -> String {
        self.run(line).expect(line)
    }

    /// The same with something on its standard input.
    #[track_caller]
    fn with(&self, line: &str, input: &str) -> String {
        run_with(&mut self.command(line), input).expect(line)
    }

    /// The error of a command that must fail.
    #[track_caller]
    fn fails(&self, line: &str) -> String {
        let printed = self.run(line);
        assert!(!printed.ok, "{line} succeeded: {}", printed.stdout);
        printed.stderr
    }

    /// Runs a command again and again until its output is accepted.
    #[track_caller]
    fn until(&self, line: &str, done: impl Fn(&str) -> bool) -> String {
        let words = words(line);
        let mut arguments = vec!["--namespace", self.namespace];
        arguments.extend(words.iter().map(String::as_str));
        self.cluster.wait(&arguments, SOON, done).unwrap_or_else(|error| panic!("{error}"))
    }

    #[track_caller]
    fn ready(&self, pod: &str) {
        self.ok(&format!("wait --for=condition=Ready pod/{pod} --timeout=60s"));
    }
}

fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("there is a word").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
