//! What a machine tells of itself.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use node_agent::node::{
    FileSystem, Loopback, MachineError, MachineInfo, NodeIpError, detect_node_ip, node_addresses,
    validate_node_ip,
};

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn machine() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(root, "sys/devices/system/cpu/online", "0-2,4,6-7\n");
    write(
        root,
        "proc/meminfo",
        "MemTotal:       24684096 kB\nMemFree: 198876 kB\n",
    );
    write(root, "proc/sys/kernel/random/boot_id", "boot-1\n");
    write(root, "proc/sys/kernel/osrelease", "6.1.0\n");
    write(
        root,
        "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
        "10\n",
    );
    write(
        root,
        "sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages",
        "0\n",
    );
    dir
}

#[test]
fn a_machine_is_read_from_its_files() {
    let dir = machine();
    let root = dir.path();
    let info = MachineInfo::read(root).unwrap();
    assert_eq!((info.cpus, info.memory), (6, 24_684_096 * 1024));
    assert_eq!(info.huge_pages, [(2 << 20, 20 << 20), (1 << 30, 0)].into());
    assert_eq!(
        (info.boot_id.as_str(), info.kernel_version.as_str()),
        ("boot-1", "6.1.0")
    );
    // What it need not have.
    assert_eq!(
        (info.machine_id.as_str(), info.system_uuid.as_str()),
        ("", "")
    );
    assert_eq!((info.os_image.as_str(), info.max_pids), ("Unknown", None));

    write(root, "proc/sys/kernel/pid_max", "4194304\n");
    write(root, "proc/sys/kernel/threads-max", "30000\n");
    assert_eq!(MachineInfo::read(root).unwrap().max_pids, Some(30_000));
    write(root, "var/lib/dbus/machine-id", "m1\n");
    write(
        root,
        "etc/os-release",
        "NAME=\"D\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
    );
    let info = MachineInfo::read(root).unwrap();
    assert_eq!(
        (info.machine_id.as_str(), info.system_uuid.as_str()),
        ("m1", "m1")
    );
    assert_eq!(info.os_image, "Debian GNU/Linux 12 (bookworm)");
    write(root, "etc/machine-id", "m2\n");
    write(root, "proc/device-tree/vm,uuid", "u1\0");
    let info = MachineInfo::read(root).unwrap();
    assert_eq!(
        (info.machine_id.as_str(), info.system_uuid.as_str()),
        ("m2", "u1")
    );
    write(root, "sys/class/dmi/id/product_uuid", "u2\n");
    assert_eq!(MachineInfo::read(root).unwrap().system_uuid, "u2");
}

#[test]
fn what_has_to_be_known_and_is_not_is_named() {
    let dir = machine();
    let root = dir.path();
    write(root, "proc/meminfo", "MemFree: 1 kB\n");
    let error = MachineInfo::read(root).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("proc/meminfo does not tell how much memory there is")
    );
    write(root, "sys/devices/system/cpu/online", "2-0\n");
    assert!(matches!(
        MachineInfo::read(root),
        Err(MachineError::Malformed { .. })
    ));
    // Some machines have no such file.
    fs::remove_file(root.join("sys/devices/system/cpu/online")).unwrap();
    write(
        root,
        "proc/cpuinfo",
        "processor\t: 0\nmodel name\t: x\n\nprocessor\t: 1\n",
    );
    write(root, "proc/meminfo", "MemTotal: 1024 kB\n");
    assert_eq!(MachineInfo::read(root).unwrap().cpus, 2);
    fs::remove_file(root.join("proc/sys/kernel/random/boot_id")).unwrap();
    assert!(matches!(
        MachineInfo::read(root),
        Err(MachineError::Unreadable { .. })
    ));
}

#[test]
fn this_machine_can_be_read() {
    let info = MachineInfo::read(Path::new("/")).unwrap();
    assert!(info.cpus > 0 && info.memory > 0 && !info.boot_id.is_empty());
    let disk = FileSystem::of(Path::new("/")).unwrap();
    assert!(disk.capacity > 0 && disk.available <= disk.capacity);
}

#[test]
fn validate_node_ip_param() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let cases = [
        ("127.0.0.1", NodeIpError::Loopback(ip("127.0.0.1"))),
        ("::1", NodeIpError::Loopback(ip("::1"))),
        ("224.0.0.1", NodeIpError::Multicast(ip("224.0.0.1"))),
        ("ff00::1", NodeIpError::Multicast(ip("ff00::1"))),
        ("169.254.0.1", NodeIpError::LinkLocal(ip("169.254.0.1"))),
        ("fe80::1", NodeIpError::LinkLocal(ip("fe80::1"))),
        ("0.0.0.0", NodeIpError::Unspecified(ip("0.0.0.0"))),
        ("::", NodeIpError::Unspecified(ip("::"))),
        ("203.0.113.77", NodeIpError::NotHere(ip("203.0.113.77"))),
    ];
    for (text, error) in cases {
        assert_eq!(validate_node_ip(ip(text), Loopback::Refused), Err(error));
    }
    assert_eq!(validate_node_ip(ip("127.0.0.1"), Loopback::Allowed), Ok(()));
    if let Some(found) = detect_node_ip(Loopback::Refused) {
        assert!(!found.is_loopback());
        assert_eq!(validate_node_ip(found, Loopback::Refused), Ok(()));
    }
    assert!(detect_node_ip(Loopback::Allowed).is_some());
}

#[test]
fn update_node_addresses() {
    let seen = |ip: Option<&str>| {
        let addresses = node_addresses("n", ip.map(|ip| ip.parse().unwrap()));
        let each = addresses.into_iter().map(|it| (it.type_, it.address));
        each.collect::<Vec<_>>()
    };
    let address = |type_: &str, address: &str| (type_.to_owned(), address.to_owned());
    let both = [address("InternalIP", "10.0.0.1"), address("Hostname", "n")];
    assert_eq!(seen(Some("10.0.0.1")), both);
    assert_eq!(seen(None), [address("Hostname", "n")]);
}
