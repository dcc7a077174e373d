//! Shows how far the roles have come: spinners on a terminal, plain lines elsewhere. All of it goes to stderr.

use std::io::IsTerminal;
use std::time::Duration;

use host::RoleState;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::watch;
use tokio::time::Instant;

/// One role's line.
struct Line {
    name: &'static str,
    bar: Option<ProgressBar>,
}

/// Returns when every role is ready. A role that ends before that is its supervisor's to report.
pub(crate) async fn until_ready(roles: Vec<(&'static str, watch::Receiver<RoleState>)>) {
    let board = std::io::stderr().is_terminal().then(MultiProgress::new);
    let started = Instant::now();
    let follow = roles.into_iter().map(|(name, state)| {
        let bar = board.as_ref().map(|board| board.add(spinner(name)));
        follow(Line { name, bar }, state, started)
    });
    let mut followers: Vec<_> = follow.map(Box::pin).collect();
    for follower in &mut followers {
        follower.await;
    }
}

fn spinner(name: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {prefix:20} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style).with_prefix(name);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

async fn follow(line: Line, mut state: watch::Receiver<RoleState>, started: Instant) {
    loop {
        let current = state.borrow_and_update().clone();
        line.show(&current, started);
        if current == RoleState::Ready || state.changed().await.is_err() {
            return;
        }
    }
}

impl Line {
    #[expect(clippy::print_stderr, reason = "progress is talk, and talk goes to stderr")]
    fn show(&self, state: &RoleState, started: Instant) {
        let took = started.elapsed().as_millis();
        match (state, &self.bar) {
            (RoleState::Starting(text), Some(bar)) => bar.set_message(text.clone()),
            (RoleState::Ready, Some(bar)) => bar.finish_with_message(format!("ready after {took} ms")),
            (RoleState::Starting(text), None) => eprintln!("{}: {text}", self.name),
            (RoleState::Ready, None) => eprintln!("{}: ready after {took} ms", self.name),
        }
    }
}
