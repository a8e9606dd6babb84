//! The server over real sockets, as clients see it.

mod handshake;
mod limits;
mod one_way;
mod port_forward;
mod remote_command;
mod support;
