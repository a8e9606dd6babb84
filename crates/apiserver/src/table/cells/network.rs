//! Services, what stands behind them, and what leads to them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::table::subject::{Subject, first_three, none_if_empty, unset_if_empty};

pub(super) fn service(o: &Subject<'_>) -> Vec<Value> {
    let ports: Vec<String> = o
        .list("/spec/ports")
        .iter()
        .map(|port| {
            let number = |field: &str| port[field].as_i64().unwrap_or_default();
            let protocol = port["protocol"].as_str().unwrap_or_default();
            match number("nodePort") {
                0 => format!("{}/{protocol}", number("port")),
                node_port => format!("{}:{node_port}/{protocol}", number("port")),
            }
        })
        .collect();
    vec![
        o.name(),
        o.text_or("/spec/type", ""),
        o.text_or("/spec/clusterIPs/0", "<none>"),
        external_address(o).into(),
        none_if_empty(&ports.join(",")),
        o.age(),
        o.labels("/spec/selector"),
    ]
}

fn external_address(o: &Subject<'_>) -> String {
    let external: Vec<&str> = texts(o.list("/spec/externalIPs"));
    match o.text("/spec/type").unwrap_or_default() {
        "ClusterIP" | "NodePort" if external.is_empty() => "<none>".to_owned(),
        "ClusterIP" | "NodePort" => external.join(","),
        "LoadBalancer" => {
            let mut addresses = load_balancer(o);
            addresses.extend(external);
            match addresses.is_empty() {
                true => "<pending>".to_owned(),
                false => addresses.join(","),
            }
        }
        "ExternalName" => o.text("/spec/externalName").unwrap_or_default().to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

/// The addresses or else the names under which a load balancer is reached.
fn load_balancer<'a>(o: &Subject<'a>) -> Vec<&'a str> {
    let ingress = o.list("/status/loadBalancer/ingress").iter();
    let addresses: BTreeSet<&str> = ingress
        .filter_map(|ingress| {
            let text = |field: &str| ingress[field].as_str().filter(|text| !text.is_empty());
            text("ip").or_else(|| text("hostname"))
        })
        .collect();
    addresses.into_iter().collect()
}

fn texts(items: &[Value]) -> Vec<&str> {
    items.iter().filter_map(Value::as_str).collect()
}

pub(super) fn endpoints(o: &Subject<'_>) -> Vec<Value> {
    let mut all = Vec::new();
    for subset in o.list("/subsets") {
        let list = |field: &str| subset[field].as_array().map_or(&[][..], Vec::as_slice);
        let addresses: Vec<&str> = list("addresses")
            .iter()
            .filter_map(|address| address["ip"].as_str())
            .collect();
        if list("ports").is_empty() {
            all.extend(addresses.iter().map(|address| (*address).to_owned()));
        }
        for port in list("ports") {
            let port = port["port"].as_i64().unwrap_or_default();
            all.extend(addresses.iter().map(|address| match address.contains(':') {
                true => format!("[{address}]:{port}"),
                false => format!("{address}:{port}"),
            }));
        }
    }
    vec![o.name(), none_if_empty(&first_three(&all)), o.age()]
}

pub(super) fn endpoint_slice(o: &Subject<'_>) -> Vec<Value> {
    let ports: Vec<String> = o
        .list("/ports")
        .iter()
        .map(
            |port| match (port["port"].as_i64(), port["name"].as_str()) {
                (Some(number), _) => number.to_string(),
                (None, Some(name)) => name.to_owned(),
                (None, None) => "*".to_owned(),
            },
        )
        .collect();
    let addresses: Vec<String> = o
        .list("/endpoints")
        .iter()
        .flat_map(|endpoint| endpoint["addresses"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    vec![
        o.name(),
        o.text_or("/addressType", ""),
        unset_if_empty(&first_three(&ports)),
        unset_if_empty(&first_three(&addresses)),
        o.age(),
    ]
}

pub(super) fn ingress(o: &Subject<'_>) -> Vec<Value> {
    let rules = o.list("/spec/rules");
    let first: Vec<&str> = rules
        .iter()
        .take(3)
        .filter_map(|rule| rule["host"].as_str())
        .filter(|host| !host.is_empty())
        .collect();
    let hosts = match (first.is_empty(), rules.len()) {
        (true, _) => "*".to_owned(),
        (false, 4..) if first.len() == 3 => {
            format!("{} + {} more...", first.join(","), rules.len() - 3)
        }
        (false, _) => first.join(","),
    };
    vec![
        o.name(),
        o.text_or("/spec/ingressClassName", "<none>"),
        hosts.into(),
        load_balancer(o).join(",").into(),
        match o.count("/spec/tls") {
            0 => "80".into(),
            _ => "80, 443".into(),
        },
        o.age(),
    ]
}

pub(super) fn ingress_class(o: &Subject<'_>) -> Vec<Value> {
    let parameters = o.at("/spec/parameters");
    let text = |field: &str| parameters[field].as_str().unwrap_or_default();
    let parameters = match (parameters.is_object(), text("apiGroup")) {
        (false, _) => "<none>".to_owned(),
        (true, "") => format!("{}/{}", text("kind"), text("name")),
        (true, group) => format!("{}.{group}/{}", text("kind"), text("name")),
    };
    vec![
        o.name(),
        o.text_or("/spec/controller", ""),
        parameters.into(),
        o.age(),
    ]
}

pub(super) fn network_policy(o: &Subject<'_>) -> Vec<Value> {
    vec![o.name(), o.selector("/spec/podSelector"), o.age()]
}

pub(super) fn ip_address(o: &Subject<'_>) -> Vec<Value> {
    let parent = o.at("/spec/parentRef");
    let text = |field: &str| parent[field].as_str().unwrap_or_default();
    let resource = match text("group") {
        "" => text("resource").to_lowercase(),
        group => format!("{}.{group}", text("resource")).to_lowercase(),
    };
    let parent = match (parent.is_object(), text("namespace")) {
        (false, _) => "<none>".to_owned(),
        (true, "") => format!("{resource}/{}", text("name")),
        (true, namespace) => format!("{resource}/{namespace}/{}", text("name")),
    };
    vec![o.name(), parent.into()]
}

pub(super) fn service_cidr(o: &Subject<'_>) -> Vec<Value> {
    vec![
        o.name(),
        texts(o.list("/spec/cidrs")).join(",").into(),
        o.age(),
    ]
}
