//! Under whose identity and with which rights containers run.

#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and calls read better with values"
)]

use std::path::PathBuf;

use k8s_openapi::api::core::v1::Pod;
use node_agent::security::{
    ContainerSecurity, ImageUser, NamespaceMode, Namespaces, SandboxSecurity, SeccompProfile,
    SeccompSettings, SecurityError, SupplementalGroupsPolicy, sysctls, verify_run_as_non_root,
};
use serde_json::{Value, from_value, json};

fn pod(pods: Value, own: Value) -> Pod {
    from_value(json!({
        "metadata": {"namespace": "new", "name": "foo", "uid": "12345678"},
        "spec": {
            "securityContext": pods,
            "containers": [{"name": "bar", "securityContext": own}],
        },
    }))
    .unwrap()
}

fn seccomp() -> SeccompSettings {
    SeccompSettings {
        profile_root: "/var/lib/kubelet/seccomp".into(),
        default: SeccompProfile::Unconfined,
    }
}

fn context(pods: Value, own: Value) -> Result<ContainerSecurity, SecurityError> {
    let pod = pod(pods, own);
    let container = &pod.spec.as_ref().unwrap().containers[0];
    ContainerSecurity::of(&pod, container, &ImageUser::Uid(65534), &seccomp())
}

/// Upstream's `TestVerifyRunAsNonRoot`.
#[test]
fn verify_run_as_non_root_() {
    let name = || ImageUser::Name("nobody".into());
    let root =
        "container's runAsUser breaks non-root policy (pod: \"foo_new(12345678)\", container: bar)";
    let image = "container has runAsNonRoot and image will run as root (pod: \"foo_new(12345678)\", container: bar)";
    let unknown = "container has runAsNonRoot and image has non-numeric user (nobody), cannot verify user is non-root (pod: \"foo_new(12345678)\", container: bar)";
    for (pods, own, user, refused) in [
        (json!({}), json!({}), ImageUser::Uid(0), None),
        (
            json!({}),
            json!({"runAsNonRoot": false, "runAsUser": 0}),
            ImageUser::Uid(0),
            None,
        ),
        (
            json!({}),
            json!({"runAsNonRoot": true, "runAsUser": 1}),
            ImageUser::Uid(0),
            None,
        ),
        (
            json!({}),
            json!({"runAsNonRoot": true, "runAsUser": 0}),
            ImageUser::Uid(1),
            Some(root),
        ),
        (
            json!({"runAsUser": 0}),
            json!({"runAsNonRoot": true}),
            ImageUser::Uid(1),
            Some(root),
        ),
        (
            json!({"runAsUser": 0}),
            json!({"runAsNonRoot": true, "runAsUser": 1}),
            ImageUser::Uid(0),
            None,
        ),
        (
            json!({"runAsNonRoot": true}),
            json!({"runAsNonRoot": false}),
            ImageUser::Uid(0),
            None,
        ),
        (
            json!({"runAsNonRoot": true}),
            json!({}),
            ImageUser::Uid(0),
            Some(image),
        ),
        (
            json!({"runAsNonRoot": true}),
            json!({}),
            ImageUser::Unset,
            Some(image),
        ),
        (
            json!({"runAsNonRoot": true}),
            json!({}),
            ImageUser::Uid(123),
            None,
        ),
        (
            json!({"runAsNonRoot": true}),
            json!({}),
            name(),
            Some(unknown),
        ),
        (
            json!({"runAsNonRoot": true, "runAsUser": 5}),
            json!({}),
            name(),
            None,
        ),
    ] {
        let pod = pod(pods, own);
        let container = &pod.spec.as_ref().unwrap().containers[0];
        let verified = verify_run_as_non_root(&pod, container, &user);
        let error = verified.err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), refused, "{pod:?} {user:?}");
    }
}

/// Upstream's `TestDetermineEffectiveSecurityContext` and `TestConvertToRuntimeSecurityContext`.
#[test]
fn the_containers_context_is_completed_from_the_pods() {
    let plain = context(json!({}), json!({})).unwrap();
    assert_eq!(plain.user, ImageUser::Uid(65534));
    assert_eq!((plain.run_as_group, plain.no_new_privs), (None, false));
    assert!(!plain.privileged && !plain.readonly_rootfs);
    assert!(plain.masked_paths.contains(&"/proc/kcore".to_owned()));
    assert!(plain.readonly_paths.contains(&"/proc/sys".to_owned()));

    let pods = json!({
        "runAsUser": 1, "runAsGroup": 2, "fsGroup": 3, "supplementalGroups": [4, 5],
        "supplementalGroupsPolicy": "Strict", "seccompProfile": {"type": "RuntimeDefault"},
    });
    let from_pod = context(pods.clone(), json!({})).unwrap();
    assert_eq!(
        (from_pod.user, from_pod.run_as_group),
        (ImageUser::Uid(1), Some(2))
    );
    assert_eq!(from_pod.supplemental_groups.groups, [3, 4, 5]);
    assert_eq!(
        from_pod.supplemental_groups.policy,
        SupplementalGroupsPolicy::Strict
    );
    assert_eq!(from_pod.seccomp, SeccompProfile::RuntimeDefault);

    let own = context(
        pods,
        json!({
            "runAsUser": 7, "runAsGroup": 8, "privileged": true, "readOnlyRootFilesystem": true,
            "allowPrivilegeEscalation": false, "procMount": "Unmasked",
            "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
            "seccompProfile": {"type": "Localhost", "localhostProfile": "a/b.json"},
        }),
    )
    .unwrap();
    assert_eq!((own.user, own.run_as_group), (ImageUser::Uid(7), Some(8)));
    assert!(own.privileged && own.readonly_rootfs && own.no_new_privs);
    assert_eq!(
        (own.add_capabilities, own.drop_capabilities),
        (vec!["NET_ADMIN".to_owned()], vec!["ALL".to_owned()])
    );
    assert!(own.masked_paths.is_empty() && own.readonly_paths.is_empty());
    assert_eq!(
        own.seccomp,
        SeccompProfile::Localhost(PathBuf::from("/var/lib/kubelet/seccomp/a/b.json"))
    );
}

