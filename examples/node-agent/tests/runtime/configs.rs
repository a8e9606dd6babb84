//! How containers are made.

use std::fs;
use std::sync::Arc;

use kubewright_cri::v1::{self, ContainerState};
use node_agent::objects::LookupError;
use node_agent::volume::{MountedVolume, VolumeAccess};
use serde_json::json;

use crate::fixtures::{Harness, app, pod};

#[tokio::test(start_paused = true)]
async fn generate_container_config() {
    let mut harness = Harness::new();
    let data = harness.root.path().join("data");
    fs::create_dir_all(data.join("part")).unwrap();
    let volume = MountedVolume {
        path: data.clone(),
        access: VolumeAccess::ReadWrite,
    };
    harness.volumes.insert("data".to_owned(), volume);
    let pod = app(json!({
        "command": ["sh", "-c", "echo $(WHO)"],
        "args": ["$(WHO)", "$$(WHO)", "$(NOBODY)"],
        "workingDir": "/work",
        "env": [
            {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
            {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        ],
        "stdin": true,
        "tty": true,
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"name": "data", "mountPath": "/data", "readOnly": true},
            {"name": "data", "mountPath": "/part", "subPathExpr": "part", "mountPropagation": "HostToContainer"},
        ],
        "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        "securityContext": {
            "runAsUser": 0,
            "readOnlyRootFilesystem": true,
            "allowPrivilegeEscalation": false,
            "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
        },
    }));
    harness.sync_well(&pod).await;
    let config = harness.config("web", "app");
    let metadata = config.metadata.unwrap();
    assert_eq!((&*metadata.name, metadata.attempt), ("app", 0));
    let image = config.image.unwrap();
    assert!(image.image.starts_with("sha256:"));
    assert_eq!(image.user_specified_image, "busybox:1");
    let ip = harness.ready_sandboxes()[0].network.clone().unwrap().ip;
    assert_eq!(config.command, ["sh", "-c", &*format!("echo {ip}")]);
    assert_eq!(config.args, [&*ip, "$(WHO)", "$(NOBODY)"]);
    assert_eq!(config.working_dir, "/work");
    let env = |name: &str| {
        let found = config.envs.iter().find(|pair| pair.key == name).unwrap();
        String::from_utf8(found.value.clone()).unwrap()
    };
    assert_eq!(
        (env("WHO"), env("HOST"), env("CPUS")),
        (ip.clone(), "192.0.2.1".into(), "4".into())
    );
    assert_eq!(
        (config.stdin, config.stdin_once, config.tty),
        (true, false, true)
    );
    assert_eq!(config.log_path, "app/0.log");
    assert!(
        harness
            .root
            .path()
            .join("pods/new_web_12345678/app")
            .is_dir()
    );
    assert_eq!(config.labels["io.kubernetes.container.name"], "app");
    assert_eq!(
        config.annotations["io.kubernetes.container.restartCount"],
        "0"
    );
    assert_eq!(
        config.annotations["io.kubernetes.pod.terminationGracePeriod"],
        "30"
    );

    let kubelet = harness.root.path().join("kubelet/pods/12345678");
    let mounts: Vec<_> = config
        .mounts
        .iter()
        .map(|it| {
            (
                &*it.container_path,
                it.host_path.clone(),
                it.readonly,
                it.propagation(),
            )
        })
        .collect();
    let path = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    let private = v1::MountPropagation::PropagationPrivate;
    let slave = v1::MountPropagation::PropagationHostToContainer;
    let part = fs::canonicalize(data.join("part")).unwrap();
    let expected = [
        ("/data", path(data), true, private),
        ("/part", path(part), false, slave),
        (
            "/etc/hosts",
            path(kubelet.join("etc-hosts")),
            false,
            private,
        ),
        (
            "/dev/termination-log",
            path(kubelet.join("containers/app/0")),
            false,
            private,
        ),
    ];
    assert_eq!(mounts, expected);
    let hosts = fs::read_to_string(kubelet.join("etc-hosts")).unwrap();
    assert!(hosts.ends_with(&format!("{ip}\tweb\n")), "{hosts}");

    let linux = config.linux.unwrap();
    let resources = linux.resources.unwrap();
    assert_eq!(
        (
            resources.cpu_shares,
            resources.cpu_quota,
            resources.cpu_period
        ),
        (102, 0, 100_000)
    );
    assert_eq!(resources.memory_limit_in_bytes, 2 << 30);
    assert_eq!(resources.oom_score_adj, 875);
    let security = linux.security_context.unwrap();
    assert_eq!(security.run_as_user.unwrap().value, 0);
    assert!(security.readonly_rootfs && security.no_new_privs && !security.privileged);
    let capabilities = security.capabilities.unwrap();
    assert_eq!(capabilities.add_capabilities, ["NET_ADMIN"]);
    assert_eq!(capabilities.drop_capabilities, ["ALL"]);
    assert!(security.masked_paths.contains(&"/proc/kcore".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn the_user_of_an_image_counts_where_the_spec_has_none() {
    // What the image says, whether it must not be root; the number and name told, or why not.
    let cases = [
        (Some(7), "", false, Ok((Some(7), ""))),
        (Some(7), "", true, Ok((Some(7), ""))),
        (None, "www", false, Ok((None, "www"))),
        (None, "", false, Ok((None, ""))),
        (Some(0), "", true, Err("image will run as root")),
        (None, "", true, Err("image will run as root")),
        (None, "www", true, Err("image has non-numeric user (www)")),
    ];
    for (uid, username, non_root, expected) in cases {
        let mut harness = Harness::new();
        harness.fake.add_image(v1::Image {
            id: "sha256:1".to_owned(),
            repo_tags: vec!["busybox:1".to_owned()],
            uid: uid.map(|value| v1::Int64Value { value }),
            username: username.to_owned(),
            ..v1::Image::default()
        });
        let pod = app(json!({"securityContext": {"runAsNonRoot": non_root}}));
        let result = harness.sync(&pod).await;
        match expected {
            Ok((uid, name)) => {
                let linux = harness.config("web", "app").linux.unwrap();
                let security = linux.security_context.unwrap();
                assert_eq!(security.run_as_user.map(|uid| uid.value), uid);
                assert_eq!(security.run_as_username, name);
            }
            Err(why) => {
                let error = result.starts[0].result.clone().unwrap_err();
                assert_eq!(error.reason, "CreateContainerConfigError");
                assert!(error.message.contains(why), "{error}");
                let failed = format!("Warning Failed{{app}}: Error: {}", error.message);
                assert!(harness.events().contains(&failed));
                assert!(harness.fake.containers().is_empty());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_container_refers_to_and_is_not_there_keeps_it_waiting() {
    let mut harness = Harness::new();
    let pod = app(json!({"envFrom": [{"configMapRef": {"name": "settings"}}]}));
    let result = harness.sync(&pod).await;
    let error = result.starts[0].result.clone().unwrap_err();
    assert_eq!(
        error.to_string(),
        "CreateContainerConfigError: configmap \"settings\" not found"
    );
    let failed = "Warning Failed{app}: Error: configmap \"settings\" not found".to_owned();
    assert!(harness.events().contains(&failed));

    let map = json!({"data": {"A": "1", "=": "2"}});
    let map: Result<_, LookupError> = Ok(Arc::new(serde_json::from_value(map).unwrap()));
    harness.objects.insert_config_map("new", "settings", map);
    harness.sync_well(&pod).await;
    let config = harness.config("web", "app");
    assert_eq!(
        config
            .envs
            .iter()
            .find(|pair| pair.key == "A")
            .unwrap()
            .value,
        b"1"
    );
    assert!(
        harness
            .reasons()
            .contains(&"InvalidEnvironmentVariableNames".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_pod_in_the_network_of_the_host_has_its_addresses_and_hosts() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("hosts");
    fs::write(&file, "127.0.0.1 me\n").unwrap();
    let harness = Harness::with(|settings| settings.hosts_file = file);
    let env = json!([{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]);
    let pod = pod(json!({
        "hostNetwork": true,
        "hostAliases": [{"ip": "192.0.2.9", "hostnames": ["other"]}],
        "containers": [{"name": "app", "image": "i", "env": env}],
    }));
    harness.sync_well(&pod).await;
    let config = harness.config("web", "app");
    assert_eq!(
        config.envs.iter().find(|it| it.key == "IP").unwrap().value,
        b"192.0.2.1"
    );
    let hosts = harness.root.path().join("kubelet/pods/12345678/etc-hosts");
    let hosts = fs::read_to_string(hosts).unwrap();
    assert!(
        hosts.contains("127.0.0.1 me\n") && hosts.contains("192.0.2.9\tother"),
        "{hosts}"
    );
}

#[tokio::test(start_paused = true)]
async fn restart_count_by_log_dir() {
    let harness = Harness::new();
    let logs = harness.root.path().join("pods/new_web_12345678/app");
    fs::create_dir_all(&logs).unwrap();
    for log in ["0.log", "4.log", "4.log.20260102-030405.gz", "other"] {
        fs::write(logs.join(log), "").unwrap();
    }
    harness.sync_well(&app(json!({}))).await;
    assert_eq!(
        harness.containers(),
        [("app".to_owned(), ContainerState::ContainerRunning, 5)]
    );
    assert_eq!(harness.config("web", "app").log_path, "app/5.log");
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_is_not_there_and_a_part_outside_of_it_are_refused() {
    let mut harness = Harness::new();
    let mount = |more: serde_json::Value| {
        let mut mount = json!({"name": "data", "mountPath": "/data"});
        mount
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        app(json!({"volumeMounts": [mount]}))
    };
    let missing = harness.sync(&mount(json!({}))).await;
    let error = missing.starts[0].result.clone().unwrap_err();
    assert!(
        error.message.starts_with("cannot find volume \"data\""),
        "{error}"
    );
    let volume = MountedVolume {
        path: harness.root.path().to_owned(),
        access: VolumeAccess::ReadWrite,
    };
    harness.volumes.insert("data".to_owned(), volume);
    let outside = harness.sync(&mount(json!({"subPath": "../x"}))).await;
    let error = outside.starts[0].result.clone().unwrap_err();
    assert_eq!(error.reason, "CreateContainerConfigError");
}
