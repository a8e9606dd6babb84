use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The variable that asks for tests on a containerd, and makes it an error if the machine lacks
/// something.
const REQUIRED: &str = "KUBEWRIGHT_CONTAINERD";

/// What a containerd needs of a machine, as it was found.
#[derive(Clone, Debug)]
pub struct Requirements {
    /// The daemon.
    pub containerd: PathBuf,
    /// Its command-line tool.
    pub ctr: PathBuf,
    /// A busybox that needs no libraries.
    pub busybox: PathBuf,
    /// Where the CNI plugins are.
    pub cni_plugins: PathBuf,
}

impl Requirements {
    /// Looks for all that is needed.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`](crate::Error::Missing) names all that is not there.
    pub fn find() -> Result<Self, crate::Error> {
        let mut missing = Vec::new();
        let mut program = |name: &str| {
            in_path(name).unwrap_or_else(|| {
                missing.push(format!("the program {name}"));
                PathBuf::new()
            })
        };
        let found = Self {
            containerd: program("containerd"),
            ctr: program("ctr"),
            busybox: program("busybox"),
            cni_plugins: plugins().unwrap_or_default(),
        };
        program("runc");
        if found.cni_plugins.as_os_str().is_empty() {
            missing.push("the CNI plugins ptp, host-local and loopback".to_owned());
        }
        if !rustix::process::geteuid().is_root() {
            missing.push("the rights of root".to_owned());
        }
        if missing.is_empty() {
            Ok(found)
        } else {
            Err(crate::Error::Missing(missing))
        }
    }

    /// Whether tests on a containerd are asked for: the variable `KUBEWRIGHT_CONTAINERD` is
    /// `required`. If not, it says loudly that they are skipped.
    ///
    /// Nobody runs them unasked: they act as root, mount, and make cgroups and networks.
    ///
    /// # Panics
    ///
    /// If they are asked for, and the machine lacks something.
    pub fn are_asked_for() -> bool {
        let is_required = env::var_os(REQUIRED).is_some_and(|value| value == "required");
        if is_required {
            if let Err(error) = Self::find() {
                panic!("{error}, and {REQUIRED} is set to \"required\"");
            }
            return true;
        }
        let mut stderr = std::io::stderr();
        // What a test prints is hidden unless it fails; this is not.
        let _ = writeln!(
            stderr,
            "SKIPPED: tests on a containerd run where {REQUIRED} is set to \"required\""
        );
        false
    }
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut places = env::split_paths(&path).map(|directory| directory.join(name));
    places.find(|place| place.is_file())
}

fn plugins() -> Option<PathBuf> {
    let places = ["/usr/lib/cni", "/opt/cni/bin"].map(Path::new);
    let found = places.into_iter().find(|place| {
        let mut needed = ["ptp", "host-local", "loopback"].into_iter();
        needed.all(|plugin| place.join(plugin).is_file())
    });
    found.map(Path::to_owned)
}
