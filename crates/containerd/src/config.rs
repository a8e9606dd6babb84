use std::path::Path;

use serde_json::json;

use crate::Requirements;
use crate::image::SANDBOX_IMAGE;

/// How a containerd is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The network of its pods: the first three numbers of a range of 254 addresses. Two daemons
    /// beside each other need different ones. Default: `10.211.0`.
    pub subnet: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            subnet: "10.211.0".to_owned(),
        }
    }
}

impl Options {
    /// The defaults, with another network: the numbers after `10.`.
    pub fn with_subnet(second: u8, third: u8) -> Self {
        Self {
            subnet: format!("10.{second}.{third}"),
        }
    }
}

/// The daemon's configuration file, with everything below `directory`.
pub(crate) fn containerd_toml(directory: &Path, found: &Requirements) -> String {
    let directory = directory.display();
    let plugins = found.cni_plugins.display();
    // Without the capability for it, a sandbox that asks for less than the OOM score of its parent
    // cannot be started: hence restrict_oom_score_adj.
    format!(
        r#"version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.tracing",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = "{directory}/containerd.sock"

[ttrpc]
  address = "{directory}/ttrpc.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{SANDBOX_IMAGE}"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{plugins}"
  conf_dir = "{directory}/cni"
"#
    )
}

/// The configuration of the pods' network.
pub(crate) fn cni_conflist(directory: &Path, options: &Options) -> String {
    let ipam = json!({
        "type": "host-local",
        "dataDir": directory.join("addresses"),
        "ranges": [[{"subnet": format!("{}.0/24", options.subnet)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    });
    let network = json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [{"type": "ptp", "ipam": ipam}],
    });
    network.to_string()
}
