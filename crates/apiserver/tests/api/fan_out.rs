//! Many watchers, slow ones and stuck ones.

use serde_json::json;

use crate::seam::{CONFIG_MAPS, Server, Watch};

async fn write(server: &Server, changes: u64) {
    for number in 0..changes {
        let body = json!({ "metadata": { "name": "c" }, "data": { "k": number.to_string() } });
        match number {
            0 => server.post(CONFIG_MAPS, body).await.is(201),
            _ => server.put(&format!("{CONFIG_MAPS}/c"), body).await.is(200),
        };
    }
}

/// Checks that a watch tells every change after `from`, once and in order.
async fn tells_all(watch: &mut Watch, from: u64, changes: u64) {
    for number in 0..changes {
        let kind = if number == 0 { "ADDED" } else { "MODIFIED" };
        let version = from + 1 + number;
        assert_eq!(watch.line().await.unwrap(), format!("{kind} c@{version}"));
    }
}

#[tokio::test(start_paused = true)]
async fn every_watcher_sees_every_change() {
    let server = Server::new();
    let from = server.0.resource_version();
    let path = format!("{CONFIG_MAPS}?resourceVersion={from}");
    let mut watches = Vec::new();
    for _ in 0..500 {
        watches.push(server.watch(&path).await);
    }
    write(&server, 100).await;
    for watch in &mut watches {
        tells_all(watch, from, 100).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stuck_watcher_holds_up_nobody_and_ends_cleanly() {
    let server = Server::with(|config| config.history = 50);
    let from = server.0.resource_version();
    let path = format!("{CONFIG_MAPS}?resourceVersion={from}");
    let mut stuck = server.watch(&path).await;
    let mut slow = server.watch(&path).await;
    let mut quick = server.watch(&path).await;
    write(&server, 50).await;
    tells_all(&mut quick, from, 50).await;
    // It reads a little, and is still within what is remembered.
    tells_all(&mut slow, from, 10).await;
    for number in 50..60 {
        let body = json!({ "metadata": { "name": "c" }, "data": { "k": number.to_string() } });
        server.put(&format!("{CONFIG_MAPS}/c"), body).await.is(200);
        assert_eq!(
            quick.line().await.unwrap(),
            format!("MODIFIED c@{}", from + number + 1)
        );
    }
    // Nothing was kept for the one that never read, so that it cannot go on; it is no error.
    assert_eq!(stuck.rest().await, [""; 0]);
    let mut last = from + 10;
    while last < from + 60 {
        last += 1;
        assert_eq!(slow.line().await.unwrap(), format!("MODIFIED c@{last}"));
    }
    // It comes back with what it saw last, and is told.
    let mut again = server.watch(&path).await;
    assert_eq!(again.next().await.unwrap()["object"]["code"], 410);
}
