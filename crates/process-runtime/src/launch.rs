//! From the command of a container to the program that is run.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::record::Launch;

/// Why a command cannot be run, in the words that users of containers know.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum LaunchError {
    #[error("no command specified")]
    NoCommand,
    #[error("exec: {0:?}: executable file not found in $PATH")]
    NotInPath(String),
    #[error("exec: {0:?}: stat {0}: no such file or directory")]
    NotFound(String),
    #[error("exec: {0:?}: is a directory")]
    Directory(String),
    #[error("exec: {0:?}: permission denied")]
    Denied(String),
}

/// The program that a command runs: looked for in the directory of the image, then on the host.
pub(crate) fn program(launch: &Launch, command: &[String]) -> Result<PathBuf, LaunchError> {
    let name = command.first().ok_or(LaunchError::NoCommand)?;
    if !name.contains('/') {
        let path = launch.env.get("PATH").map_or("", String::as_str);
        return path
            .split(':')
            .filter(|directory| !directory.is_empty())
            .map(|directory| launch.working_dir.join(directory).join(name))
            .find(|path| check(path, name).is_ok())
            .ok_or_else(|| LaunchError::NotInPath(name.clone()));
    }
    let path = Path::new(name);
    let found = match path.strip_prefix("/") {
        Ok(relative) => {
            let own = launch.image_dir.join(relative);
            if own.exists() { own } else { path.to_owned() }
        }
        Err(_) => launch.working_dir.join(path),
    };
    check(&found, name)?;
    Ok(found)
}

fn check(path: &Path, name: &str) -> Result<(), LaunchError> {
    let wrong = |error: &std::io::Error| match error.kind() {
        ErrorKind::PermissionDenied => LaunchError::Denied(name.to_owned()),
        _ => LaunchError::NotFound(name.to_owned()),
    };
    let metadata = std::fs::metadata(path).map_err(|error| wrong(&error))?;
    if metadata.is_dir() {
        return Err(LaunchError::Directory(name.to_owned()));
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(LaunchError::Denied(name.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn launch(image_dir: &Path) -> Launch {
        Launch {
            command: Vec::new(),
            env: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
            working_dir: PathBuf::from("/"),
            image_dir: image_dir.to_owned(),
        }
    }

    fn command(name: &str) -> Vec<String> {
        vec![name.to_owned()]
    }

    #[test]
    fn programs_of_the_image_come_before_the_hosts() {
        let image = tempfile::tempdir().unwrap();
        let own = image.path().join("bin/sh");
        std::fs::create_dir(image.path().join("bin")).unwrap();
        std::fs::write(&own, "").unwrap();
        std::fs::set_permissions(&own, PermissionsExt::from_mode(0o755)).unwrap();
        let launch = launch(image.path());
        assert_eq!(program(&launch, &command("/bin/sh")), Ok(own));
        assert_eq!(program(&launch, &command("/bin/ls")), Ok("/bin/ls".into()));
        assert!(program(&launch, &command("sh")).is_ok());
        assert!(
            program(&launch, &command("bin/ls")).is_ok(),
            "from the working directory"
        );
    }

    #[test]
    fn what_cannot_be_run_is_told_as_container_runtimes_do() {
        let launch = launch(Path::new("/"));
        let refused = |name: &str| program(&launch, &command(name)).unwrap_err().to_string();
        assert_eq!(
            refused("nope"),
            "exec: \"nope\": executable file not found in $PATH"
        );
        assert_eq!(
            refused("/no/pe"),
            "exec: \"/no/pe\": stat /no/pe: no such file or directory"
        );
        assert_eq!(refused("/tmp"), "exec: \"/tmp\": is a directory");
        assert_eq!(
            refused("/etc/passwd"),
            "exec: \"/etc/passwd\": permission denied"
        );
        assert_eq!(program(&launch, &[]), Err(LaunchError::NoCommand));
    }
}
