//! The whole server in process, over a store in memory, spoken to as clients do.

mod cases;
mod delete;
mod discovery;
mod etcd;
mod fields;
mod forms;
mod hostile;
mod list;
mod openapi;
mod rows;
mod server;
mod tls;
mod watch;
mod websocket;
mod writes;
