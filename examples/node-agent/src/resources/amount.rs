use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource;
use kubewright_quantity::Quantity;

/// Amounts of resources by their names, such as `cpu` and `memory`.
pub type Amounts = BTreeMap<String, Quantity>;

/// The amounts of a list of the API.
///
/// What is no quantity is left out; sources refuse pods with such.
pub fn amounts(list: Option<&BTreeMap<String, resource::Quantity>>) -> Amounts {
    let list = list.into_iter().flatten();
    list.filter_map(|(name, text)| Some((name.clone(), text.0.parse().ok()?)))
        .collect()
}

/// Adds amounts to others.
pub(super) fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let entry = sum.entry(name.clone()).or_insert(Quantity::ZERO);
        *entry = *entry + *amount;
    }
}

/// One amount of a list of the API; `None` if it is not there.
pub fn amount(list: Option<&BTreeMap<String, resource::Quantity>>, name: &str) -> Option<Quantity> {
    list?.get(name)?.0.parse().ok()
}
