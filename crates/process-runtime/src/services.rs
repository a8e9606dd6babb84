//! The two services of CRI, as this runtime has them.

mod events;
mod filter;
mod images;
mod runtime;
