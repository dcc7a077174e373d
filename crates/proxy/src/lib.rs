//! Services: endpoints to nftables rules, as a pure function and a thin applier.
