mod collector;
mod host;
mod policy;
mod records;

pub use collector::{ImageGc, ImageGcError};
pub use host::{CriImages, FsUsage, ImageHost};
pub use policy::{ImageGcPolicy, InvalidPolicy};
pub use records::{ImageRecords, UnusedImage};
