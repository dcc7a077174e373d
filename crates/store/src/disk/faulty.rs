//! A disk that loses power, tears and reorders writes, fills up and fails to sync, all from a seed.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use host::{Entropy, SeededEntropy};

use super::{Disk, MemoryDisk};

/// What a device writes atomically; a write may be torn between sectors.
const SECTOR: usize = 512;

/// What goes wrong, and when. Can be changed while the disk is in use.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// After so many further writes, resizes and syncs the power is gone: that operation and all later ones fail.
    pub power_after: Option<u64>,
    /// Growing beyond this many bytes fails for want of space.
    pub capacity: Option<u64>,
    /// Every sync fails, and what it should have made durable stays at the mercy of the device.
    pub failing_sync: bool,
}

/// A memory disk with [`Faults`]; clones are the same disk.
#[derive(Clone)]
pub struct FaultyDisk(Arc<Mutex<State>>);

struct State {
    entropy: SeededEntropy,
    faults: Faults,
    /// What reads see.
    present: Vec<u8>,
    /// What is certain to survive.
    durable: Vec<u8>,
    /// What was done since the last sync, in order.
    pending: Vec<Operation>,
    operations: u64,
}

enum Operation {
    Write { offset: usize, data: Vec<u8> },
    Resize(usize),
}

impl FaultyDisk {
    /// An empty disk without faults whose crashes are drawn from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            entropy: SeededEntropy::new(seed),
            faults: Faults::default(),
            present: Vec::new(),
            durable: Vec::new(),
            pending: Vec::new(),
            operations: 0,
        })))
    }

    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// How many writes, resizes and syncs have been asked for.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// What is on the disk after the power went: everything synced, and of the rest any part in any order.
    #[must_use]
    pub fn crash(&self) -> MemoryDisk {
        let mut state = self.state();
        let mut image = std::mem::take(&mut state.durable);
        let pending = std::mem::take(&mut state.pending);
        for operation in shuffled(pending, &state.entropy) {
            if state.entropy.fraction() < 0.5 {
                survive(operation, &mut image, &state.entropy);
            }
        }
        MemoryDisk::new(image)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts an operation; fails it once the power is gone.
    fn operate(&mut self) -> io::Result<()> {
        self.operations += 1;
        match &mut self.faults.power_after {
            Some(0) => Err(io::Error::other("the power is gone")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for FaultyDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FaultyDisk({:?})", self.state().faults)
    }
}

impl Disk for FaultyDisk {
    fn size(&self) -> io::Result<u64> {
        Ok(self.state().present.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        out.copy_from_slice(state.present.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        state.operate()?;
        state.present.get_mut(start..start + data.len()).ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        state.pending.push(Operation::Write { offset: start, data: data.to_vec() });
        Ok(())
    }

    fn resize(&self, size: u64) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        let size = usize::try_from(size).map_err(io::Error::other)?;
        if size > state.present.len() && state.faults.capacity.is_some_and(|capacity| size as u64 > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.present.resize(size, 0);
        state.pending.push(Operation::Resize(size));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        if state.faults.failing_sync {
            return Err(io::Error::other("the device reports a write error"));
        }
        state.durable = state.present.clone();
        state.pending.clear();
        Ok(())
    }

    fn immediate(&self) -> bool {
        true
    }
}

fn shuffled(mut operations: Vec<Operation>, entropy: &SeededEntropy) -> Vec<Operation> {
    for last in (1..operations.len()).rev() {
        operations.swap(last, below(entropy, last + 1));
    }
    operations
}

/// Applies an operation that reached the device, possibly torn at a sector's edge.
fn survive(operation: Operation, image: &mut Vec<u8>, entropy: &SeededEntropy) {
    match operation {
        Operation::Resize(size) => image.resize(size.max(image.len()), 0),
        Operation::Write { offset, mut data } => {
            if entropy.fraction() < 0.3 {
                data.truncate(below(entropy, data.len() / SECTOR + 1) * SECTOR);
            }
            if image.len() < offset + data.len() {
                image.resize(offset + data.len(), 0);
            }
            image[offset..offset + data.len()].copy_from_slice(&data);
        }
    }
}

fn below(entropy: &SeededEntropy, bound: usize) -> usize {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    usize::try_from(u64::from_le_bytes(bytes) % bound.max(1) as u64).unwrap_or(0)
}
