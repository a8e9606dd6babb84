//! How programs that show something speak, are asked to end, and end.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// How a program ended, other than by a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It did what it is for.
    Done,
    /// Somebody wanted it to stop before.
    Interrupted,
}

/// Prints a line for people and programs at once, whoever reads it.
pub fn say(line: &str) {
    let mut out = io::stdout().lock();
    // A reader that has gone away is no reason to stop.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// The status that a program ends with: 0 if it did what it is for, 130 if it was interrupted, and 1
/// if it failed, which its last line then says.
pub fn conclude(ended: Result<Ended>) -> ExitCode {
    match ended {
        Ok(Ended::Done) => ExitCode::SUCCESS,
        // As a shell reports a program that Ctrl-C ended.
        Ok(Ended::Interrupted) => ExitCode::from(130),
        Err(error) => {
            let error = format!("{error:#}");
            let mut lines = error.lines();
            say(&format!("FAILED {}", lines.next().unwrap_or_default()));
            // Such as a picture of where in a file something is wrong.
            for line in lines {
                let _ = writeln!(io::stderr(), "{line}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Logs to standard error what a filter lets through.
pub fn log(filter: EnvFilter) {
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
}

/// Cancels the token when the program is asked to end.
///
/// Signals are caught from the call on, not just once the future is polled.
///
/// # Errors
///
/// When signals cannot be caught.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn cancel_on_signal(
    stop: CancellationToken,
) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let signal = signal()?;
    Ok(async move {
        signal.await;
        stop.cancel();
    })
}

/// Reads `500ms`, `2s` or `1m 30s`.
///
/// # Errors
///
/// In words, why it is none of those.
pub fn duration(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from(duration).map_err(|_| "time does not run backwards".to_owned())
}

/// Resolves when the program is asked to end.
#[cfg(unix)]
fn signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Resolves when the program is asked to end.
#[cfg(not(unix))]
fn signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        // Without a way to be asked, it runs until it is killed.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
