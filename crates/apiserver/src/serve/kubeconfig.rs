use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::{ServeError, Token};

/// The first line of every file written here: what has another first line is someone else's.
const MARKER: &str =
    "# Written by kubewright-apiserver, which replaces this file whenever it starts.";

/// How clients reach a [`Listener`](super::Listener): server, certificate authority, token.
///
/// `Display` shows the file, the token included.
#[derive(Clone, Debug)]
pub struct Kubeconfig {
    server: String,
    ca_pem: Option<String>,
    token: Option<Token>,
}

impl Kubeconfig {
    pub(super) fn new(server: &str, ca_pem: Option<&str>, token: Option<&Token>) -> Self {
        Self {
            server: server.to_owned(),
            ca_pem: ca_pem.map(str::to_owned),
            token: token.cloned(),
        }
    }

    /// Writes the file in one step: readers see the old file or the new one, never a part.
    ///
    /// The file is readable by its owner only (mode 0600). It replaces a file that was written
    /// here before, which it knows by the first line, and no other.
    ///
    /// # Errors
    ///
    /// [`ServeError::ForeignKubeconfig`] if another file stands there, [`ServeError::Kubeconfig`]
    /// if the system refuses. The file that was there is then unchanged.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ServeError> {
        let path = path.as_ref();
        let failed = |source| ServeError::Kubeconfig {
            path: path.to_owned(),
            source,
        };
        if !may_replace(path).map_err(failed)? {
            return Err(ServeError::ForeignKubeconfig {
                path: path.to_owned(),
            });
        }
        let temporary = Temporary::beside(path, &Token::random()?).map_err(failed)?;
        temporary.fill(&self.to_string()).map_err(failed)?;
        temporary.rename(path).map_err(failed)
    }
}

impl fmt::Display for Kubeconfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A JSON string is a YAML string.
        writeln!(f, "{MARKER}")?;
        writeln!(f, "apiVersion: v1")?;
        writeln!(f, "kind: Config")?;
        writeln!(f, "current-context: kubewright")?;
        writeln!(f, "clusters:")?;
        writeln!(f, "- name: kubewright")?;
        writeln!(f, "  cluster:")?;
        writeln!(f, "    server: {}", Value::from(self.server.as_str()))?;
        if let Some(ca_pem) = &self.ca_pem {
            let data = BASE64_STANDARD.encode(ca_pem);
            writeln!(f, "    certificate-authority-data: {data}")?;
        }
        writeln!(f, "contexts:")?;
        writeln!(f, "- name: kubewright")?;
        writeln!(f, "  context:")?;
        writeln!(f, "    cluster: kubewright")?;
        writeln!(f, "    namespace: default")?;
        writeln!(f, "    user: kubewright")?;
        writeln!(f, "users:")?;
        writeln!(f, "- name: kubewright")?;
        match &self.token {
            Some(token) => {
                writeln!(f, "  user:")?;
                writeln!(f, "    token: {}", Value::from(token.secret()))
            }
            None => writeln!(f, "  user: {{}}"),
        }
    }
}

/// Whether nothing stands at the path, or something that was written here.
fn may_replace(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    let mut first_line = Vec::new();
    // The marker and its newline: no more is read of a huge file.
    let limit = MARKER.len() as u64 + 1;
    BufReader::new(io::Read::take(file, limit)).read_until(b'\n', &mut first_line)?;
    Ok(first_line.strip_suffix(b"\n") == Some(MARKER.as_bytes()))
}

/// A file under another name, removed unless it is renamed.
struct Temporary {
    path: PathBuf,
    file: File,
}

impl Temporary {
    fn beside(path: &Path, chance: &Token) -> io::Result<Self> {
        let Some(name) = path.file_name() else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(".");
        temporary.push(chance.secret());
        let path = path.with_file_name(temporary);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path)?;
        Ok(Self { path, file })
    }

    fn fill(&self, text: &str) -> io::Result<()> {
        (&self.file).write_all(text.as_bytes())?;
        self.file.sync_all()
    }

    fn rename(self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = fs::remove_file(&self.path);
    }
}
