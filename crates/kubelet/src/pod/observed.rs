//! What the runtime has for one pod.

use std::net::IpAddr;

use jiff::Timestamp;

/// The pod's sandboxes and containers in the runtime.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Newest first.
    pub sandboxes: Vec<Sandbox>,
    /// Newest first.
    pub containers: Vec<Container>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    pub id: String,
    pub attempt: u32,
    pub ready: bool,
    pub created_at: Timestamp,
    /// Empty for pods in the host's network.
    pub ips: Vec<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub id: String,
    pub sandbox_id: String,
    pub name: String,
    /// How many containers of this name ran before this one.
    pub attempt: u32,
    /// The image as it was asked for.
    pub image: String,
    /// What the runtime made of it.
    pub image_ref: String,
    /// The slot's hash at creation.
    pub hash: String,
    pub created_at: Timestamp,
    pub state: State,
    pub log_path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Created,
    Running { started_at: Timestamp },
    Exited(Exit),
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    pub code: i32,
    pub reason: String,
    pub message: String,
    pub started_at: Option<Timestamp>,
    pub finished_at: Timestamp,
}

impl Observed {
    /// The newest sandbox, ready or not.
    #[must_use]
    pub fn sandbox(&self) -> Option<&Sandbox> {
        self.sandboxes.first()
    }

    /// The newest container of `name`.
    #[must_use]
    pub fn newest(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// The newest container of `name` in `sandbox`.
    #[must_use]
    pub fn newest_in(&self, sandbox: &str, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name && container.sandbox_id == sandbox)
    }

    /// The container of `name` before the newest.
    #[must_use]
    pub fn previous(&self, name: &str) -> Option<&Container> {
        self.containers.iter().filter(|container| container.name == name).nth(1)
    }

    /// Containers that have processes, or may have.
    pub fn alive(&self) -> impl Iterator<Item = &Container> {
        self.containers.iter().filter(|container| container.alive())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sandboxes.is_empty() && self.containers.is_empty()
    }
}

impl Container {
    #[must_use]
    pub fn running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    #[must_use]
    pub fn alive(&self) -> bool {
        matches!(self.state, State::Running { .. } | State::Unknown)
    }

    #[must_use]
    pub fn exit(&self) -> Option<&Exit> {
        match &self.state {
            State::Exited(exit) => Some(exit),
            _ => None,
        }
    }
}
