//! What a container writes: into its log, and to those who are attached.

use std::sync::Arc;
use std::time::Duration;

use kubewright_clock::Clock;
use parking_lot::Mutex;
use tokio::time::timeout;

use super::channel::{Reader, Writer};
use super::log::{Lines, LogFile, Stream};

/// How long an attached client may stand still before it is cut off. The container waits for it
/// until then, and its log with it.
const PATIENCE: Duration = Duration::from_secs(10);

/// As much as a pipe holds.
const PART: usize = 64 << 10;

/// Where the output of a container goes.
#[derive(Debug)]
pub(super) struct Output {
    /// None if the agent wants no log.
    log: Option<Mutex<LogFile>>,
    attached: Mutex<Vec<(Stream, Arc<Writer>)>>,
    clock: Clock,
}

impl Output {
    pub(super) fn new(log: Option<LogFile>) -> Self {
        Self {
            log: log.map(Mutex::new),
            attached: Mutex::default(),
            clock: Clock::system(),
        }
    }

    /// Takes a stream to its end.
    pub(super) async fn pump(&self, from: &Reader, stream: Stream) {
        let mut lines = Lines::new(stream);
        let mut part = vec![0; PART];
        while let Ok(read @ 1..) = from.read(&mut part).await {
            let output = &part[..read];
            if let Some(log) = &self.log {
                let entries = lines.entries(output, self.clock.now());
                log.lock().write(&entries);
            }
            self.show(stream, output).await;
        }
        if let Some(log) = &self.log {
            let entries = lines.finish(self.clock.now());
            log.lock().write(&entries);
        }
    }

    pub(super) fn reopen_log(&self) -> std::io::Result<()> {
        self.log.as_ref().map_or(Ok(()), |log| log.lock().reopen())
    }

    pub(super) fn lost(&self) -> u64 {
        self.log.as_ref().map_or(0, |log| log.lock().lost())
    }

    pub(super) fn attach(&self, stream: Stream, to: Arc<Writer>) {
        self.attached.lock().push((stream, to));
    }

    pub(super) fn detach(&self, from: &Arc<Writer>) {
        self.attached
            .lock()
            .retain(|(_, channel)| !Arc::ptr_eq(channel, from));
    }

    async fn show(&self, stream: Stream, output: &[u8]) {
        let attached = self.attached.lock().clone();
        for (_, channel) in attached.iter().filter(|(of, _)| *of == stream) {
            let written = timeout(PATIENCE, channel.write_all(output)).await;
            if !matches!(written, Ok(Ok(()))) {
                self.detach(channel);
            }
        }
    }
}
