//! Amounts, under the names that they have in `stats/v1alpha1`.

use jiff::Timestamp;
use kubewright_cri::v1::{
    CpuUsage, FilesystemUsage, MemoryUsage, NetworkInterfaceUsage, NetworkUsage, ProcessUsage,
    UInt64Value,
};
use serde::Serialize;

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cpu {
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_nano_cores: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage_core_nano_seconds: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Memory {
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    available_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) working_set_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rss_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_faults: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    major_page_faults: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Network {
    time: Timestamp,
    #[serde(flatten)]
    default_interface: Option<Interface>,
    interfaces: Vec<Interface>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Interface {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rx_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rx_errors: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tx_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tx_errors: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Filesystem {
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    used_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inodes_used: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Processes {
    #[serde(skip_serializing_if = "Option::is_none")]
    process_count: Option<u64>,
}

impl Cpu {
    pub(super) fn of(usage: &CpuUsage) -> Self {
        Self {
            time: time(usage.timestamp),
            usage_nano_cores: number(usage.usage_nano_cores.as_ref()),
            usage_core_nano_seconds: number(usage.usage_core_nano_seconds.as_ref()),
        }
    }
}

impl Memory {
    pub(super) fn of(usage: &MemoryUsage) -> Self {
        Self {
            time: time(usage.timestamp),
            available_bytes: number(usage.available_bytes.as_ref()),
            usage_bytes: number(usage.usage_bytes.as_ref()),
            working_set_bytes: number(usage.working_set_bytes.as_ref()),
            rss_bytes: number(usage.rss_bytes.as_ref()),
            page_faults: number(usage.page_faults.as_ref()),
            major_page_faults: number(usage.major_page_faults.as_ref()),
        }
    }
}

impl Network {
    pub(super) fn of(usage: &NetworkUsage) -> Self {
        Self {
            time: time(usage.timestamp),
            default_interface: usage.default_interface.as_ref().map(Interface::of),
            interfaces: usage.interfaces.iter().map(Interface::of).collect(),
        }
    }
}

impl Interface {
    pub(super) fn of(usage: &NetworkInterfaceUsage) -> Self {
        Self {
            name: usage.name.clone(),
            rx_bytes: number(usage.rx_bytes.as_ref()),
            rx_errors: number(usage.rx_errors.as_ref()),
            tx_bytes: number(usage.tx_bytes.as_ref()),
            tx_errors: number(usage.tx_errors.as_ref()),
        }
    }
}

impl Filesystem {
    pub(super) fn of(usage: &FilesystemUsage) -> Self {
        Self {
            time: time(usage.timestamp),
            used_bytes: number(usage.used_bytes.as_ref()),
            inodes_used: number(usage.inodes_used.as_ref()),
        }
    }
}

impl Processes {
    pub(super) fn of(usage: &ProcessUsage) -> Self {
        Self {
            process_count: number(usage.process_count.as_ref()),
        }
    }
}

fn number(value: Option<&UInt64Value>) -> Option<u64> {
    value.map(|value| value.value)
}

fn time(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or_default()
}
