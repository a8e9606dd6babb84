//! A web server of one page.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What the server says to whoever asks.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) status: &'static str,
    /// A line, or nothing.
    pub(crate) header: &'static str,
    pub(crate) body: Vec<u8>,
}

/// Serves a page on loopback, and remembers how it was asked. Ends when dropped.
pub(crate) struct Web {
    address: std::net::SocketAddr,
    state: Arc<Mutex<(Page, Vec<String>)>>,
    _tasks: JoinSet<()>,
}

impl Web {
    pub(crate) async fn serving(body: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new((Page::ok(body), Vec::new())));
        let mut tasks = JoinSet::new();
        let pages = Arc::clone(&state);
        tasks.spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    match socket.read_u8().await {
                        Ok(byte) => request.push(byte),
                        Err(_) => break,
                    }
                }
                let page = {
                    let mut state = pages.lock();
                    state.1.push(String::from_utf8(request).unwrap());
                    state.0.clone()
                };
                let length = page.body.len();
                let head = format!(
                    "HTTP/1.1 {}\r\n{}Content-Length: {length}\r\nConnection: close\r\n\r\n",
                    page.status, page.header
                );
                let _ = socket.write_all(head.as_bytes()).await;
                let _ = socket.write_all(&page.body).await;
            }
        });
        Self {
            address,
            state,
            _tasks: tasks,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn show(&self, page: Page) {
        self.state.lock().0 = page;
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().1.clone()
    }

    /// Waits until the server was asked `count` times more.
    pub(crate) async fn asked_again(&self, count: usize) {
        let before = self.requests().len();
        let asked = async {
            while self.requests().len() < before + count {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        let asked = tokio::time::timeout(crate::pods::DEADLINE, asked).await;
        asked.expect("the server is asked in time");
    }
}

impl Page {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: "200 OK",
            header: "",
            body: body.into(),
        }
    }

    pub(crate) fn with_status(self, status: &'static str) -> Self {
        Self { status, ..self }
    }
}
