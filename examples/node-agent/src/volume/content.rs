//! What is in volumes that are made from objects.

mod object;
mod projected;
mod user;

use std::collections::BTreeMap;

use crate::environment::DownwardApi;

pub use object::{config_map_payload, downward_api_payload, secret_payload};
pub use projected::projected_payload;
pub use user::fs_user;

/// The files of a volume by their paths in it.
pub type Payload = BTreeMap<String, ProjectedFile>;

/// One file of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectedFile {
    /// What is in it.
    pub data: Vec<u8>,
    /// The bits of its mode.
    pub mode: u32,
    /// The user who owns it; `None` is the agent's own.
    pub owner: Option<u32>,
}

/// What the content of a pod's volumes is made from.
#[derive(Clone, Copy, Debug)]
pub struct ContentContext<'a, O> {
    /// The pod, its addresses and what the node has to give.
    pub downward: DownwardApi<'a>,
    /// Where the objects are.
    pub objects: &'a O,
}

/// The mode of files unless told otherwise.
const DEFAULT_MODE: i32 = 0o644;

/// A mode of the API as the bits of a mode.
fn mode_bits(own: Option<i32>, default: Option<i32>) -> u32 {
    let mode = own.or(default).unwrap_or(DEFAULT_MODE);
    u32::try_from(mode).unwrap_or_default() & 0o777
}

impl<O> ContentContext<'_, O> {
    fn namespace(&self) -> &str {
        let metadata = &self.downward.pod.metadata;
        metadata.namespace.as_deref().unwrap_or_default()
    }
}
