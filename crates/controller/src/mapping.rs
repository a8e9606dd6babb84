//! Mappers from events to keys, for [`Controller::watches`](crate::Controller::watches).

use kubewright_informer::{Event, Object, ObjectKey};

use crate::Enqueue;

/// Maps an event to the keys that its object names; of an update, to those that the old and the new
/// state name.
///
/// # Example
///
/// ```
/// use k8s_openapi::api::core::v1::ConfigMap;
/// use kubewright_controller::{Controller, ControllerConfig, Source, related};
/// use kubewright_informer::{Object, ObjectKey, SharedInformer};
///
/// fn build(config_maps: &SharedInformer<ConfigMap>) -> Controller {
///     Controller::new("websites", ControllerConfig::default()).watches(
///         Source::new(config_maps),
///         related(|config: &Object<ConfigMap>| {
///             let website = config.meta().label("website")?;
///             Some(ObjectKey::namespaced(config.meta().namespace()?, website))
///         }),
///     )
/// }
/// ```
///
/// Answers to controller-runtime's `EnqueueRequestsFromMapFunc`.
pub fn related<K, I>(
    mut keys: impl FnMut(&Object<K>) -> I + Send + 'static,
) -> impl FnMut(&Event<K>, &Enqueue) + Send + 'static
where
    K: 'static,
    I: IntoIterator<Item = ObjectKey>,
{
    move |event, enqueue| {
        for object in states(event) {
            for key in keys(object) {
                enqueue.add(key);
            }
        }
    }
}

/// The states that an event tells of: one, or for an update two.
pub(crate) fn states<K>(event: &Event<K>) -> impl Iterator<Item = &Object<K>> {
    let old = match event {
        Event::Updated { old, .. } => Some(old),
        Event::Added { .. } | Event::Deleted { .. } => None,
    };
    old.into_iter().chain([event.object()])
}
