//! What containers find: addresses, images, mounts, environment, and what they are refused.

use std::collections::BTreeMap;
use std::net::{IpAddr, TcpListener};

use kubewright_cri::{Code, Error, v1};
use kubewright_process_runtime::ImageRecord;
use tempfile::TempDir;

use crate::support::{Host, container, image};

async fn address(host: &Host, sandbox: &str) -> String {
    let status = host.runtime.pod_sandbox_status(sandbox).await.unwrap();
    status.status.unwrap().network.unwrap().ip
}

fn mount(container_path: &str, host_path: &str) -> v1::Mount {
    v1::Mount {
        container_path: container_path.to_owned(),
        host_path: host_path.to_owned(),
        ..v1::Mount::default()
    }
}

/// What a container that runs `env` says.
async fn environment(host: &Host, config: v1::ContainerConfig) -> BTreeMap<String, String> {
    let sandbox = host
        .runtime
        .list_pod_sandbox(None)
        .await
        .unwrap()
        .remove(0)
        .id;
    let name = config.metadata.as_ref().unwrap().name.clone();
    let id = host.run_config(&sandbox, config).await;
    host.exited(&id).await;
    let log = host.log("web", &name);
    let lines = log
        .lines()
        .filter_map(|line| line.split_once(" F ")?.1.split_once('='));
    lines
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[tokio::test]
async fn each_sandbox_has_an_address_of_its_own() {
    let host =
        Host::start_with(|options| options.addresses = Some("127.77.0.0/30".parse().unwrap()))
            .await;
    let one = host.sandbox("one").await;
    let two = host.sandbox("two").await;
    assert_eq!(address(&host, &one).await, "127.77.0.1");
    assert_eq!(address(&host, &two).await, "127.77.0.2");
    let error = host
        .runtime
        .run_pod_sandbox(host.pod("three"), "")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::ResourceExhausted(_)), "{error}");
    host.runtime.remove_pod_sandbox(&one).await.unwrap();
    let three = host.sandbox("three").await;
    assert_eq!(address(&host, &three).await, "127.77.0.1");

    let mut pod = host.pod("host");
    pod.hostname.clear();
    pod.linux = Some(v1::LinuxPodSandboxConfig {
        security_context: Some(v1::LinuxSandboxSecurityContext {
            namespace_options: Some(v1::NamespaceOption {
                network: v1::NamespaceMode::Node.into(),
                ..v1::NamespaceOption::default()
            }),
            ..v1::LinuxSandboxSecurityContext::default()
        }),
        ..v1::LinuxPodSandboxConfig::default()
    });
    let in_host = host.runtime.run_pod_sandbox(pod, "").await.unwrap();
    assert_eq!(address(&host, &in_host).await, "");
    let id = host.run(&in_host, "app", "sleep 1000").await;
    let answer = host.exec(&id, "echo ${KUBEWRIGHT_POD_IP-none}").await;
    assert_eq!(answer.stdout, b"none\n");
    host.end().await;
}

#[tokio::test]
async fn two_pods_listen_on_one_port() {
    let host = Host::start().await;
    let mut addresses = Vec::new();
    for pod in ["one", "two"] {
        let sandbox = host.sandbox(pod).await;
        addresses.push(address(&host, &sandbox).await.parse::<IpAddr>().unwrap());
    }
    assert!(addresses.iter().all(IpAddr::is_loopback));
    let one = TcpListener::bind((addresses[0], 0)).unwrap();
    let port = one.local_addr().unwrap().port();
    let _two = TcpListener::bind((addresses[1], port)).unwrap();
    host.end().await;
}

#[tokio::test]
async fn a_container_has_the_environment_of_image_pod_and_its_own() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let mut config = container("app", "env");
    let value = |key: &str, value: &str| v1::KeyValue {
        key: key.to_owned(),
        value: value.as_bytes().to_vec(),
    };
    config.envs = vec![
        value("GREETING", "good = day"),
        value("HOME", "/nowhere"),
        value("KUBEWRIGHT_ROOT", "/"),
    ];
    let env = environment(&host, config).await;
    assert_eq!(env["GREETING"], "good = day");
    assert_eq!(env["HOME"], "/nowhere");
    assert_eq!(env["HOSTNAME"], "web");
    assert_eq!(env["KUBEWRIGHT_POD_IP"], address(&host, &sandbox).await);
    assert_eq!(env["KUBEWRIGHT_SANDBOX_ID"], sandbox);
    assert!(env["KUBEWRIGHT_ROOT"].ends_with("/root"), "{env:?}");
    assert_eq!(env["TMPDIR"], format!("{}/tmp", env["KUBEWRIGHT_ROOT"]));
    assert!(env["PATH"].contains("/usr/bin"));
    assert!(
        !env.contains_key("CARGO"),
        "nothing of the runtime's own environment"
    );
    let mut config = container("bad", "env");
    config.envs = vec![v1::KeyValue {
        key: "BAD".to_owned(),
        value: vec![0xff],
    }];
    let error = host.create(&sandbox, config).await.unwrap_err();
    assert!(error.message().contains("BAD"), "{error}");
    host.end().await;
}

