//! Volumes are set up, kept up to date, mounted into containers and taken down.

#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and calls read better with values"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use node_agent::environment::{DownwardApi, Environment};
use node_agent::objects::{Snapshot, TokenReference};
use node_agent::pod::PodUid;
use node_agent::resources::Amounts;
use node_agent::volume::{
    ContainerMount, ContentContext, DirectMounter, MountMaker, MountedVolume, MountedVolumes,
    Mounter, OpenedSubPath, PodDirectories, Propagation, TmpfsOptions, VolumeAccess, VolumeError,
    VolumePlugin, VolumeSetUp, check_host_path, disk_usage, fs_user, set_ownership, tear_down,
    tmpfs_size,
};
use serde_json::{Value, from_value, json};
use tempfile::TempDir;

/// Remembers what was mounted.
#[derive(Debug, Default)]
struct Recorder {
    mounts: RefCell<Vec<(PathBuf, TmpfsOptions)>>,
    /// As the kernel does to those who are not root.
    refuses: bool,
}

impl Mounter for Recorder {
    fn tmpfs(&self, target: &Path, options: TmpfsOptions) -> io::Result<()> {
        if self.refuses {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.mounts.borrow_mut().push((target.to_owned(), options));
        Ok(())
    }

    fn bind(&self, _source: &OpenedSubPath, target: &Path) -> io::Result<PathBuf> {
        self.tmpfs(target, TmpfsOptions::default())?;
        Ok(target.to_owned())
    }

    fn unmount(&self, target: &Path) -> io::Result<()> {
        self.mounts.borrow_mut().retain(|(path, _)| path != target);
        Ok(())
    }

    fn mounts_below(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mounts = self.mounts.borrow();
        let paths = mounts.iter().map(|(path, _)| path.clone());
        Ok(paths.filter(|mount| mount.starts_with(path)).collect())
    }
}

/// A pod with files on disk.
struct Fixture {
    root: TempDir,
    pod: Pod,
    objects: Snapshot,
    mounter: Recorder,
}

impl Fixture {
    fn new(spec: Value) -> Self {
        let mut fixture = Self {
            root: tempfile::tempdir().unwrap(),
            pod: from_value(json!({
                "metadata": {"namespace": "n", "name": "p", "uid": "7", "labels": {"a": "b"}},
                "spec": spec,
            }))
            .unwrap(),
            objects: Snapshot::default(),
            mounter: Recorder::default(),
        };
        fixture.config_map(json!({"data": {"data-1": "value-1", "data-2": "value-2"}, "binaryData": {"bin": "/wA="}}));
        let secret = json!({"data": {"user": "YWRtaW4="}});
        fixture
            .objects
            .insert_secret("n", "s", Ok(Arc::new(from_value(secret).unwrap())));
        fixture
    }

    fn volume(volume: Value) -> Self {
        Self::volume_and(volume, json!({}))
    }

    fn volume_and(mut volume: Value, context: Value) -> Self {
        volume["name"] = "v".into();
        Self::new(json!({
            "serviceAccountName": "default", "securityContext": context, "volumes": [volume],
            "containers": [{"name": "c", "resources": {"limits": {"cpu": "1250m"}}}],
        }))
    }

    fn config_map(&mut self, map: Value) {
        self.objects
            .insert_config_map("n", "m", Ok(Arc::new(from_value(map).unwrap())));
    }

    fn directories(&self) -> PodDirectories {
        PodDirectories::new(self.root.path(), &PodUid::of(&self.pod))
    }

    fn set_up(&self) -> Result<MountedVolumes, VolumeError> {
        let allocatable = ("memory".to_owned(), "4Gi".parse().unwrap());
        let downward = DownwardApi {
            pod: &self.pod,
            pod_ips: &[],
            host_ips: &[],
            allocatable: &Amounts::from([allocatable]),
        };
        let content = ContentContext {
            downward,
            objects: &self.objects,
        };
        let (directories, mounter) = (&self.directories(), &self.mounter);
        let now = Timestamp::UNIX_EPOCH;
        VolumeSetUp {
            content,
            directories,
            mounter,
            now,
        }
        .set_up_all()
    }

