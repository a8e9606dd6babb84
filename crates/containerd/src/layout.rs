//! Images as one archive, by the OCI's image layout.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use crate::{Error, Image};

/// The commands that images have besides the shell's own.
const COMMANDS: &str = "sh cat chmod cp cut date dd echo env expr false find grep head hostname id \
    kill ln ls mkdir mktemp mount mv nc nslookup od printf ps pwd readlink rm sed seq sleep sort \
    stat stty sync tail tee test timeout touch tr true tty umask uname wc wget which whoami";

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The archive of some images, as `ctr images import` takes it.
pub(crate) fn archive(images: &[Image], busybox: &Path) -> Result<Vec<u8>, Error> {
    let base = base_layer(busybox)?;
    let mut blobs = BTreeMap::new();
    let mut manifests = Vec::new();
    for image in images {
        let mut layers = vec![base.clone()];
        if !image.files.is_empty() {
            layers.push(files_layer(image)?);
        }
        let layers: Vec<_> = layers
            .into_iter()
            .map(|layer| put(&mut blobs, LAYER, layer))
            .collect();
        let ids: Vec<_> = layers.iter().map(digest_of).collect();
        let config = image.config(&ids).to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": put(&mut blobs, CONFIG, config),
            "layers": layers,
        });
        let mut manifest = put(&mut blobs, MANIFEST, manifest.to_string().into_bytes());
        manifest["annotations"] = json!({"io.containerd.image.name": image.name});
        manifests.push(manifest);
    }
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    let pack = || -> io::Result<Vec<u8>> {
        let mut archive = Archive::new();
        archive.file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        archive.file("index.json", 0o644, index.to_string().as_bytes())?;
        for (digest, blob) in &blobs {
            archive.file(&format!("blobs/sha256/{digest}"), 0o644, blob)?;
        }
        archive.finish()
    };
    pack().map_err(Error::io("the archive of images"))
}

/// The root file system that all images begin with.
fn base_layer(busybox: &Path) -> Result<Vec<u8>, Error> {
    let program = fs::read(busybox).map_err(Error::io(busybox))?;
    let pack = || -> io::Result<Vec<u8>> {
        let mut layer = Archive::new();
        for directory in [
            "bin", "dev", "etc", "home", "mnt", "proc", "root", "sys", "var",
        ] {
            layer.directory(directory, 0o755)?;
        }
        layer.directory("tmp", 0o1777)?;
        layer.file("bin/busybox", 0o755, &program)?;
        for command in COMMANDS.split_whitespace() {
            layer.link(&format!("bin/{command}"), "busybox")?;
        }
        let users = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home:/bin/sh\n\
             nobody:x:65534:65534:nobody:/home:/bin/sh\n";
        layer.file("etc/passwd", 0o644, users.as_bytes())?;
        let groups = b"root:x:0:\napp:x:1000:\nnobody:x:65534:\n";
        layer.file("etc/group", 0o644, groups)?;
        layer.finish()
    };
    pack().map_err(Error::io("the layer of busybox"))
}

fn files_layer(image: &Image) -> Result<Vec<u8>, Error> {
    let mut layer = Archive::new();
    for (host, path) in &image.files {
        let content = fs::read(host).map_err(Error::io(host))?;
        let added = layer.file(path.trim_start_matches('/'), 0o755, &content);
        added.map_err(Error::io(host))?;
    }
    layer.finish().map_err(Error::io(&image.name))
}

/// Adds a blob and describes it.
fn put(blobs: &mut BTreeMap<String, Vec<u8>>, media_type: &str, blob: Vec<u8>) -> Value {
    let hash = digest(&SHA256, &blob);
    let hash: String = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let descriptor = json!({
        "mediaType": media_type,
        "digest": format!("sha256:{hash}"),
        "size": blob.len(),
    });
    blobs.insert(hash, blob);
    descriptor
}

fn digest_of(descriptor: &Value) -> String {
    descriptor["digest"].as_str().unwrap_or_default().to_owned()
}

/// A tar whose entries have no times, so that the same content has the same digest.
struct Archive {
    tar: Builder<Vec<u8>>,
}

impl Archive {
    fn new() -> Self {
        Self {
            tar: Builder::new(Vec::new()),
        }
    }

    fn directory(&mut self, path: &str, mode: u32) -> io::Result<()> {
        let mut header = header(EntryType::Directory, mode, 0);
        self.tar.append_data(&mut header, path, io::empty())
    }

    fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        let mut header = header(EntryType::Regular, mode, content.len() as u64);
        self.tar.append_data(&mut header, path, content)
    }

    fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        let mut header = header(EntryType::Symlink, 0o777, 0);
        self.tar.append_link(&mut header, path, target)
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        self.tar.into_inner()
    }
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header
}
