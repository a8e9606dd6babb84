use std::fmt;
use std::fs::Metadata;
use std::io::{self, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream::{BoxStream, try_unfold};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::time::{Instant, sleep, timeout};

use crate::log::decoder::Decoder;
use crate::log::rotation::uncompressed_files;
use crate::log::tail::tail_start;
use crate::log::watch::Watch;
use crate::log::{LogError, LogOptions};

/// How much is read at a time.
const BLOCK: usize = 64 << 10;
/// How often a follower looks at the log and at the container though nothing told of a change.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a log that was renamed away may take to begin anew.
const ROTATION: Duration = Duration::from_secs(1);
/// How often is looked whether it has.
const ROTATION_PERIOD: Duration = Duration::from_millis(10);

/// What was asked for of a log, piece by piece. Dropping it stops the reading.
pub type LogChunks = BoxStream<'static, Result<Bytes, LogError>>;

/// Reads the log file of a container.
///
/// # Guarantees
///
/// - What is kept in memory is bounded, however long the log and its lines are.
/// - A log that is followed ends when the container has ended and all of its log was read. If a
///   runtime cannot be asked, the container is taken to run.
/// - A file that is renamed away is read to its end before the next one is, which may have been
///   renamed away by then as well. Who follows and is so far behind that it is compressed loses it.
/// - A line that is malformed is left out; one that is not written to its end yet is awaited by a
///   follower, and taken as it is by others.
///
/// Of a log that was rotated before, only the newest file is read, also for its last lines. Between
/// two steps of a rotation there is none, and it is waited for; upstream fails then.
///
/// Answers to `ReadLogs` of Kubernetes 1.36, which follows to the newest file and skips others.
pub struct LogReader {
    path: PathBuf,
    file: File,
    /// How much of the file was read.
    position: u64,
    block: Box<[u8]>,
    decoder: Decoder,
    follow: bool,
    watch: Option<Watch>,
    /// What stands at the path now, while what stood there before is read to its end.
    successor: Option<File>,
    /// When the container was last seen running.
    seen_running: Option<Instant>,
    container_ended: bool,
    finished: bool,
}

impl LogReader {
    /// Opens the file where what is asked for begins.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened or read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future opens nothing.
    pub async fn open(path: &Path, options: &LogOptions) -> Result<Self, LogError> {
        let unopened = |source| LogError::Open {
            path: path.to_owned(),
            source,
        };
        // The directory that is watched is that of the file, and not that of a link to it.
        let deadline = Instant::now() + ROTATION;
        let (path, file) = loop {
            match locate(path).await {
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound
                        && Instant::now() < deadline
                        && was_rotated(path).await => {}
                located => break located.map_err(unopened)?,
            }
            sleep(ROTATION_PERIOD).await;
        };
        let mut reader = Self {
            path,
            file,
            position: 0,
            block: vec![0; BLOCK].into(),
            decoder: Decoder::new(options),
            follow: options.follow,
            watch: None,
            successor: None,
            seen_running: None,
            container_ended: false,
            finished: false,
        };
        if let Some(lines) = options.tail_lines {
            let seek = async {
                let start = tail_start(&mut reader.file, lines).await?;
                reader.file.seek(SeekFrom::Start(start)).await
            };
            let start = seek.await;
            reader.position = start.map_err(|source| reader.unread(source))?;
        }
        Ok(reader)
    }

    /// What is asked for. `is_running` tells whether the container still runs; it is only asked to
    /// follow a log, and once in a second at most.
    pub fn chunks<F, R>(self, is_running: F) -> impl Stream<Item = Result<Bytes, LogError>> + Send
    where
        F: Fn() -> R + Send + Sync,
        R: Future<Output = Result<bool, kubewright_cri::Error>> + Send,
    {
        try_unfold((self, is_running), |(mut reader, is_running)| async move {
            let chunk = reader.next(&is_running).await?;
            Ok(chunk.map(|chunk| (chunk, (reader, is_running))))
        })
    }

    async fn next<F, R>(&mut self, is_running: &F) -> Result<Option<Bytes>, LogError>
    where
        F: Fn() -> R,
        R: Future<Output = Result<bool, kubewright_cri::Error>>,
    {
        while !self.finished && !self.decoder.is_done() {
            let read = self.file.read(&mut self.block).await;
            let read = read.map_err(|source| self.unread(source))?;
            self.position += read as u64;
            let mut chunk = Vec::new();
            if read > 0 {
                self.decoder.push(&self.block[..read], &mut chunk)?;
            } else {
                self.at_end(is_running, &mut chunk).await?;
            }
            if !chunk.is_empty() {
                return Ok(Some(chunk.into()));
            }
        }
        Ok(None)
    }

    /// Finds out what comes after the end of the file, and waits for it.
    async fn at_end<F, R>(&mut self, is_running: &F, chunk: &mut Vec<u8>) -> Result<(), LogError>
    where
        F: Fn() -> R,
        R: Future<Output = Result<bool, kubewright_cri::Error>>,
    {
        if let Some(successor) = self.successor.take() {
            self.decoder.finish(chunk)?;
            self.file = successor;
            self.position = 0;
            return Ok(());
        }
        if !self.follow {
            self.finished = true;
            return self.decoder.finish(chunk);
        }
        if self
            .is_replaced()
            .await
            .map_err(|source| self.unread(source))?
        {
            return Ok(());
        }
        if self.container_ended {
            self.finished = true;
            return self.decoder.finish(chunk);
        }
        let Some(watch) = &self.watch else {
            // What was written before anybody watched is read first.
            self.watch = Some(Watch::new(self.path.parent().unwrap_or(&self.path)));
            return Ok(());
        };
        if self
            .seen_running
            .is_none_or(|seen| seen.elapsed() >= PERIOD)
        {
            match is_running().await {
                Ok(true) => self.seen_running = Some(Instant::now()),
                Err(error) if !error.is_not_found() => {
                    tracing::debug!(%error, "a log is followed though nobody knows of its container");
                    self.seen_running = Some(Instant::now());
                }
                Ok(false) | Err(_) => {
                    // What it wrote last may have come since.
                    self.container_ended = true;
                    return Ok(());
                }
            }
        }
        // Whether something happened or it is only time to look again is the same.
        let _ = timeout(PERIOD, watch.changed()).await;
        Ok(())
    }

    /// Whether the file is to be read on, since another stands in its place or it begins anew.
    async fn is_replaced(&mut self) -> io::Result<bool> {
        let there = match tokio::fs::metadata(&self.path).await {
            Ok(there) => there,
            // Between two steps of a rotation, or the container was removed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let ours = self.file.metadata().await?;
        if !is_same(&there, &ours) {
            self.successor = self.file_after(&ours).await?;
            return Ok(self.successor.is_some());
        }
        if there.len() < self.position {
            self.position = self.file.seek(SeekFrom::Start(0)).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// The file that was begun after this one; `None` if there is none yet, or it was just moved away.
    async fn file_after(&self, ours: &Metadata) -> io::Result<Option<File>> {
        // They need not be listed: the newest is where it was.
        let mut paths = uncompressed_files(&self.path).await.unwrap_or_default();
        paths.push(self.path.clone());
        let mut next = 0;
        for (index, path) in paths.iter().enumerate() {
            let is_ours = |it: Metadata| is_same(&it, ours);
            if tokio::fs::metadata(path).await.is_ok_and(is_ours) {
                next = index + 1;
            }
        }
        // If ours is gone, it was older than all that are there.
        let Some(path) = paths.get(next) else {
            return Ok(None);
        };
        match open(path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    fn unread(&self, source: io::Error) -> LogError {
        LogError::Read {
            path: self.path.clone(),
            source,
        }
    }
}

impl fmt::Debug for LogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogReader")
            .field("path", &self.path)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

async fn locate(path: &Path) -> io::Result<(PathBuf, File)> {
    let path = tokio::fs::canonicalize(path).await?;
    let file = open(&path).await?;
    Ok((path, file))
}

/// Whether a log of this path was moved away; the newest that was is not compressed.
async fn was_rotated(path: &Path) -> bool {
    let moved = uncompressed_files(path).await;
    moved.is_ok_and(|moved| !moved.is_empty())
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

async fn open(path: &Path) -> io::Result<File> {
    let mut file = File::open(path).await?;
    file.set_max_buf_size(BLOCK);
    Ok(file)
}