    /// The files of the only volume with their content and modes.
    fn files(&self) -> BTreeMap<String, (String, u32)> {
        let volume = self.set_up().unwrap().remove("v").unwrap();
        let mut files = BTreeMap::new();
        walk(&volume.path, "", &mut files);
        files
    }

    #[track_caller]
    fn check(&self, expected: &[(&str, &str, u32)]) {
        let expected = expected.iter();
        let expected =
            expected.map(|(path, data, mode)| ((*path).to_owned(), ((*data).to_owned(), *mode)));
        assert_eq!(self.files(), expected.collect());
    }

    #[track_caller]
    fn check_fails(&self, expected: &str) {
        let error = self.set_up().unwrap_err().to_string();
        assert_eq!(
            error,
            format!("MountVolume.SetUp failed for volume \"v\" : {expected}")
        );
    }
}

fn walk(directory: &Path, prefix: &str, files: &mut BTreeMap<String, (String, u32)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = entry.path();
        if name.starts_with("..") {
            continue;
        }
        if path.is_dir() {
            walk(&path, &format!("{prefix}{name}/"), files);
        } else {
            let data = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            let mode = fs::metadata(&path).unwrap().mode() & 0o7777;
            files.insert(format!("{prefix}{name}"), (data, mode));
        }
    }
}

/// A group that this process may give files to.
fn group() -> u32 {
    let file = tempfile::NamedTempFile::new().unwrap();
    let metadata = file.as_file().metadata().unwrap();
    if metadata.uid() == 0 {
        1234
    } else {
        metadata.gid()
    }
}

/// Upstream's `TestMakePayload` of the plugin `configmap`.
#[test]
fn config_maps() {
    let all = [
        ("bin", "\u{fffd}\0", 0o644),
        ("data-1", "value-1", 0o644),
        ("data-2", "value-2", 0o644),
    ];
    Fixture::volume(json!({"configMap": {"name": "m"}})).check(&all);
    let items = |items: Value, optional: bool| {
        Fixture::volume(
            json!({"configMap": {"name": "m", "items": items, "optional": optional, "defaultMode": 0o600}}),
        )
    };
    items(json!([{"key": "data-2", "path": "path/to/it", "mode": 0o400}, {"key": "data-1", "path": "x"}]), false)
        .check(&[("path/to/it", "value-2", 0o400), ("x", "value-1", 0o600)]);
    items(json!([{"key": "none", "path": "x"}]), true).check(&[]);
    items(json!([{"key": "none", "path": "x"}]), false)
        .check_fails("configmap references non-existent config key: none");
    items(json!([{"key": "data-1", "path": "../x"}]), false)
        .check_fails("invalid path \"../x\": must not contain '..'");
    Fixture::volume(json!({"configMap": {"name": "none"}}))
        .check_fails("configmap \"none\" not found");
    Fixture::volume(json!({"configMap": {"name": "none", "optional": true}})).check(&[]);
}

/// Upstream's `TestMakePayload` of the plugin `secret`.
#[test]
fn secrets() {
    Fixture::volume(json!({"secret": {"secretName": "s", "defaultMode": 0o400}}))
        .check(&[("user", "admin", 0o400)]);
    Fixture::volume(
        json!({"secret": {"secretName": "s", "items": [{"key": "none", "path": "x"}]}}),
    )
    .check_fails("secret references non-existent secret key: none");
    Fixture::volume(json!({"secret": {"secretName": "none"}}))
        .check_fails("secret \"none\" not found");
}

