//! Maps and lists as flags write them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Taint;

/// What a flag is that cannot be read.
type Refusal = String;

/// Reads `a=b,c=d`, or with another separator in between, such as `memory.available<100Mi`.
pub(super) fn pairs(text: &str, separator: char) -> Result<BTreeMap<String, String>, Refusal> {
    let pairs = text
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| match pair.split_once(separator) {
        Some((key, value)) if !key.is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(format!("{pair:?} is not of the form key{separator}value")),
    });
    pairs.collect()
}

/// Reads `key=value:effect`, of which the value may be left out, separated by commas.
pub(super) fn taints(text: &str) -> Result<Vec<Taint>, Refusal> {
    let taints = text
        .split(',')
        .map(str::trim)
        .filter(|taint| !taint.is_empty());
    taints.map(taint).collect()
}

/// Reads `name:value`, of which there may be many for one name.
pub(super) fn headers(flags: &[String]) -> Result<BTreeMap<String, Vec<String>>, Refusal> {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for flag in flags.iter().flat_map(|flag| flag.split(',')) {
        let (name, value) = flag
            .split_once(':')
            .ok_or_else(|| format!("{flag:?} is not of the form name:value"))?;
        let values = headers.entry(name.trim().to_owned()).or_default();
        values.push(value.trim().to_owned());
    }
    Ok(headers)
}

fn taint(text: &str) -> Result<Taint, Refusal> {
    let (pair, effect) = text
        .rsplit_once(':')
        .ok_or_else(|| format!("invalid taint spec: {text}"))?;
    let (key, value) = match pair.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (pair, None),
    };
    Ok(Taint {
        key: key.to_owned(),
        value,
        effect: effect.to_owned(),
        ..Taint::default()
    })
}