#[tokio::test]
async fn mounts_appear_below_the_containers_own_directory() {
    let host = Host::start().await;
    let volume = TempDir::new().unwrap();
    let hosts = volume.path().join("hosts");
    let message = volume.path().join("message");
    std::fs::write(&hosts, "127.0.0.1 web\n").unwrap();
    std::fs::write(&message, "").unwrap();
    let mut pod = host.pod("web");
    pod.dns_config = Some(v1::DnsConfig {
        servers: vec!["10.0.0.10".to_owned()],
        searches: vec!["default.svc".to_owned(), "svc".to_owned()],
        options: vec!["ndots:5".to_owned()],
    });
    let sandbox = host.runtime.run_pod_sandbox(pod, "").await.unwrap();
    let script = "cat $KUBEWRIGHT_ROOT/etc/hosts etc/resolv.conf etc/hostname; echo bye > dev/termination-log; echo more > data/file";
    let mut config = container("app", script);
    config.mounts = vec![
        mount("/etc/hosts", &hosts.display().to_string()),
        mount("/dev/termination-log", &message.display().to_string()),
        mount("/data", &volume.path().display().to_string()),
    ];
    let id = host.run_config(&sandbox, config).await;
    let status = host.exited(&id).await;
    assert_eq!(status.exit_code, 0, "{}", host.log("web", "app"));
    assert_eq!(status.mounts.len(), 3);
    let log = host.log("web", "app");
    let lines: Vec<_> = log
        .lines()
        .map(|line| line.split_once(" F ").unwrap().1)
        .collect();
    assert_eq!(
        lines,
        [
            "127.0.0.1 web",
            "search default.svc svc",
            "nameserver 10.0.0.10",
            "options ndots:5",
            "web"
        ]
    );
    assert_eq!(std::fs::read_to_string(&message).unwrap(), "bye\n");
    host.runtime.remove_container(&id).await.unwrap();
    assert_eq!(
        std::fs::read_to_string(volume.path().join("file")).unwrap(),
        "more\n",
        "volumes stay"
    );

    for (name, mounts, text) in [
        ("missing", vec![mount("/a", "/no/such")], "no such file"),
        (
            "nested",
            vec![mount("/a", "/tmp"), mount("/a/b", "/tmp")],
            "lies in mount",
        ),
        ("escape", vec![mount("/../a", "/tmp")], "absolute"),
    ] {
        let mut config = container(name, "exit 0");
        config.mounts = mounts;
        let error = host.create(&sandbox, config).await.unwrap_err();
        assert!(error.message().contains(text), "{error}");
    }
    host.end().await;
}

#[tokio::test]
async fn images_are_records_with_commands_and_directories() {
    let dir = TempDir::new().unwrap();
    std::fs::create_dir_all(dir.path().join("bin")).unwrap();
    let program = dir.path().join("bin/greet");
    std::fs::write(&program, "#!/bin/sh\necho \"$GREETING, $*\"; pwd\n").unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = r#"{"Entrypoint": ["/bin/greet"], "Cmd": ["world"], "Env": ["GREETING=hello"], "WorkingDir": "/srv/app"}"#;
    std::fs::write(dir.path().join("image.json"), file).unwrap();
    let host = Host::start_with(|options| {
        options
            .images
            .push(ImageRecord::from_directory("greeter:v1", dir.path()).unwrap());
    })
    .await;
    let sandbox = host.sandbox("web").await;
    let ids = host.runtime.list_images(None).await.unwrap();
    assert_eq!(ids.len(), 2);
    assert!(
        ids.iter().all(|image| image.pinned),
        "no room is won by removing them"
    );
    for (name, command, args, said) in [
        ("default", vec![], vec![], "hello, world"),
        ("args", vec![], vec!["there", "you"], "hello, there you"),
        ("command", vec!["greet", "me"], vec!["too"], "hello, me too"),
    ] {
        let owned = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect();
        let mut config = container(name, "");
        config.image = Some(image("greeter:v1"));
        (config.command, config.args) = (owned(command), owned(args));
        let id = host.run_config(&sandbox, config).await;
        host.exited(&id).await;
        let log = host.log("web", name);
        let lines: Vec<_> = log
            .lines()
            .map(|line| line.split_once(" F ").unwrap().1)
            .collect();
        assert_eq!(lines[0], said);
        assert!(lines[1].ends_with("/root/srv/app"), "{log}");
    }
    host.end().await;
}