/// Upstream's `TestDownwardAPI`.
#[test]
fn downward_api() {
    let with = |item: Value| {
        Fixture::volume(json!({"downwardAPI": {"defaultMode": 0o600, "items": [item]}}))
    };
    let field = |path: &str| with(json!({"path": "d/f", "fieldRef": {"fieldPath": path}}));
    field("metadata.name").check(&[("d/f", "p", 0o600)]);
    field("metadata.labels").check(&[("d/f", "a=\"b\"", 0o600)]);
    field("status.podIP").check_fails("unsupported fieldPath: status.podIP");
    let resource = |container: &str, resource: &str| {
        with(
            json!({"path": "f", "mode": 0o440, "resourceFieldRef": {"containerName": container, "resource": resource, "divisor": "1m"}}),
        )
    };
    resource("c", "limits.cpu").check(&[("f", "1250", 0o440)]);
    resource("x", "limits.cpu").check_fails("container x not found");
}

/// Upstream's `TestCollectDataWithConfigMap`, `..WithSecret`, `..WithDownwardAPI` and
/// `..WithServiceAccountToken`.
#[test]
fn projections() {
    let token = json!({"path": "token", "expirationSeconds": 600});
    let sources = json!([
        {"configMap": {"name": "m", "items": [{"key": "data-1", "path": "shared"}]}},
        {"secret": {"name": "s", "items": [{"key": "user", "path": "shared", "mode": 0o400}]}},
        {"downwardAPI": {"items": [{"path": "uid", "fieldRef": {"fieldPath": "metadata.uid"}}]}},
        {"serviceAccountToken": token},
    ]);
    let with = |context: Value| {
        let volume = json!({"projected": {"sources": sources, "defaultMode": 0o644}});
        let mut fixture = Fixture::volume_and(volume, context);
        let projection = from_value(token.clone()).unwrap();
        let reference = TokenReference::of(&fixture.pod, &projection);
        assert_eq!(
            (&*reference.service_account, reference.expiration_seconds),
            ("default", 600)
        );
        fixture.objects.insert_token(reference, Ok("abc".into()));
        fixture
    };
    let files = |token_mode| {
        [
            ("shared", "admin", 0o400),
            ("token", "abc", token_mode),
            ("uid", "7", 0o644),
        ]
    };
    with(json!({})).check(&files(0o644));
    let group = group();
    let grouped = with(json!({"fsGroup": group}));
    let mut owned = files(0o640);
    owned[0].2 = 0o440;
    grouped.check(&owned);
    let volume = &grouped.set_up().unwrap()["v"];
    let token = fs::metadata(volume.path.join("token")).unwrap();
    assert_eq!(token.gid(), group);
    if group == 1234 {
        let user = with(json!({"runAsUser": 65534}));
        user.check(&files(0o600));
        let token = fs::metadata(user.set_up().unwrap()["v"].path.join("token")).unwrap();
        assert_eq!(token.uid(), 65534);
    }
    let unknown = json!({"projected": {"sources": [{"clusterTrustBundle": {"path": "x"}}]}});
    Fixture::volume(unknown).check_fails("clusterTrustBundle is not supported by this node agent");
}

/// Upstream's `TestFsUserFrom`.
#[test]
fn fs_user_from() {
    let of = |spec: Value| fs_user(&from_value(spec).unwrap());
    let running = |user: i64| json!({"name": "c", "securityContext": {"runAsUser": user}});
    for (spec, user) in [
        (json!({"containers": [{"name": "c"}]}), None),
        (json!({"containers": [running(7)]}), Some(7)),
        (json!({"containers": [running(7), {"name": "d"}]}), None),
        (
            json!({"containers": [running(7), {"name": "d"}], "securityContext": {"runAsUser": 7}}),
            Some(7),
        ),
        (
            json!({"containers": [running(7)], "initContainers": [running(8)]}),
            None,
        ),
        (
            json!({"containers": [running(7)], "ephemeralContainers": [running(7)]}),
            Some(7),
        ),
        (
            json!({"containers": [running(7)], "ephemeralContainers": [running(8)]}),
            None,
        ),
    ] {
        assert_eq!(of(spec.clone()), user, "{spec}");
    }
}

