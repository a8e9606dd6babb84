//! Events, as they come to the API server. What makes similar ones one is tested with
//! `kubewright-controller`.

use k8s_openapi::api::core::v1::Event;
use kube_client::api::{Api, ListParams};
use kubewright_apiserver::faults::{Fault, Rule};
use node_agent::client::{ClientLimits, Clients};
use node_agent::event::{event_writer, node_reference, pod_reference};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::world::{a_moment, clock, seconds, server, told};

#[tokio::test(start_paused = true)]
async fn events_are_written_as_those_of_the_kubelet_of_the_node() {
    let clock = clock();
    let server = server(&clock);
    let clients = Clients::in_process(server.service(), &ClientLimits::default());
    let (recorder, writer) = event_writer(clients.events.clone(), "n", clock, 0);
    let token = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(writer.run(token.clone()));

    let pod = json!({"metadata": {"name": "foo", "namespace": "default", "uid": "1"}});
    let pod = pod_reference(&serde_json::from_value(pod).unwrap());
    let calls = server.record();
    recorder.warning(&pod, "BackOff", "Back-off restarting failed container");
    a_moment().await;
    recorder.warning(&pod, "BackOff", "Back-off restarting failed container");
    recorder.normal(&node_reference("n"), "Starting", "Starting kubelet.");
    a_moment().await;
    let verbs: Vec<_> = told(&calls)
        .iter()
        .map(|call| call.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(verbs, ["create", "patch", "create"]);

    let events: Api<Event> = Api::default_namespaced(clients.main.clone());
    let events = events.list(&ListParams::default()).await.unwrap().items;
    let of = |reason: &str| {
        let mut events = events.iter();
        let event = events.find(|event| event.reason.as_deref() == Some(reason));
        serde_json::to_value(event.unwrap()).unwrap()
    };
    let back_off = of("BackOff");
    assert_eq!(
        back_off["source"],
        json!({"component": "kubelet", "host": "n"})
    );
    assert_eq!(back_off["reportingComponent"], "kubelet");
    assert_eq!(
        (&back_off["count"], &back_off["type"]),
        (&json!(2), &json!("Warning"))
    );
    let starting = of("Starting");
    assert_eq!(
        starting["involvedObject"],
        json!({"kind": "Node", "name": "n", "uid": "n"})
    );

    // While the server is away events wait; nothing is said twice.
    let outage = server.faults().add(Rule::new(Fault::LoseRequest));
    recorder.normal(&pod, "Pulled", "pulled");
    seconds(60).await;
    outage.remove();
    seconds(11).await;
    let events: Api<Event> = Api::default_namespaced(clients.main);
    let events = events.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(events.len(), 3);
    assert_eq!(recorder.dropped(), 0);
    token.cancel();
    tasks.join_next().await.unwrap().unwrap();
    recorder.normal(&pod, "Late", "too late");
    assert_eq!(recorder.dropped(), 1);
}
