//! nftables over netlink: tables, chains, rules, sets and maps in atomic transactions.
