use std::collections::BTreeMap;

use kubewright_quantity::Quantity;

use super::MachineInfo;
use crate::config::{Config, Threshold};

const CPU: &str = "cpu";
const MEMORY: &str = "memory";
const PODS: &str = "pods";
const EPHEMERAL_STORAGE: &str = "ephemeral-storage";
const HUGE_PAGES: &str = "hugepages-";

/// What pods cannot have of a node.
#[derive(Clone, Debug, Default)]
pub struct Reservations {
    /// Kept for the system, the agent and the runtime, by resource.
    pub reserved: BTreeMap<String, Quantity>,
    /// How much memory there has to be left.
    pub memory_threshold: Option<Threshold>,
    /// How much room on the disk there has to be left.
    pub storage_threshold: Option<Threshold>,
}

impl Reservations {
    /// What a configuration asks for.
    pub fn of(config: &Config) -> Self {
        let mut reserved = config.system_reserved.clone();
        for (resource, amount) in &config.kube_reserved {
            let sum = reserved.entry(resource.clone()).or_insert(Quantity::ZERO);
            *sum = *sum + *amount;
        }
        let threshold = |signal| config.eviction_hard.get(signal).copied();
        Self {
            reserved,
            memory_threshold: threshold("memory.available"),
            storage_threshold: threshold("nodefs.available"),
        }
    }

    fn of_resource(&self, resource: &str, capacity: Quantity) -> Quantity {
        let threshold = match resource {
            MEMORY => self.memory_threshold,
            EPHEMERAL_STORAGE => self.storage_threshold,
            _ => None,
        };
        let left = match threshold {
            None => Quantity::ZERO,
            Some(Threshold::Amount(amount)) => amount,
            Some(Threshold::Percentage(percent)) => share(capacity, percent),
        };
        let reserved = self.reserved.get(resource).copied();
        reserved.unwrap_or(Quantity::ZERO) + left
    }
}

/// All that a machine has for pods; the room on its disk if that is known.
pub fn capacity(
    machine: &MachineInfo,
    storage: Option<u64>,
    max_pods: u32,
) -> BTreeMap<String, Quantity> {
    let bytes = |bytes| Quantity::bytes(i64::try_from(bytes).unwrap_or(i64::MAX));
    let mut capacity = BTreeMap::from([
        (CPU.to_owned(), Quantity::whole(machine.cpus.into())),
        (MEMORY.to_owned(), bytes(machine.memory)),
        (PODS.to_owned(), Quantity::whole(max_pods.into())),
    ]);
    if let Some(storage) = storage {
        capacity.insert(EPHEMERAL_STORAGE.to_owned(), bytes(storage));
    }
    for (size, total) in &machine.huge_pages {
        let name = format!("{HUGE_PAGES}{}", bytes(*size));
        capacity.insert(name, bytes(*total));
    }
    capacity
}

/// What is left of a capacity for pods. Never less than nothing; memory that is set aside for huge
/// pages is no memory any more.
///
/// Answers to the second half of kubelet's `MachineInfo` setter.
pub fn allocatable(
    capacity: &BTreeMap<String, Quantity>,
    reservations: &Reservations,
) -> BTreeMap<String, Quantity> {
    let left = |total: Quantity, taken: Quantity| {
        let left = total - taken;
        if left.is_negative() {
            Quantity::ZERO
        } else {
            left
        }
    };
    let each = capacity.iter().map(|(resource, total)| {
        let taken = reservations.of_resource(resource, *total);
        (resource.clone(), left(*total, taken))
    });
    let mut allocatable: BTreeMap<_, _> = each.collect();
    let huge = capacity.iter();
    let huge = huge.filter(|(resource, _)| resource.starts_with(HUGE_PAGES));
    let huge: Quantity = huge.map(|(_, total)| *total).sum();
    if let Some(memory) = allocatable.get_mut(MEMORY) {
        *memory = left(*memory, huge);
    }
    allocatable
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a share of a capacity in percent is no exact thing"
)]
fn share(capacity: Quantity, percent: f64) -> Quantity {
    Quantity::bytes((capacity.value() as f64 * percent / 100.0) as i64)
}
