use k8s_openapi::api::core::v1::Container;
use serde_json::json;

/// The hash of that part of a container's spec whose change replaces a running container: its name
/// and its image.
///
/// It is the number that kubelet's `HashContainer` gives, so that the agent keeps the containers
/// that a kubelet has started, and the other way round.
pub fn container_hash(container: &Container) -> u64 {
    // Kubelet hashes the JSON of the two as Go prints a slice of bytes with its type.
    let image = container.image.as_deref().unwrap_or_default();
    let picked = json!({"image": image, "name": container.name}).to_string();
    let mut printed = String::from("([]uint8)[");
    for (at, byte) in picked.bytes().enumerate() {
        if at > 0 {
            printed.push(' ');
        }
        printed.push_str(&byte.to_string());
    }
    printed.push(']');
    fnv1a_32(printed.as_bytes()).into()
}

/// The hash by Fowler, Noll and Vo, variant 1a, in 32 bits.
fn fnv1a_32(bytes: &[u8]) -> u32 {
    const OFFSET_BASIS: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    bytes.iter().fold(OFFSET_BASIS, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(container: serde_json::Value) -> u64 {
        container_hash(&serde_json::from_value(container).unwrap())
    }

    #[test]
    fn hash_container() {
        let container = json!({
            "name": "test_container",
            "image": "foo/image:v1",
            "args": ["/bin/sh", "-c", "echo abc"],
            "ports": [{"containerPort": 8001}],
        });
        assert_eq!(hash_of(container), 0x8e45_cbd0);
    }

    #[test]
    fn only_name_and_image_count() {
        let plain = hash_of(json!({"name": "a", "image": "i"}));
        assert_eq!(
            plain,
            hash_of(json!({"name": "a", "image": "i", "tty": true}))
        );
        assert_ne!(plain, hash_of(json!({"name": "a", "image": "j"})));
        assert_ne!(plain, hash_of(json!({"name": "b", "image": "i"})));
    }
}