#[tokio::test]
async fn images_are_pulled_looked_up_and_removed() {
    let host = Host::start().await;
    let id = host
        .runtime
        .pull_image(image("host"), None, None)
        .await
        .unwrap();
    let status = host
        .runtime
        .image_status(image("docker.io/library/host:latest"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(status.id, id);
    assert!(status.pinned);
    assert_eq!(status.repo_tags, ["docker.io/library/host:latest"]);
    let error = host
        .runtime
        .pull_image(image("busybox:1.36"), None, None)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    assert!(
        error.message().contains("docker.io/library/busybox:1.36"),
        "{error}"
    );
    host.runtime.remove_image(image(&id)).await.unwrap();
    host.runtime.remove_image(image(&id)).await.unwrap();
    assert!(
        host.runtime
            .image_status(image("host"))
            .await
            .unwrap()
            .is_none()
    );
    let sandbox = host.sandbox("web").await;
    let error = host
        .create(&sandbox, container("app", "exit 0"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    host.runtime
        .pull_image(image("host"), None, None)
        .await
        .unwrap();
    host.run(&sandbox, "app", "exit 0").await;
    let info = host.runtime.image_fs_info().await.unwrap();
    let usage = &info.image_filesystems[0];
    assert!(usage.used_bytes.as_ref().unwrap().value > 0);
    assert!(
        host.root()
            .starts_with(&usage.fs_id.as_ref().unwrap().mountpoint)
            || usage.fs_id.as_ref().unwrap().mountpoint.ends_with("/root")
    );
    host.end().await;
}

#[tokio::test]
async fn the_runtime_says_that_it_does_not_isolate() {
    let host = Host::start().await;
    let version = host.runtime.version().await.unwrap();
    assert_eq!(version.runtime_name, "process-without-isolation");
    assert_eq!(version.runtime_api_version, "v1");
    let status = host.runtime.status().await.unwrap();
    assert_eq!(status.info["isolation"], "none");
    let conditions = status.status.unwrap().conditions;
    let is = |kind: &str| {
        conditions
            .iter()
            .find(|it| it.r#type == kind)
            .unwrap()
            .status
    };
    assert!(is("RuntimeReady") && is("NetworkReady") && !is("Isolated"));
    host.end().await;
}

#[tokio::test]
async fn what_cannot_be_given_is_refused_by_name() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let other = i64::from(rustix::process::getuid().as_raw()) + 1;
    let mut config = container("app", "exit 0");
    config.linux = Some(v1::LinuxContainerConfig {
        security_context: Some(v1::LinuxContainerSecurityContext {
            run_as_user: Some(v1::Int64Value { value: other }),
            ..v1::LinuxContainerSecurityContext::default()
        }),
        ..v1::LinuxContainerConfig::default()
    });
    let error = host.create(&sandbox, config).await.unwrap_err();
    assert!(
        error.message().contains(&format!("runAsUser {other}")),
        "{error}"
    );
    let error = host
        .runtime
        .run_pod_sandbox(host.pod("other"), "kata")
        .await
        .unwrap_err();
    assert!(error.message().contains("kata"), "{error}");
    host.end().await;
}

#[tokio::test]
async fn stats_are_those_of_all_processes_of_a_container() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let script =
        "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; touch ready; sleep 1000 & wait";
    let id = host.run_until_ready(&sandbox, "app", script).await;
    let stats = host.runtime.container_stats(&id).await.unwrap();
    assert_eq!(stats.attributes.unwrap().id, id);
    assert!(stats.cpu.unwrap().usage_core_nano_seconds.unwrap().value > 0);
    assert!(stats.memory.unwrap().working_set_bytes.unwrap().value > 0);
    let all = host.runtime.list_container_stats(None).await.unwrap();
    assert_eq!(all.len(), 1);
    let pods = host.runtime.list_pod_sandbox_stats(None).await.unwrap();
    let linux = pods[0].linux.clone().unwrap();
    assert!(linux.process.unwrap().process_count.unwrap().value >= 1);
    assert_eq!(linux.containers.len(), 1);
    host.end().await;
}
