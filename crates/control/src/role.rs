//! The controller manager as a role: the enabled controllers, under one lease.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use host::{Host, Ready, Role, RoleError};
use informer::Informers;

use crate::controller::Controller;
use crate::driver::Driver;
use crate::election::{Candidate, Ended};
use crate::events::Recorder;
use crate::table::CONTROLLERS;
use crate::world::{Caches, Settings};

/// What a controller manager runs and as whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// As upstream's `--controllers`: names, `*` for all, `-name` to leave one out; a name without `-controller` will do.
    pub controllers: Vec<String>,
    /// `None`: act without asking; for a cluster that can only have one manager.
    pub candidate: Option<Candidate>,
    pub settings: Settings,
}

impl Default for Options {
    fn default() -> Self {
        Self { controllers: vec!["*".to_owned()], candidate: None, settings: Settings::default() }
    }
}

/// Runs the controllers of the [table](crate::table).
#[derive(Debug)]
pub struct ControllerManager {
    informers: Informers,
    options: Options,
}

impl ControllerManager {
    /// The lease that controller managers compete for.
    pub const LEASE: &'static str = "kube-controller-manager";

    #[must_use]
    pub fn new(informers: Informers, options: Options) -> Self {
        Self { informers, options }
    }

    async fn work(&self, host: &Host, controllers: &[&'static Controller]) {
        let client = self.informers.client();
        let recorder = Recorder::new(client.clone(), host, Self::LEASE);
        let drivers: Vec<Driver> = controllers
            .iter()
            .map(|controller| {
                let mut caches = Caches::new(self.options.settings.clone());
                controller.watches.iter().for_each(|watch| watch.open(&self.informers, &mut caches));
                Driver {
                    controller,
                    caches: Arc::new(caches),
                    client: client.clone(),
                    host: host.clone(),
                    recorder: recorder.of(controller.name, None),
                }
            })
            .collect();
        join_all(drivers.iter().map(Driver::run)).await;
    }
}

#[async_trait]
impl Role for ControllerManager {
    fn name(&self) -> &'static str {
        "controller-manager"
    }

    async fn run(self: Box<Self>, host: Host, ready: Ready) -> Result<(), RoleError> {
        let controllers = enabled(&self.options.controllers)?;
        ready.done();
        let work = self.work(&host, &controllers);
        let Some(candidate) = &self.options.candidate else {
            work.await;
            return Ok(());
        };
        finish(candidate.lead_until_shutdown(self.informers.client(), &host, work).await)
    }
}

fn finish(ended: Ended) -> Result<(), RoleError> {
    match ended {
        Ended::Finished => Ok(()),
        Ended::Lost => Err(RoleError::new("leading the controllers", "the lease was lost")
            .next("another controller manager has taken over; this one may be started again")),
    }
}

/// The controllers that `list` enables, in the table's order.
fn enabled(list: &[String]) -> Result<Vec<&'static Controller>, RoleError> {
    for item in list {
        let name = item.trim_start_matches(['-', '+']);
        if name != "*" && !CONTROLLERS.iter().any(|controller| is_named(controller, name)) {
            return Err(RoleError::new("starting the controllers", format!("there is no controller {name}")));
        }
    }
    let wanted = |controller: &&&'static Controller| {
        let mut enabled = list.iter().any(|item| item == "*");
        for item in list {
            match item.strip_prefix('-') {
                Some(name) if is_named(controller, name) => enabled = false,
                None if is_named(controller, item.trim_start_matches('+')) => enabled = true,
                _ => {}
            }
        }
        enabled
    };
    Ok(CONTROLLERS.iter().filter(wanted).copied().collect())
}

fn is_named(controller: &Controller, name: &str) -> bool {
    controller.name == name || controller.name.strip_suffix("-controller") == Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(list: &[&str], expected: &[&str]) {
        let list: Vec<String> = list.iter().map(ToString::to_string).collect();
        let names: Vec<&str> = enabled(&list).unwrap().iter().map(|controller| controller.name).collect();
        assert_eq!(names, expected, "{list:?}");
    }

    #[test]
    fn the_enable_list() {
        let all: Vec<&str> = CONTROLLERS.iter().map(|controller| controller.name).collect();
        check(&["*"], &all);
        check(&["deployment", "replicaset-controller"], &["deployment-controller", "replicaset-controller"]);
        let but: Vec<&str> = all.iter().copied().filter(|name| *name != "namespace-controller").collect();
        check(&["*", "-namespace"], &but);
        assert!(enabled(&["nonsense".to_owned()]).is_err());
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = CONTROLLERS.iter().map(|controller| controller.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CONTROLLERS.len());
    }
}