/// `updates should be reflected in volume`.
#[test]
fn content_follows_its_objects() {
    let mut fixture = Fixture::volume(json!({"configMap": {"name": "m"}}));
    assert_eq!(fixture.files().len(), 3);
    fixture.config_map(json!({"data": {"data-1": "new", "data-3": "x"}}));
    fixture.check(&[("data-1", "new", 0o644), ("data-3", "x", 0o644)]);
    let path = fixture.directories().volume(VolumePlugin::ConfigMap, "v");
    let expected = "pods/7/volumes/kubernetes.io~configmap/v";
    assert_eq!(path, fixture.root.path().join(expected));
    assert_eq!(
        fixture.set_up().unwrap()["v"].access,
        VolumeAccess::ReadOnly
    );
}

/// Upstream's `TestPlugin*` of the plugin `emptydir`.
#[test]
fn empty_directories() {
    let group = group();
    let disk = Fixture::volume_and(json!({"emptyDir": {}}), json!({"fsGroup": group}));
    let volume = disk.set_up().unwrap().remove("v").unwrap();
    let metadata = fs::metadata(&volume.path).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.gid()), (0o2777, group));
    assert_eq!(volume.access, VolumeAccess::ReadWrite);
    // What the containers did to it since is theirs.
    fs::write(volume.path.join("file"), "x").unwrap();
    fs::set_permissions(&volume.path, Permissions::from_mode(0o700)).unwrap();
    disk.set_up().unwrap();
    assert_eq!(fs::metadata(&volume.path).unwrap().mode() & 0o7777, 0o700);
    assert!(volume.path.join("file").exists());
    assert_eq!(disk.mounter.mounts.borrow().len(), 0);

    let memory = Fixture::volume_and(
        json!({"emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}),
        json!({"fsGroup": 5}),
    );
    // Whoever may not give files away is not what this is about.
    if group == 1234 {
        let volume = memory.set_up().unwrap().remove("v").unwrap();
        memory.set_up().unwrap();
        let options = TmpfsOptions {
            size: Some(64 << 20),
            group: Some(5),
        };
        assert_eq!(*memory.mounter.mounts.borrow(), [(volume.path, options)]);
    }
    Fixture::volume(json!({"emptyDir": {"medium": "HugePages"}}))
        .check_fails("an emptyDir of medium HugePages is not supported by this node agent");
    Fixture::volume(json!({"nfs": {"server": "s", "path": "/"}}))
        .check_fails("a volume of kind nfs is not supported by this node agent");
}

/// Upstream's `TestCalculateEmptyDirMemorySize`.
#[test]
fn calculate_empty_dir_memory_size() {
    let allocatable = Amounts::from([("memory".to_owned(), "4Gi".parse().unwrap())]);
    let of = |limits: &[Option<&str>], size: Option<&str>| {
        let containers = limits.iter().map(|limit| match limit {
            Some(limit) => json!({"name": "c", "resources": {"limits": {"memory": limit}}}),
            None => json!({"name": "c"}),
        });
        let pod = json!({"spec": {"containers": containers.collect::<Vec<_>>()}});
        let source = json!({"medium": "Memory", "sizeLimit": size});
        let size = tmpfs_size(
            &from_value(source).unwrap(),
            &from_value(pod).unwrap(),
            &allocatable,
        );
        size.unwrap() >> 20
    };
    assert_eq!(of(&[None], None), 4096);
    assert_eq!(of(&[Some("1Gi"), None], None), 4096);
    assert_eq!(of(&[Some("1Gi"), Some("1Gi")], None), 2048);
    assert_eq!(of(&[Some("1Gi")], Some("10Mi")), 10);
    assert_eq!(of(&[Some("1Gi")], Some("10Gi")), 1024);
    assert_eq!(of(&[None], Some("0")), 4096);
}

/// Upstream's `TestOSFileTypeChecker` and `TestHostPathTypeCheckerInternal`.
#[test]
fn host_path_types() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::create_dir(root.join("dir")).unwrap();
    fs::write(root.join("file"), "x").unwrap();
    symlink("file", root.join("link")).unwrap();
    let _socket = UnixListener::bind(root.join("socket")).unwrap();
    let check = |path: &Path, kind: &str| {
        let source = json!({"path": path, "type": kind});
        check_host_path(&from_value(source).unwrap()).map_err(|error| error.to_string())
    };
    let device = Path::new("/dev/null");
    let (dir, file, socket, none) = (
        &root.join("dir"),
        &root.join("file"),
        &root.join("socket"),
        &root.join("none"),
    );
    for (kind, wanted, fine, wrong) in [
        (
            "Directory",
            "directory",
            vec![&**dir],
            vec![&**file, none, socket],
        ),
        (
            "File",
            "file",
            vec![file, &root.join("link")],
            vec![&**dir, none, device],
        ),
        ("Socket", "socket file", vec![socket], vec![file, none]),
        (
            "CharDevice",
            "character device",
            vec![device],
            vec![file, none],
        ),
        (
            "BlockDevice",
            "block device",
            vec![],
            vec![file, none, device],
        ),
        (
            "DirectoryOrCreate",
            "directory",
            vec![dir, &root.join("new/dir")],
            vec![file],
        ),
        (
            "FileOrCreate",
            "file",
            vec![file, &root.join("new/file")],
            vec![dir],
        ),
        ("", "", vec![dir, file, none], vec![]),
    ] {
        for path in fine {
            assert_eq!(check(path, kind), Ok(path.to_owned()), "{kind}");
        }
        for path in wrong {
            let refused = format!(
                "hostPath type check failed: {} is not a {wanted}",
                path.display()
            );
            assert_eq!(check(path, kind), Err(refused), "{kind}");
        }
    }
    assert!(root.join("new/dir").is_dir() && root.join("new/file").is_file());
    assert!(check(&root.join("missing/file"), "FileOrCreate").is_err());
    assert!(
        check(&root.join("dir/../file"), "")
            .unwrap_err()
            .contains("must not contain '..'")
    );
    assert_eq!(
        check(dir, "Sock"),
        Err("invalid hostPath type \"Sock\"".into())
    );
}

