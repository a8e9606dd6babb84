//! The names of the protocols, and what each of them means.

/// A protocol over SPDY or WebSocket, as it was agreed upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// SPDY frames on the bare connection.
    Spdy(RemoteCommandVersion),
    /// Channels in WebSocket messages.
    Channels(ChannelProtocol),
    /// SPDY frames in WebSocket messages.
    Tunnel,
}

/// What has changed from version to version of exec and attach over SPDY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RemoteCommandVersion {
    /// Whether the client opens a stream for the size of its terminal: from version 3 on.
    pub(crate) resize: bool,
    /// Whether the error stream ends with a `Status`: from version 4 on. Before, there is a text
    /// if something went wrong.
    pub(crate) json_status: bool,
}

/// How messages look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChannelProtocol {
    /// Text messages, whose data is in base64 and whose channel is a digit.
    pub(crate) base64: bool,
    /// Whether the client can end a channel: version 5.
    pub(crate) close_signal: bool,
    /// As of [`RemoteCommandVersion`].
    pub(crate) json_status: bool,
}

/// Versions of exec and attach over SPDY, the best first.
pub(crate) const REMOTE_COMMAND: [&str; 4] = [
    "v4.channel.k8s.io",
    "v3.channel.k8s.io",
    "v2.channel.k8s.io",
    "channel.k8s.io",
];
/// Versions of port-forward over SPDY.
pub(crate) const PORT_FORWARD: [&str; 1] = ["portforward.k8s.io"];
/// Versions of exec and attach over WebSocket. Who names none gets the oldest.
pub(crate) const REMOTE_COMMAND_CHANNELS: [&str; 6] = [
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
    "",
];
/// Versions of port-forward over WebSocket.
pub(crate) const PORT_FORWARD_CHANNELS: [&str; 4] =
    [TUNNEL, "v4.channel.k8s.io", "v4.base64.channel.k8s.io", ""];
/// Versions of a stream that only the client receives, over WebSocket.
pub(crate) const ONE_WAY: [&str; 3] = ["", "binary.k8s.io", "base64.binary.k8s.io"];
/// SPDY's port-forward within WebSocket messages.
pub(crate) const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";

impl Protocol {
    pub(crate) fn over_spdy(name: &str) -> Self {
        let version = REMOTE_COMMAND.iter().position(|known| *known == name);
        Self::Spdy(RemoteCommandVersion {
            resize: version.is_some_and(|version| version <= 1),
            json_status: version == Some(0),
        })
    }

    pub(crate) fn over_websocket(name: &str) -> Self {
        if name == TUNNEL {
            return Self::Tunnel;
        }
        Self::Channels(ChannelProtocol {
            base64: name.contains("base64."),
            close_signal: name.starts_with("v5."),
            json_status: name.starts_with("v4.") || name.starts_with("v5."),
        })
    }
}
