//! Hands the node's pod network to the runtime, which knows only its own narrow seam.

use std::collections::BTreeSet;

use async_trait::async_trait;
use network::Network;
use runtime::{Attachment, HostPort, NetworkError, NetworkRequest, PodNetwork};

/// The node's network as the runtime sees it.
pub(crate) struct NodeNetwork(pub Network);

#[async_trait]
impl PodNetwork for NodeNetwork {
    async fn attach(&self, sandbox: &NetworkRequest) -> Result<Attachment, NetworkError> {
        let ports = sandbox.host_ports.iter().map(host_port).collect();
        let attachment = self.0.attach_with_ports(&sandbox.sandbox, ports).await.map_err(words)?;
        Ok(Attachment { netns: attachment.netns, addresses: attachment.addresses })
    }

    async fn detach(&self, sandbox: &str) -> Result<(), NetworkError> {
        self.0.detach(sandbox).await.map_err(words)
    }

    async fn retain(&self, holders: &BTreeSet<String>) -> Result<(), NetworkError> {
        for sandbox in self.0.sandboxes().iter().filter(|sandbox| !holders.contains(*sandbox)) {
            self.0.detach(sandbox).await.map_err(words)?;
        }
        Ok(())
    }
}

fn host_port(port: &HostPort) -> network::HostPort {
    let protocol = match port.protocol {
        cri::Protocol::Tcp => network::Protocol::Tcp,
        cri::Protocol::Udp => network::Protocol::Udp,
        cri::Protocol::Sctp => network::Protocol::Sctp,
    };
    network::HostPort {
        protocol,
        host_address: port.host_address,
        host_port: port.host_port,
        pod_port: port.container_port,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn words(error: network::Error) -> NetworkError {
    NetworkError(crate::failure::chain(&error))
}
