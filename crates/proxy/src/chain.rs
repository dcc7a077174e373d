//! The shared chains: what they do follows from their specification, which is also their name.

use std::fmt;

use ipnet::IpNet;

/// Whose source address is replaced by the node's, so that answers come back through this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Masquerade {
    Never,
    /// Clients that are not pods.
    Strangers,
    Always,
}

/// Spreads connections over a number of endpoints.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Balance {
    /// How many endpoints there are, at least one.
    pub endpoints: u32,
    /// Whether they are those of this node only.
    pub local: bool,
    pub masquerade: Masquerade,
    /// Seconds for which a client stays with its endpoint.
    pub affinity: Option<u32>,
}

/// Lets only some sources in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guard {
    pub sources: Vec<IpNet>,
    pub then: Box<ChainSpec>,
}

/// What a shared chain does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChainSpec {
    Balance(Balance),
    /// `externalTrafficPolicy: Local`: pods and this host reach all endpoints, everybody else those of this node, with
    /// the source kept; `local` may be none.
    Split {
        all: Balance,
        local: Option<Balance>,
    },
    Guard(Guard),
}

impl ChainSpec {
    /// The chains that this one leads to.
    #[must_use]
    pub fn leads_to(&self) -> Vec<Self> {
        match self {
            Self::Balance(_) => Vec::new(),
            Self::Split { all, local } => {
                let masqueraded = Balance { masquerade: Masquerade::Always, ..all.clone() };
                [Some(all.clone()), Some(masqueraded), local.clone()].into_iter().flatten().map(Self::Balance).collect()
            }
            Self::Guard(guard) => vec![(*guard.then).clone()],
        }
    }

    /// This chain and all that it leads to, directly or not.
    pub(crate) fn closure(&self) -> Vec<Self> {
        let mut all = vec![self.clone()];
        let mut next = 0;
        while next < all.len() {
            let found = all[next].leads_to();
            all.extend(found);
            next += 1;
        }
        all
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "balance-{}", self.endpoints)?;
        if self.local {
            f.write_str("-local")?;
        }
        f.write_str(match self.masquerade {
            Masquerade::Never => "",
            Masquerade::Strangers => "-strangers",
            Masquerade::Always => "-masquerade",
        })?;
        self.affinity.map_or(Ok(()), |seconds| write!(f, "-affinity-{seconds}"))
    }
}

impl fmt::Display for ChainSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Balance(balance) => balance.fmt(f),
            Self::Split { all, local: Some(local) } => write!(f, "split-{all}-{local}"),
            Self::Split { all, local: None } => write!(f, "split-{all}"),
            Self::Guard(guard) => write!(f, "guard-{:016x}-{}", digest(&guard.sources), guard.then),
        }
    }
}

/// A short name for a list of ranges: the same on every run.
fn digest(sources: &[IpNet]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let text = sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    text.bytes().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}
