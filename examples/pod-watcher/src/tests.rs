use std::sync::{Arc, Mutex};
use std::time::Duration;

use kubewright_cache::testing::FakeSource;
use kubewright_informer::{HandlerConfig, InformerConfig, SharedInformer};
use serde_json::json;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

#[tokio::test(start_paused = true)]
async fn a_line_for_each_event() {
    let pods = FakeSource::new();
    let pod = |name: &str| json!({"metadata": {"namespace": "default", "name": name}});
    pods.apply(pod("there-already"));
    let informer = SharedInformer::new("pods", pods.clone(), InformerConfig::default()).unwrap();
    let printed = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&printed);
    let handler = super::printer(move |line| lines.lock().unwrap().push(line));
    informer
        .add_handler(handler, HandlerConfig::default())
        .unwrap();

    let token = CancellationToken::new();
    let changes = async {
        informer.synced().await.unwrap();
        for change in ["web", "web"] {
            pods.apply(pod(change));
            sleep(Duration::from_millis(1)).await;
        }
        pods.delete(&"default/web".parse().unwrap()).unwrap();
        sleep(Duration::from_millis(1)).await;
        token.cancel();
    };
    let (ran, ()) = tokio::join!(informer.run(token.clone()), changes);
    ran.unwrap();
    assert_eq!(
        *printed.lock().unwrap(),
        [
            "[Add] there-already",
            "[Add] web",
            "[Update] web",
            "[Delete] web"
        ]
    );
}