/// Upstream's `TestSetVolumeOwnershipMode`.
#[test]
fn set_volume_ownership() {
    let group = group();
    for (access, modes) in [
        (VolumeAccess::ReadWrite, [0o2770, 0o660]),
        (VolumeAccess::ReadOnly, [0o2750, 0o640]),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (outside, volume) = (
            directory.path().join("outside"),
            directory.path().join("volume"),
        );
        fs::create_dir_all(volume.join("dir")).unwrap();
        for file in [&outside, &volume.join("dir/file")] {
            fs::write(file, "x").unwrap();
            fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
        }
        fs::set_permissions(volume.join("dir"), Permissions::from_mode(0o700)).unwrap();
        symlink("../outside", volume.join("link")).unwrap();
        set_ownership(&volume, group, access).unwrap();
        let of = |path: &Path| {
            fs::symlink_metadata(path)
                .map(|metadata| (metadata.mode() & 0o7777, metadata.gid()))
                .unwrap()
        };
        assert_eq!(of(&volume.join("dir")), (modes[0], group));
        assert_eq!(of(&volume.join("dir/file")), (modes[1], group));
        assert_eq!(of(&volume.join("link")).1, group);
        assert_eq!(of(&outside).0, 0o600);
    }
}

fn container(mounts: Value) -> Container {
    from_value(json!({"name": "c", "terminationMessagePath": "/dev/termination-log", "volumeMounts": mounts})).unwrap()
}

