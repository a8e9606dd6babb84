//! The sizes of a terminal, as JSON objects one after the other.

use futures::future::OptionFuture;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;
use tracing::debug;

use crate::TerminalSize;

/// More than any object that means a size.
const MAX_OBJECT: usize = 4 << 10;

/// Passes sizes on until the client ends, or sends what is none.
///
/// It never waits for the receiver: the connection would wait for it, and all other streams with
/// it. A size that was not received is overtaken by the next.
pub(super) async fn pump(mut from: impl AsyncRead + Unpin, to: mpsc::Sender<TerminalSize>) {
    let mut text = Vec::new();
    let mut latest = None;
    let mut ended = false;
    while !(ended && latest.is_none()) {
        let place = OptionFuture::from(latest.is_some().then(|| to.reserve()));
        tokio::select! {
            Some(place) = place => {
                let Ok(place) = place else {
                    // Nobody wants to know. What is sent is thrown away from now on.
                    return;
                };
                if let Some(size) = latest.take() {
                    place.send(size);
                }
            }
            read = from.read_buf(&mut text), if !ended => {
                ended = !matches!(read, Ok(1..));
                match sizes(&mut text) {
                    Ok(size) => latest = size.or(latest),
                    Err(error) => {
                        debug!(%error, "the client sent what is no size of a terminal");
                        ended = true;
                    }
                }
                ended |= text.len() > MAX_OBJECT;
            }
        }
    }
}

/// Takes all whole objects off a text; the last of them counts.
fn sizes(text: &mut Vec<u8>) -> serde_json::Result<Option<TerminalSize>> {
    let mut latest = None;
    let mut objects = serde_json::Deserializer::from_slice(text).into_iter();
    let mut whole = 0;
    let result = loop {
        match objects.next() {
            Some(Ok(size)) => latest = Some(size),
            Some(Err(error)) if error.is_eof() => break Ok(latest),
            Some(Err(error)) => break Err(error),
            None => break Ok(latest),
        }
        whole = objects.byte_offset();
    };
    text.drain(..whole);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: u16, height: u16) -> TerminalSize {
        TerminalSize { width, height }
    }

    #[test]
    fn objects_may_come_in_pieces() {
        let mut text = br#"{"Width":80,"Height":24}
            {"Width":1"#
            .to_vec();
        assert_eq!(sizes(&mut text).unwrap(), Some(size(80, 24)));
        assert_eq!(sizes(&mut text).unwrap(), None);
        text.extend_from_slice(br#"32,"Height":43}{"Width":1,"Height":2}"#);
        assert_eq!(sizes(&mut text).unwrap(), Some(size(1, 2)));
        assert_eq!(text, b"");
        text.extend_from_slice(b"80x24");
        assert!(sizes(&mut text).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_latest_size_is_kept_for_a_slow_receiver() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut text = Vec::new();
        for width in 1..=500 {
            text.extend(format!(r#"{{"Width":{width},"Height":9}}"#).bytes());
        }
        // Returns although nobody has received: nothing waits for the receiver but the last size.
        let pump = tokio::join!(pump(&text[..], sender), async {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            let mut last = None;
            while let Some(size) = receiver.recv().await {
                last = Some(size);
            }
            last
        });
        assert_eq!(pump.1, Some(size(500, 9)));
    }
}