/// Upstream's `TestFieldProfile` and `TestGetSeccompProfile`.
#[test]
fn get_seccomp_profile() {
    let of = |profile: Value| {
        context(json!({}), json!({"seccompProfile": profile})).map(|context| context.seccomp)
    };
    assert_eq!(
        of(json!({"type": "Unconfined"})),
        Ok(SeccompProfile::Unconfined)
    );
    for path in [
        json!(null),
        json!(""),
        json!("/etc/x"),
        json!("../x"),
        json!("a/../../x"),
    ] {
        let profile = json!({"type": "Localhost", "localhostProfile": path});
        assert_eq!(of(profile), Err(SecurityError::LocalhostProfile));
    }
    assert!(matches!(
        of(json!({"type": "Mine"})),
        Err(SecurityError::Invalid { .. })
    ));
    let settings = SeccompSettings {
        default: SeccompProfile::RuntimeDefault,
        ..seccomp()
    };
    assert_eq!(
        settings.profile(None, None),
        Ok(SeccompProfile::RuntimeDefault)
    );
}

/// Upstream's `TestNamespacesForPod` and `TestPidNamespaceForPod`.
#[test]
fn namespaces_for_pod() {
    use NamespaceMode::{Container, Node, Pod, Target};
    let of = |mut spec: Value| {
        spec["containers"] = json!([]);
        Namespaces::of(&from_value(spec).unwrap())
    };
    for (spec, network, pid, ipc) in [
        (json!({}), Pod, Container, Pod),
        (json!({"hostNetwork": true}), Node, Container, Pod),
        (json!({"hostIPC": true, "hostPID": true}), Pod, Node, Node),
        (json!({"shareProcessNamespace": true}), Pod, Pod, Pod),
        (json!({"shareProcessNamespace": false}), Pod, Container, Pod),
    ] {
        assert_eq!(of(spec), Ok(Namespaces { network, pid, ipc }));
    }
    let target = of(json!({})).unwrap().with_target("abc");
    assert_eq!(target.pid, Target("abc".into()));
    assert_eq!(
        of(json!({"hostUsers": false})),
        Err(SecurityError::Unsupported("hostUsers: false"))
    );
}

/// Upstream's `TestGeneratePodSandboxLinuxConfigSeccomp`.
#[test]
fn the_sandbox_runs_as_the_pod_does() {
    let pods = json!({"runAsUser": 1, "runAsGroup": 2, "fsGroup": 3, "supplementalGroups": [4]});
    let sandbox = SandboxSecurity::of(&pod(pods, json!({"privileged": true}))).unwrap();
    assert_eq!(
        (sandbox.run_as_user, sandbox.run_as_group),
        (Some(1), Some(2))
    );
    assert_eq!(sandbox.supplemental_groups.groups, [3, 4]);
    assert_eq!(sandbox.seccomp, SeccompProfile::RuntimeDefault);
    assert!(sandbox.privileged);
    assert!(
        !SandboxSecurity::of(&pod(json!({}), json!({})))
            .unwrap()
            .privileged
    );
}

#[test]
fn what_is_not_done_is_refused_by_name() {
    let app_armor = json!({"appArmorProfile": {"type": "RuntimeDefault"}});
    let refused = context(json!({}), app_armor.clone()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "appArmorProfile is not supported by this node agent"
    );
    assert!(context(app_armor.clone(), json!({})).is_err());
    assert!(SandboxSecurity::of(&pod(app_armor, json!({}))).is_err());
    assert!(
        context(
            json!({}),
            json!({"appArmorProfile": {"type": "Unconfined"}})
        )
        .is_ok()
    );
    assert!(context(json!({}), json!({"procMount": "Some"})).is_err());
}

/// Upstream's `TestIsAllowed` of the package `sysctl`.
#[test]
fn is_allowed() {
    let of = |name: &str, spec: Value| {
        let mut spec = spec;
        spec["containers"] = json!([]);
        spec["securityContext"] = json!({"sysctls": [{"name": name, "value": "1"}]});
        sysctls(&from_value(spec).unwrap())
    };
    for (name, shown) in [
        ("kernel.shm_rmid_forced", "kernel.shm_rmid_forced"),
        ("net/ipv4/tcp_syncookies", "net.ipv4.tcp_syncookies"),
    ] {
        let allowed = of(name, json!({})).unwrap();
        assert_eq!(
            allowed.into_iter().collect::<Vec<_>>(),
            [(shown.to_owned(), "1".to_owned())]
        );
    }
    for (name, spec) in [
        ("kernel.panic", json!({})),
        ("net.ipv4.ip_forward", json!({})),
        ("net.ipv4.tcp_syncookies", json!({"hostNetwork": true})),
        ("kernel.shm_rmid_forced", json!({"hostIPC": true})),
    ] {
        assert_eq!(of(name, spec), Err(SecurityError::Sysctl(name.into())));
    }
}
