//! Ends of processes.

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use super::Server;
use crate::clock;
use crate::protocol::Event;
use crate::spec::Pids;
use crate::status::Exit;

impl Server {
    /// Collects every process that has ended, orphans among them.
    pub(super) fn reap(&mut self) {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => self.ended_process(pid.as_raw(), code),
                Ok(WaitStatus::Signaled(pid, signal, _)) => self.ended_process(pid.as_raw(), 128 + signal as i32),
                Ok(WaitStatus::StillAlive) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    fn ended_process(&mut self, pid: i32, code: i32) {
        self.settle_ended(pid);
        if let Some(connection) = self.connections.end_exec(pid) {
            self.connections.tell_one(connection, &Event::Ended { code });
            return;
        }
        let ended = |container: &super::Container| container.status.pid == pid && !container.has_ended();
        let Some(id) = self.containers.iter().find(|(_, container)| ended(container)).map(|(id, _)| id.clone()) else {
            return;
        };
        self.ended_container(&id, code);
    }

    fn ended_container(&mut self, id: &str, code: i32) {
        let Some(container) = self.containers.get_mut(id) else { return };
        let group = self.hierarchies.group(&container.spec.cgroup);
        if container.spec.pids != Pids::Own {
            // Its other processes have not died with the first.
            group.kill();
        }
        let out_of_memory = group.oom_kills() > 0;
        let exit = Exit { code, finished_at: clock::nanoseconds(), out_of_memory };
        container.end(exit, &mut self.chunk);
        // A full disk must not keep the runtime from hearing of the end.
        let _ = container.status.save(&container.spec.directory);
        self.connections.tell(&Event::Exited { container: id.to_owned(), exit });
    }
}
