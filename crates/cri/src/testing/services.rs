//! The two services of CRI, as the fake has them.

mod images;
mod runtime;
