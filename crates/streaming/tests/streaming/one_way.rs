//! Bytes that only the client receives.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io;

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderName, HeaderValue};
use kubewright_streaming::OneWay;
use kubewright_streaming::client::{Dial, Messages, Received};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::JoinSet;

use crate::support::within;

type Parts = Vec<io::Result<Bytes>>;

/// What a server sends that has these bytes, and its end.
async fn serve(mut io: DuplexStream, parts: Parts, goes_on: bool) -> io::Result<()> {
    use futures::StreamExt as _;

    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| {
        let name: HeaderName = name.parse().unwrap();
        (name, value.parse::<HeaderValue>().unwrap())
    });
    let headers: HeaderMap = headers.collect();
    assert!(OneWay::is_wanted(&headers));
    let (protocol, answer) = match OneWay::negotiate(&headers) {
        Ok((protocol, answer)) => (Some(protocol), answer),
        Err(refusal) => (None, *refusal),
    };
    let mut text = format!("HTTP/1.1 {}\r\n", answer.status());
    for (name, value) in answer.headers() {
        text += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    text += "\r\n";
    io.write_all(text.as_bytes()).await?;
    let bytes = stream::iter(parts);
    match protocol {
        None => Ok(()),
        Some(protocol) if goes_on => protocol.send(io, bytes.chain(stream::pending())).await,
        Some(protocol) => protocol.send(io, bytes).await,
    }
}

struct Served {
    messages: io::Result<Messages>,
    serving: JoinSet<io::Result<()>>,
}

async fn served(protocol: &'static str, parts: Parts, goes_on: bool) -> Served {
    let (near, far) = duplex(1 << 16);
    let mut serving = JoinSet::new();
    serving.spawn(serve(far, parts, goes_on));
    let dial = Dial {
        io: Box::new(near),
        uri: "/log".parse().unwrap(),
        headers: HeaderMap::new(),
    };
    let messages = within(dial.messages(protocol)).await;
    Served { messages, serving }
}

impl Served {
    async fn next(&mut self) -> io::Result<Option<Received>> {
        within(self.messages.as_mut().unwrap().next()).await
    }

    async fn ended(mut self) -> io::Result<()> {
        within(self.serving.join_next()).await.unwrap().unwrap()
    }
}

fn parts() -> Parts {
    ["one\n", "", "two\n"].map(|text| Ok(text.into())).into()
}

#[tokio::test]
async fn bytes_come_in_messages_after_an_empty_one() {
    for protocol in ["", "binary.k8s.io"] {
        let mut served = served(protocol, parts(), false).await;
        for expected in ["", "one\n", "two\n"] {
            let expected = Received::Binary(expected.into());
            assert_eq!(served.next().await.unwrap(), Some(expected));
        }
        assert_eq!(served.next().await.unwrap(), None);
        served.ended().await.unwrap();
    }
}

#[tokio::test]
async fn texts_are_in_base64() {
    let mut served = served("base64.binary.k8s.io", parts(), false).await;
    for expected in ["", "b25lCg==", "dHdvCg=="] {
        let expected = Received::Text(expected.to_owned());
        assert_eq!(served.next().await.unwrap(), Some(expected));
    }
    assert_eq!(served.next().await.unwrap(), None);
    served.ended().await.unwrap();
}

#[tokio::test]
async fn protocols_of_commands_are_refused() {
    let served = served("v4.channel.k8s.io", parts(), false).await;
    let refused = served.messages.as_ref().unwrap_err().to_string();
    assert!(refused.starts_with("403"), "{refused}");
    served.ended().await.unwrap();
}

#[tokio::test]
async fn bytes_that_break_off_are_no_good_end() {
    let broken = || io::Error::other("the disk is gone");
    let parts = vec![Ok("one\n".into()), Err(broken())];
    let mut served = served("", parts, false).await;
    assert_eq!(
        served.next().await.unwrap(),
        Some(Received::Binary("".into()))
    );
    assert_eq!(
        served.next().await.unwrap(),
        Some(Received::Binary("one\n".into()))
    );
    let error = served.next().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    // Nothing is to come any more, and the client goes.
    served.messages = Err(error);
    let told = served.ended().await.unwrap_err();
    assert_eq!(told.to_string(), "the disk is gone");
}

#[tokio::test]
async fn a_client_that_goes_ends_the_sending() {
    let mut served = served("", parts(), true).await;
    served.next().await.unwrap();
    served.messages = Err(io::ErrorKind::NotConnected.into());
    served.ended().await.unwrap();
}
