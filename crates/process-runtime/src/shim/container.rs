//! The life of a shim: start the container, serve until it ends, write down how.

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kubewright_clock::Clock;
use parking_lot::Mutex;
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::channel::{Reader, Writer};
use super::complain;
use super::connection::Running;
use super::log::{LogFile, Stream};
use super::output::Output;
use super::reaper::Reaper;
use super::spawn::{Streams, spawn};
use super::wire::SOCKET;
use crate::durable;
use crate::record::{ContainerRecord, Exit, Outcome, Started};
use crate::store::{EXIT, RECORD, STARTED, STARTING, nanoseconds};

/// How long output may still come when all processes of the container are gone: somebody else may
/// hold its streams.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// How long whoever asked to be told of the end may take to hear it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long a full disk is left alone before the next try to write down how the container ended.
const RETRY: Duration = Duration::from_secs(1);

/// Looks after the container in whose directory this process was started.
///
/// Its standard input is the container's lock; its standard output takes one line, which says
/// whether the container has started.
pub(super) fn main() -> io::Result<()> {
    // Nothing that happens to the runtime's terminal or group reaches the container from here on.
    rustix::process::setsid()?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // Just for those who look at processes; shims look like their program otherwise.
    let _ = rustix::thread::set_name(c"kubewright-shim");
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(run())
}

async fn run() -> io::Result<()> {
    let clock = Clock::system();
    let mut children = signal(SignalKind::child())?;
    let _others = ignored()?;
    let (running, started, mut tasks) = match start(&clock) {
        Ok(parts) => parts,
        Err(reason) => {
            let exit = Exit::not_started(reason, nanoseconds(&clock));
            let written = durable::write(Path::new(EXIT), &exit);
            say(&Outcome::Failed(exit))?;
            return written;
        }
    };
    let mut main = running.reaper.exit_of(started.main);
    say(&Outcome::Started(started.record.clone()))?;
    let mut serving = JoinSet::new();
    let is_written = watch::Sender::new(false);
    serving.spawn(serve(
        started.listener,
        Arc::clone(&running),
        is_written.subscribe(),
    ));
    let code = loop {
        tokio::select! {
            _ = children.recv() => { running.reaper.reap(); }
            code = &mut main => break code.map_err(io::Error::other)?,
        }
    };
    let finished_at = nanoseconds(&clock);
    running.reaper.end_all(&mut children).await;
    // What is still in the pipes belongs to the log before anybody hears of the end.
    let is_late = timeout(LAST_OUTPUT, all(&mut tasks)).await.is_err();
    if is_late && running.output.cut_off() {
        // A client that does not read does not keep it from the log.
        let _ = timeout(LAST_OUTPUT, all(&mut tasks)).await;
    }
    let mut exit = Exit::of_process(code, started.record.started_at, finished_at);
    exit.lost_log_bytes = running.output.lost();
    write_down(&running, exit).await?;
    is_written.send_replace(true);
    // Those who waited for the end are still being told.
    let _ = timeout(LAST_WORDS, serving.join_next()).await;
    Ok(())
}

/// Waits for all tasks. Cancel safe.
async fn all(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

struct Parts {
    record: Started,
    main: rustix::process::Pid,
    listener: UnixListener,
}

/// Starts the container; the tasks take its output.
fn start(clock: &Clock) -> Result<(Arc<Running>, Parts, JoinSet<()>), String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| format!("{what}: {error}")
    };
    // From here on nobody but this shim may start it.
    File::create(STARTING).map_err(failed(STARTING))?;
    let record: ContainerRecord = durable::read(Path::new(RECORD)).map_err(failed(RECORD))?;
    let log = match &record.log_path {
        Some(path) => Some(LogFile::open(path).map_err(failed(&path.display().to_string()))?),
        None => None,
    };
    let listener = UnixListener::bind(SOCKET).map_err(failed(SOCKET))?;
    let (streams, ends) = if record.tty {
        Streams::terminal()
    } else {
        Streams::pipes(record.stdin)
    }
    .map_err(failed("streams"))?;
    let reader = |end| Reader::new(end).map_err(failed("streams"));
    let stdout = reader(ends.stdout)?;
    let stderr = ends.stderr.map(reader).transpose()?;
    let terminal = match (&ends.stdin, record.tty) {
        (Some(near), true) => Some(near.try_clone().map_err(failed("streams"))?),
        _ => None,
    };
    let stdin = ends.stdin.map(Writer::new).transpose();
    let stdin = stdin.map_err(failed("streams"))?.map(Arc::new);
    let started_at = nanoseconds(clock);
    let main = spawn(&record.launch, &record.launch.command, streams, record.tty)?;
    let started = Started {
        shim: rustix::process::getpid().as_raw_pid(),
        pid: main.as_raw_pid(),
        started_at,
    };
    if let Err(error) = durable::write_volatile(Path::new(STARTED), &started) {
        super::reaper::kill_tree(main);
        return Err(failed(STARTED)(error));
    }
    let running = Arc::new(Running {
        record,
        main,
        reaper: Reaper::default(),
        output: Output::new(log),
        stdin: Mutex::new(stdin),
        terminal,
        end: watch::Sender::new(None),
    });
    let mut tasks = JoinSet::new();
    for (stream, from) in [(Stream::Stdout, Some(stdout)), (Stream::Stderr, stderr)] {
        if let Some(from) = from {
            let running = Arc::clone(&running);
            tasks.spawn(async move { running.output.pump(&from, stream).await });
        }
    }
    let parts = Parts {
        record: started,
        main,
        listener,
    };
    Ok((running, parts, tasks))
}

/// Serves until it is written down how the container ended, and all who wait for that were told.
async fn serve(
    listener: UnixListener,
    running: Arc<Running>,
    mut is_written: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    let running = Arc::clone(&running);
                    connections.spawn(async move {
                        // Whoever asked has gone, and asks anew if it still matters.
                        let _ = running.serve(socket).await;
                    });
                }
                // Descriptors have run out; others may be closed soon.
                Err(_) => sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
            () = written(&mut is_written), if connections.is_empty() => return,
        }
    }
}

/// Once it is written down how the container ended.
async fn written(is_written: &mut watch::Receiver<bool>) {
    if is_written.wait_for(|is_written| *is_written).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Writes down how the container ended, for as long as it takes and anybody wants to know.
async fn write_down(running: &Running, exit: Exit) -> io::Result<()> {
    let mut is_told = false;
    loop {
        let written = durable::write(Path::new(EXIT), &exit);
        if !is_told {
            is_told = true;
            running.end.send_replace(Some(exit.clone()));
        }
        match written {
            Ok(()) => return Ok(()),
            // The container was removed: nobody wants to know.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => complain(&format_args!("{EXIT}: {error}")),
        }
        sleep(RETRY).await;
    }
}

/// Signals that would end this process by default, and the container's log with it.
fn ignored() -> io::Result<[Signal; 4]> {
    Ok([
        signal(SignalKind::hangup())?,
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
        signal(SignalKind::user_defined1())?,
    ])
}

fn say(outcome: &Outcome) -> io::Result<()> {
    let mut line = serde_json::to_vec(outcome)?;
    line.push(b'\n');
    match io::stdout().write_all(&line) {
        // The runtime was killed meanwhile; the next one will find the container.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
