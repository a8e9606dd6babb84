//! What a node's kubelet answers rather than this server: logs, streams into containers, and the
//! kubelet's own pages.
//!
//! The handlers say where such a request goes, after all that the server itself has to say about
//! it: who may ask, whether there is such a pod, which container is meant. They leave a [`Forward`]
//! in the answer, for a [`NodeProxy`](crate::serve::NodeProxy) to carry out; a request that came
//! past none is refused.

mod location;
mod log_options;
mod pod;

use bytes::Bytes;
use http::{HeaderMap, Method};

pub(crate) use self::location::Location;
pub(crate) use self::log_options::LogOptions;
pub(crate) use self::pod::{Streaming, log_place, stream_place};

/// A mark on requests: who sent it carries out what is for nodes to answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forwards;

/// A request that a node's kubelet is to answer.
#[derive(Clone, Debug)]
pub(crate) struct Forward {
    pub(crate) location: Location,
    pub(crate) manner: Manner,
    /// As the client sent them.
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// How a request is carried to a kubelet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As a question of the server's own, of which the client gets the text.
    Log {
        pod: String,
        /// Whether the kubelet may take its time with the first word.
        follow: bool,
    },
    /// As an upgrade, and no other way.
    Stream,
    /// As it is.
    Plain,
}
