//! The whole server in process, over a store in memory, spoken to as clients do.

mod cases;
mod delete;
mod discovery;
mod etcd;
mod fields;
mod forms;
mod list;
mod rows;
mod server;
mod tls;
mod watch;
mod writes;
