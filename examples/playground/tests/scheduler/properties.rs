//! Against a naive model: what is placed fits, and what fits is placed.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use playground::scheduler::place;
use proptest::prelude::*;
use serde_json::json;

use crate::fixtures::{node, on, pod};

/// A node as the model has it: what is left of it.
#[derive(Clone, Debug)]
struct Room {
    cpu: u32,
    memory: u32,
    pods: u32,
    zone: u8,
    is_tainted: bool,
    is_open: bool,
}

/// A pod as the model has it.
#[derive(Clone, Debug)]
struct Guest {
    cpu: u32,
    memory: u32,
    zone: Option<u8>,
    is_tolerant: bool,
}

impl Room {
    fn node(&self, name: &str) -> Arc<Node> {
        let taints = match self.is_tainted {
            true => json!([{"key": "k", "effect": "NoSchedule"}]),
            false => json!([]),
        };
        node(
            name,
            &json!({
                "metadata": {"labels": {"zone": self.zone.to_string()}},
                "spec": {"taints": taints, "unschedulable": !self.is_open},
                "status": {"allocatable": {
                    "cpu": format!("{}m", self.cpu),
                    "memory": format!("{}Mi", self.memory),
                    "pods": self.pods.to_string(),
                }},
            }),
        )
    }

    fn takes(&self, guest: &Guest) -> bool {
        self.is_open
            && (guest.is_tolerant || !self.is_tainted)
            && guest.zone.is_none_or(|zone| zone == self.zone)
            && self.pods >= 1
            && self.cpu >= guest.cpu
            && self.memory >= guest.memory
    }
}

impl Guest {
    fn pod(&self, name: &str) -> Arc<Pod> {
        let selector = self.zone.map(|zone| json!({"zone": zone.to_string()}));
        let tolerations = match self.is_tolerant {
            true => json!([{"key": "k", "operator": "Exists"}]),
            false => json!([]),
        };
        let requests = json!({
            "cpu": format!("{}m", self.cpu),
            "memory": format!("{}Mi", self.memory),
        });
        let container = json!({"name": "app", "resources": {"requests": requests}});
        pod(
            name,
            &json!({
                "containers": [container],
                "nodeSelector": selector,
                "tolerations": tolerations,
            }),
        )
    }
}

fn room() -> impl Strategy<Value = Room> {
    let sizes = (0..2000_u32, 0..2000_u32, 0..5_u32);
    let rest = (
        0..3_u8,
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.8),
    );
    (sizes, rest).prop_map(|((cpu, memory, pods), (zone, is_tainted, is_open))| Room {
        cpu,
        memory,
        pods,
        zone,
        is_tainted,
        is_open,
    })
}

fn guest() -> impl Strategy<Value = Guest> {
    let zone = prop::option::weighted(0.3, 0..3_u8);
    (0..1000_u32, 0..1000_u32, zone, any::<bool>()).prop_map(|(cpu, memory, zone, is_tolerant)| {
        Guest {
            cpu,
            memory,
            zone,
            is_tolerant,
        }
    })
}

proptest! {
    #[test]
    fn what_is_placed_fits_and_what_fits_is_placed(
        rooms in prop::collection::vec(room(), 0..5),
        guests in prop::collection::vec(guest(), 0..20),
    ) {
        let nodes: Vec<_> = (0..).zip(&rooms).map(|(nth, room)| room.node(&format!("n{nth}"))).collect();
        let mut left: HashMap<String, Room> =
            (0..).zip(rooms).map(|(nth, room)| (format!("n{nth}"), room)).collect();
        let mut bound = Vec::new();
        for (nth, guest) in (0..).zip(&guests) {
            let pod = guest.pod(&format!("p{nth}"));
            let is_wanted = left.values().any(|room| room.takes(guest));
            match place(&pod, &nodes, &bound) {
                Ok(name) => {
                    let room = left.get_mut(name.as_str()).unwrap();
                    prop_assert!(room.takes(guest), "{guest:?} in {room:?}");
                    room.cpu -= guest.cpu;
                    room.memory -= guest.memory;
                    room.pods -= 1;
                    bound.push(on(name.as_str(), &pod));
                }
                Err(why) => {
                    prop_assert!(!is_wanted, "{guest:?} fits, and {why}");
                    let start = match nodes.len() {
                        0 => "no nodes available".to_owned(),
                        count => format!("0/{count} nodes are available: "),
                    };
                    prop_assert!(why.to_string().starts_with(&start), "{why}");
                }
            }
        }
    }

    #[test]
    fn the_order_of_nodes_and_pods_does_not_matter(
        rooms in prop::collection::vec(room(), 1..5),
        others in prop::collection::vec((guest(), 0..5_usize), 0..8),
        guest in guest(),
    ) {
        let mut nodes: Vec<_> = (0..).zip(&rooms).map(|(nth, room)| room.node(&format!("n{nth}"))).collect();
        let mut pods: Vec<_> = (0..).zip(&others).map(|(nth, (guest, node))| {
            on(&format!("n{node}"), &guest.pod(&format!("p{nth}")))
        }).collect();
        let pod = guest.pod("p");
        let placed = place(&pod, &nodes, &pods);
        nodes.reverse();
        pods.reverse();
        prop_assert_eq!(placed, place(&pod, &nodes, &pods));
    }
}
