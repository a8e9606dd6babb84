use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Duration, sleep};

use super::*;
use crate::{AttachRequest, ByteStream, ExecRequest, ExitStatus, RuntimeError};

/// Under paused time: once everybody else waits.
const SOON: Duration = Duration::from_millis(1);

/// Uses none of its streams, and ends when it is told to.
#[derive(Default)]
struct Idle {
    started: Notify,
    end: Notify,
}

impl StreamingRuntime for Idle {
    async fn exec(&self, _: ExecRequest, stdio: Stdio) -> Result<ExitStatus, RuntimeError> {
        drop((stdio.stdin, stdio.resize));
        self.started.notify_one();
        self.end.notified().await;
        Ok(ExitStatus::SUCCESS)
    }

    async fn attach(&self, _: AttachRequest, _: Stdio) -> Result<(), RuntimeError> {
        Err("not here".into())
    }

    async fn port_forward(
        &self,
        _: &str,
        _: u16,
        _: Box<dyn ByteStream>,
    ) -> Result<(), RuntimeError> {
        Err("not here".into())
    }
}

fn sent(mux: &Mux) -> Vec<Outgoing> {
    let mut sent = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(outgoing)) = mux.poll_outgoing(&mut cx) {
        sent.push(outgoing);
    }
    sent
}

/// kubectl takes the end of any stream for the end of the command: a process that closes its
/// standard input must not end anything.
#[tokio::test(start_paused = true)]
async fn streams_end_with_the_command_and_not_before() {
    let mux = Mux::new();
    let stream = |id| Some(mux.open(id));
    let streams = Streams {
        stdin: stream(1),
        error: stream(3),
        resize: stream(5),
        json_status: false,
        ..Streams::default()
    };
    let runtime = Idle::default();
    let config = StreamingConfig::default();
    let request = Request::Exec(ExecRequest::default());
    let client = async {
        runtime.started.notified().await;
        sleep(SOON).await;
        assert_eq!(sent(&mux), []);
        // What arrives is thrown away all the same.
        for id in [1, 5] {
            mux.state().deliver(id, Bytes::from(vec![b' '; 1 << 20]));
        }
        mux.room().await;
        runtime.end.notify_one();
        sleep(SOON).await;
        let (cancelled, end) = (5, true);
        assert_eq!(
            sent(&mux),
            [
                Outgoing::Reset(1, cancelled),
                Outgoing::Reset(5, cancelled),
                Outgoing::Data(3, Bytes::new(), end),
                Outgoing::End,
            ]
        );
        mux.close();
    };
    tokio::join!(serve(&runtime, request, streams, &mux, &config), client);
}