fn mounts(fixture: &Fixture, mounts: Value) -> Result<Vec<ContainerMount>, VolumeError> {
    let directories = fixture.directories();
    let volume = |access| {
        let path = fixture.root.path().join("volume");
        fs::create_dir_all(&path).unwrap();
        MountedVolume { path, access }
    };
    let volumes = MountedVolumes::from([
        ("rw".into(), volume(VolumeAccess::ReadWrite)),
        ("ro".into(), volume(VolumeAccess::ReadOnly)),
    ]);
    let maker = MountMaker {
        directories: &directories,
        volumes: &volumes,
        mounter: &fixture.mounter,
    };
    let environment = Environment::from([
        ("POD".into(), "web-0".into()),
        ("UP".into(), "..".into()),
        ("ROOT".into(), "/etc".into()),
    ]);
    maker.volume_mounts(&container(mounts), &environment)
}

/// Upstream's `TestMakeMounts`.
#[test]
fn make_mounts() {
    let fixture = Fixture::new(json!({"containers": []}));
    let made = mounts(&fixture, json!([
        {"name": "rw", "mountPath": "/a", "mountPropagation": "Bidirectional"},
        {"name": "rw", "mountPath": "b", "readOnly": true, "mountPropagation": "HostToContainer"},
        {"name": "ro", "mountPath": "/c"},
        {"name": "rw", "mountPath": "/d", "subPath": "x/y"},
        {"name": "rw", "mountPath": "/e", "subPathExpr": "logs/$(POD)"},
    ]))
    .unwrap();
    let volume = fixture.root.path().join("volume");
    let bound = |index| fixture.directories().sub_path("rw", "c", index);
    let shown: Vec<_> = made
        .iter()
        .map(|mount| {
            (
                &*mount.container_path,
                &mount.host_path,
                mount.access,
                mount.propagation,
            )
        })
        .collect();
    use VolumeAccess::{ReadOnly, ReadWrite};
    assert_eq!(
        shown,
        [
            ("/a", &volume, ReadWrite, Propagation::Bidirectional),
            ("/b", &volume, ReadOnly, Propagation::HostToContainer),
            ("/c", &volume, ReadOnly, Propagation::None),
            ("/d", &bound(3), ReadWrite, Propagation::None),
            ("/e", &bound(4), ReadWrite, Propagation::None),
        ]
    );
    assert!(volume.join("x/y").is_dir() && volume.join("logs/web-0").is_dir());
    for (mount, error) in [
        (
            json!({"name": "none"}),
            "cannot find volume \"none\" to mount into container \"c\"",
        ),
        (
            json!({"name": "rw", "subPath": "/etc"}),
            "error SubPath `/etc` must not be an absolute path",
        ),
        (
            json!({"name": "rw", "subPath": "a/../.."}),
            "path \"a/../..\" must not contain '..'",
        ),
        (
            json!({"name": "rw", "subPathExpr": "$(UP)/x"}),
            "path \"../x\" must not contain '..'",
        ),
        (
            json!({"name": "rw", "subPathExpr": "$(ROOT)"}),
            "error SubPath `/etc` must not be an absolute path",
        ),
        (
            json!({"name": "rw", "subPathExpr": "$(NONE)"}),
            "missing value for \"NONE\"",
        ),
        (
            json!({"name": "rw", "mountPropagation": "Both"}),
            "invalid mountPropagation \"Both\"",
        ),
        (
            json!({"name": "rw", "recursiveReadOnly": "Enabled"}),
            "recursiveReadOnly: Enabled is not supported by this node agent",
        ),
    ] {
        let mut mount = mount;
        mount["mountPath"] = "/x".into();
        assert_eq!(
            mounts(&fixture, json!([mount])).unwrap_err().to_string(),
            error
        );
    }
}

