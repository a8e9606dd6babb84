//! Services.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{items, metadata, names, text};
use crate::error::Cause;
use crate::path::Path;

pub(super) fn service(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let root = Path::Root;
    let path = root.field("spec");
    let spec = &new["spec"];
    metadata::labels(&spec["selector"], "spec.selector", causes);
    let is_headless = spec["clusterIP"] == "None";
    let kind = text(&spec["type"]);
    if items(&spec["ports"]).is_empty() && !is_headless && kind != "ExternalName" {
        causes.push(Cause::required(path.field("ports"), ""));
    }
    if kind == "ExternalName" {
        match text(&spec["externalName"]) {
            "" => causes.push(Cause::required(path.field("externalName"), "")),
            name => {
                for problem in names::subdomain(name.trim_end_matches('.')) {
                    causes.push(Cause::invalid(
                        path.field("externalName"),
                        &name.into(),
                        problem,
                    ));
                }
            }
        }
    }
    if kind == "LoadBalancer" && is_headless {
        causes.push(Cause::invalid(
            path.field("clusterIPs[0]"),
            &"None".into(),
            "may not be set to 'None' for LoadBalancer services",
        ));
    }
    ports(spec, path, causes);
    if let Some(old) = old {
        addresses(spec, &old["spec"], causes);
    }
}

fn ports(spec: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    let path = path.field("ports");
    let ports = items(&spec["ports"]);
    let mut taken_names = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(&port["name"]);
        if name.is_empty() {
            if ports.len() > 1 {
                causes.push(Cause::required(path.field("name"), ""));
            }
        } else {
            for problem in names::label(name) {
                causes.push(Cause::invalid(path.field("name"), &name.into(), problem));
            }
            if !taken_names.insert(name) {
                causes.push(Cause::duplicate(path.field("name"), &name.into()));
            }
        }
        for field in ["port", "targetPort"] {
            let number = &port[field];
            if number
                .as_i64()
                .is_some_and(|number| !(1..=65_535).contains(&number))
            {
                causes.push(Cause::invalid(
                    path.field(field),
                    number,
                    "must be between 1 and 65535, inclusive",
                ));
            }
        }
        if let Some(name) = port["targetPort"].as_str() {
            for problem in names::port(name) {
                causes.push(Cause::invalid(
                    path.field("targetPort"),
                    &name.into(),
                    problem,
                ));
            }
        }
        if spec["type"] == "ClusterIP" && port["nodePort"].as_u64().is_some_and(|port| port > 0) {
            causes.push(Cause::forbidden(
                path.field("nodePort"),
                "may not be used when `type` is 'ClusterIP'",
            ));
        }
        let key = (text(&port["protocol"]), port["port"].as_i64());
        if !taken.insert(key) {
            causes.push(Cause {
                reason: "FieldValueDuplicate",
                field: path.into(),
                message: format!(
                    "Duplicate value: {{\"protocol\":\"{}\",\"port\":{}}}",
                    key.0, port["port"]
                ),
            });
        }
    }
}

/// A service keeps the address that it has.
fn addresses(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let moves = new["type"] != "ExternalName" && old["type"] != "ExternalName";
    if moves && !text(&old["clusterIP"]).is_empty() && new["clusterIP"] != old["clusterIP"] {
        causes.push(Cause::invalid(
            "spec.clusterIPs[0]",
            &new["clusterIPs"],
            "may not change once set",
        ));
    }
}
