//! The server through the requests that clients send, in process and under paused time.

#[path = "api/seam.rs"]
mod seam;

#[path = "api/crud.rs"]
mod crud;
#[path = "api/deletion.rs"]
mod deletion;
#[path = "api/lists.rs"]
mod lists;
#[path = "api/watches.rs"]
mod watches;