#[test]
fn hosts_and_termination_messages_are_files_of_the_pod() {
    let fixture = Fixture::new(json!({"containers": []}));
    let directories = fixture.directories();
    let maker = MountMaker {
        directories: &directories,
        volumes: &MountedVolumes::new(),
        mounter: &DirectMounter,
    };
    let hosts = maker.hosts_mount("127.0.0.1\tlocalhost\n").unwrap();
    assert_eq!(
        (&*hosts.container_path, hosts.access),
        ("/etc/hosts", VolumeAccess::ReadWrite)
    );
    assert_eq!(
        fs::read_to_string(&hosts.host_path).unwrap(),
        "127.0.0.1\tlocalhost\n"
    );
    let container = container(json!([]));
    let log = maker.termination_log_mount(&container, 2).unwrap().unwrap();
    assert_eq!(log.container_path, "/dev/termination-log");
    assert_eq!(fs::metadata(&log.host_path).unwrap().mode() & 0o777, 0o666);
    let other = maker.termination_log_mount(&container, 3).unwrap().unwrap();
    assert_ne!(log.host_path, other.host_path);
    let none = Container {
        termination_message_path: None,
        ..container
    };
    assert_eq!(maker.termination_log_mount(&none, 0).unwrap(), None);
}

/// Secrets, and tokens among what is projected, are not written to the disk.
#[test]
fn what_is_secret_is_kept_in_memory() {
    let field = json!([{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]);
    for (volume, is_in_memory) in [
        (json!({"secret": {"secretName": "s"}}), true),
        (
            json!({"projected": {"sources": [{"secret": {"name": "s"}}]}}),
            true,
        ),
        (json!({"downwardAPI": {"items": field}}), true),
        (json!({"configMap": {"name": "m"}}), false),
        (json!({"emptyDir": {}}), false),
    ] {
        let mut fixture = Fixture::volume_and(volume.clone(), json!({"fsGroup": group()}));
        let path = fixture.set_up().unwrap().remove("v").unwrap().path;
        // It is mounted once.
        fixture.set_up().unwrap();
        let mounts: Vec<_> = fixture.mounter.mounts.borrow().clone();
        let options = TmpfsOptions {
            size: Some(4 << 30),
            group: Some(group()),
        };
        let expected = is_in_memory.then_some((path.clone(), options));
        assert_eq!(mounts, Vec::from_iter(expected), "{volume}");

        // An agent that may not mount has them on the disk.
        tear_down(&fixture.directories(), &fixture.mounter).unwrap();
        fixture.mounter.refuses = true;
        fixture.set_up().unwrap();
        assert!(path.is_dir());
    }
}

/// Nothing is removed while anything is mounted, and all mounts go before.
#[test]
fn tearing_down_unmounts_and_removes() {
    let fixture = Fixture::volume(json!({"emptyDir": {"medium": "Memory"}}));
    let path = fixture.set_up().unwrap().remove("v").unwrap().path;
    fs::write(path.join("file"), "x").unwrap();
    tear_down(&fixture.directories(), &fixture.mounter).unwrap();
    assert!(fixture.mounter.mounts.borrow().is_empty());
    assert!(!fixture.directories().pod().exists());
    tear_down(&fixture.directories(), &fixture.mounter).unwrap();
}

#[test]
fn disk_usage_counts_each_file_once() {
    let directory = tempfile::tempdir().unwrap();
    let empty = disk_usage(directory.path()).unwrap();
    fs::write(directory.path().join("file"), vec![1; 100_000]).unwrap();
    let one = disk_usage(directory.path()).unwrap();
    assert!((100_000..150_000).contains(&(one - empty)), "{one} {empty}");
    fs::hard_link(
        directory.path().join("file"),
        directory.path().join("again"),
    )
    .unwrap();
    symlink("/", directory.path().join("root")).unwrap();
    let linked = disk_usage(directory.path()).unwrap();
    assert!(linked - one < 50_000, "{linked} {one}");
    assert!(disk_usage(&directory.path().join("none")).is_err());
}
