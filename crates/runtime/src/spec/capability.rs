//! Capabilities by name.

use crate::error::{Error, Result};

/// By number.
const NAMES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What a container has unless the pod says otherwise.
const DEFAULT: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

const EVERYTHING: &str = "ALL";

/// The set that results from the defaults and a pod's changes: `ALL` first, then single names, added before dropped.
pub(super) fn effective(changes: Option<&cri::Capability>) -> Result<u64> {
    let mut set = DEFAULT.iter().try_fold(0, |set, name| Ok(set | bit(name)?))?;
    let Some(changes) = changes else { return Ok(set) };
    if changes.add_capabilities.iter().any(|name| is_everything(name)) {
        set = u64::MAX;
    }
    if changes.drop_capabilities.iter().any(|name| is_everything(name)) {
        set = 0;
    }
    for name in changes.add_capabilities.iter().filter(|name| !is_everything(name)) {
        set |= bit(name)?;
    }
    for name in changes.drop_capabilities.iter().filter(|name| !is_everything(name)) {
        set &= !bit(name)?;
    }
    Ok(set)
}

pub(super) fn ambient(changes: Option<&cri::Capability>) -> Result<u64> {
    let names = changes.map(|changes| changes.add_ambient_capabilities.as_slice()).unwrap_or_default();
    names.iter().try_fold(0, |set, name| Ok(set | bit(name)?))
}

fn is_everything(name: &str) -> bool {
    name.eq_ignore_ascii_case(EVERYTHING)
}

fn bit(name: &str) -> Result<u64> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    let number = NAMES.iter().position(|known| *known == bare);
    number.map(|number| 1 << number).ok_or_else(|| Error::Invalid(format!("unknown capability {name:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_apply_in_order() {
        let check = |add: &[&str], drop: &[&str], expected: u64| {
            let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let changes = cri::Capability {
                add_capabilities: strings(add),
                drop_capabilities: strings(drop),
                add_ambient_capabilities: Vec::new(),
            };
            assert_eq!(effective(Some(&changes)).unwrap(), expected, "{add:?} {drop:?}");
        };
        let default = 0xa804_25fb;
        assert_eq!(effective(None).unwrap(), default);
        check(&[], &[], default);
        check(&["NET_ADMIN"], &[], default | 1 << 12);
        check(&["cap_net_admin"], &["CHOWN"], (default | 1 << 12) & !1);
        check(&[], &["ALL"], 0);
        check(&["CHOWN"], &["ALL"], 1);
        check(&["ALL"], &["CHOWN"], !1);
        check(&["CHOWN"], &["CHOWN"], default & !1);
        assert!(bit("NONSENSE").is_err());
    }
}
