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

    /// What is reserved of a capacity that has less than that, for people.
    ///
    /// Answers to kubelet's `validateNodeAllocatable`.
    pub fn excesses(&self, capacity: &BTreeMap<String, Quantity>) -> Vec<String> {
        let excesses = capacity.iter().filter_map(|(resource, capacity)| {
            let reserved = self.of_resource(resource, *capacity);
            (reserved > *capacity).then(|| {
                format!(
                    "Resource {resource:?} has a reservation of {reserved} but capacity of \
                     {capacity}. Expected capacity >= reservation."
                )
            })
        });
        excesses.collect()
    }

    /// Those that are kept at all times, without what has to be left before pods are evicted.
    #[must_use]
    pub fn absolute(&self) -> Self {
        Self {
            reserved: self.reserved.clone(),
            ..Self::default()
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
            Some(threshold) => {
                bytes(threshold.of(u64::try_from(capacity.value()).unwrap_or_default()))
            }
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

fn bytes(bytes: u64) -> Quantity {
    Quantity::bytes(i64::try_from(bytes).unwrap_or(i64::MAX))
}
