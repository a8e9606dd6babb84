//! What a container writes: into its log, and to those who are attached.

use std::sync::Arc;
use std::time::Duration;

use kubewright_clock::Clock;
use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

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
    /// Cancelled once nobody is waited for any more.
    is_late: CancellationToken,
    clock: Clock,
}

impl Output {
    pub(super) fn new(log: Option<LogFile>) -> Self {
        Self {
            log: log.map(Mutex::new),
            attached: Mutex::default(),
            is_late: CancellationToken::new(),
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

    /// From now on what there is goes to the log alone; whether somebody was attached.
    pub(super) fn cut_off(&self) -> bool {
        self.is_late.cancel();
        !std::mem::take(&mut *self.attached.lock()).is_empty()
    }

    async fn show(&self, stream: Stream, output: &[u8]) {
        let attached = self.attached.lock().clone();
        for (_, channel) in attached.iter().filter(|(of, _)| *of == stream) {
            let written = timeout(PATIENCE, channel.write_all(output));
            let written = self.is_late.run_until_cancelled(written).await;
            if !matches!(written, Some(Ok(Ok(())))) {
                self.detach(channel);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::super::channel::pipe;
    use super::*;

    fn written(to: OwnedFd, bytes: &[u8]) {
        std::io::Write::write_all(&mut std::fs::File::from(to), bytes).unwrap();
    }

    #[tokio::test]
    async fn the_log_does_not_end_where_an_attached_client_stopped_reading() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("0.log");
        let output = Output::new(Some(LogFile::open(&path).unwrap()));
        // A client that never reads: what is written to it fills the pipe, and then waits.
        let (_unread, client) = pipe().unwrap();
        let full = Writer::new(client).unwrap();
        let fill = full.write_all(&[0; PART]);
        fill.await.unwrap();
        output.attach(Stream::Stdout, Arc::new(full));

        let (from, to) = pipe().unwrap();
        let from = Reader::new(from).unwrap();
        let pump = output.pump(&from, Stream::Stdout);
        let end = async {
            written(to.try_clone().unwrap(), b"first\n");
            while !std::fs::read_to_string(&path).unwrap().contains("first") {
                tokio::task::yield_now().await;
            }
            written(to, b"last\n");
            assert!(output.cut_off());
        };
        let both = async { tokio::join!(pump, end) };
        timeout(PATIENCE / 2, both)
            .await
            .expect("it does not wait for the client");
        assert!(
            std::fs::read_to_string(&path)
                .unwrap()
                .ends_with("stdout F last\n")
        );
        assert!(!output.cut_off(), "nobody is attached any more");
    }
}
