//! One connection of a runtime to a shim.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::UnixStream;
use tokio::sync::watch;

use super::channel::{Reader, Writer};
use super::log::Stream;
use super::output::Output;
use super::reaper::{Reaper, kill_descendants, kill_tree};
use super::spawn::{Streams, spawn};
use super::terminal;
use super::wire::{Reply, Request, closed, receive, send};
use crate::record::{ContainerRecord, Exit};

/// A container that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) record: ContainerRecord,
    /// The process that the container is.
    pub(super) main: Pid,
    pub(super) reaper: Reaper,
    pub(super) output: Output,
    /// None if it has no standard input, or none any more.
    pub(super) stdin: Mutex<Option<Arc<Writer>>>,
    pub(super) terminal: Option<OwnedFd>,
    pub(super) end: watch::Sender<Option<Exit>>,
}

impl Running {
    pub(super) async fn serve(&self, mut socket: UnixStream) -> io::Result<()> {
        let Some((request, descriptors)) = receive::<Request>(&mut socket).await? else {
            return Ok(());
        };
        let reply = match request {
            Request::Watch => self.ended(&mut socket).await,
            Request::Signal(number) => Some(self.signal(number)),
            Request::Kill => Some(self.kill()),
            Request::ReopenLog => Some(done(self.output.reopen_log())),
            Request::Resize { width, height } => Some(self.resize(width, height)),
            Request::Exec { command, tty } => {
                self.exec(&mut socket, &command, tty, descriptors).await
            }
            Request::Attach {
                stdin,
                stdout,
                stderr,
            } => {
                let wanted = [stdin, stdout, stderr];
                self.attach(&mut socket, wanted, descriptors).await
            }
        };
        match reply {
            Some(reply) => send(&mut socket, &reply, &[]).await,
            None => Ok(()),
        }
    }

    /// How it ended, unless the runtime goes away before.
    async fn ended(&self, socket: &mut UnixStream) -> Option<Reply> {
        let mut end = self.end.subscribe();
        let exit = tokio::select! {
            exit = end.wait_for(Option::is_some) => exit.ok()?.clone()?,
            () = closed(socket) => return None,
        };
        Some(Reply::Ended(exit))
    }

    fn signal(&self, number: i32) -> Reply {
        let Some(signal) = Signal::from_named_raw(number) else {
            return Reply::Refused(format!("there is no signal {number}"));
        };
        if !self.reaper.is_there(self.main) {
            // It has ended, and whoever asked is told so elsewhere.
            return Reply::Done;
        }
        // As in any container it is the first process that is told; what it started is its own affair.
        match kill_process(self.main, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Reply::Done,
            Err(error) => Reply::Refused(error.to_string()),
        }
    }

    fn kill(&self) -> Reply {
        kill_descendants(rustix::process::getpid());
        Reply::Done
    }

    fn resize(&self, width: u16, height: u16) -> Reply {
        match &self.terminal {
            Some(terminal) => done(terminal::resize(terminal, width, height)),
            None => Reply::Refused("the container has no terminal".to_owned()),
        }
    }

    async fn exec(
        &self,
        socket: &mut UnixStream,
        command: &[String],
        tty: bool,
        descriptors: Vec<OwnedFd>,
    ) -> Option<Reply> {
        let Ok([stdin, stdout, stderr]) = <[OwnedFd; 3]>::try_from(descriptors) else {
            return Some(Reply::Refused("a command has three streams".to_owned()));
        };
        let streams = Streams {
            stdin,
            stdout,
            stderr,
        };
        if !self.reaper.is_there(self.main) {
            return Some(Reply::Refused("the container has ended".to_owned()));
        }
        let pid = match spawn(&self.record.launch, command, streams, tty) {
            Ok(pid) => pid,
            Err(reason) => return Some(Reply::Refused(reason)),
        };
        let mut exit = self.reaper.exit_of(pid);
        let code = tokio::select! {
            biased;
            // A command that has ended is not to be killed: its number may be another's by now.
            code = &mut exit => code,
            () = closed(socket) => {
                kill_tree(pid);
                exit.await
            }
        };
        code.ok().map(Reply::Exited)
    }

    async fn attach(
        &self,
        socket: &mut UnixStream,
        [stdin, stdout, stderr]: [bool; 3],
        descriptors: Vec<OwnedFd>,
    ) -> Option<Reply> {
        let mut descriptors = descriptors.into_iter();
        let mut next = |is_wanted: bool| is_wanted.then(|| descriptors.next()).flatten();
        let reader = |end| Reader::new(end);
        let writer = |end| Writer::new(end).map(Arc::new);
        let typed = next(stdin).map(reader).transpose();
        let out = next(stdout).map(writer).transpose();
        let err = next(stderr).map(writer).transpose();
        let (typed, out, err) = match (typed, out, err) {
            (Ok(typed), Ok(out), Ok(err)) => (typed, out, err),
            (Err(error), _, _) | (_, Err(error), _) | (_, _, Err(error)) => {
                return Some(Reply::Refused(error.to_string()));
            }
        };
        for (stream, channel) in [(Stream::Stdout, &out), (Stream::Stderr, &err)] {
            if let Some(channel) = channel {
                self.output.attach(stream, Arc::clone(channel));
            }
        }
        let mut end = self.end.subscribe();
        let reply = tokio::select! {
            exit = end.wait_for(Option::is_some) => exit.ok().and_then(|exit| exit.clone()).map(Reply::Ended),
            () = closed(socket) => None,
            () = self.type_in(typed) => None,
        };
        for channel in [out, err].into_iter().flatten() {
            self.output.detach(&channel);
        }
        reply
    }

    /// Takes what a client types to the container. Never returns: a client that has nothing more to
    /// say may go on listening.
    async fn type_in(&self, from: Option<Reader>) {
        if let Some(from) = from {
            let to = self.stdin.lock().clone();
            let mut part = vec![0; 4096];
            while let Ok(read @ 1..) = from.read(&mut part).await {
                let Some(to) = &to else { break };
                if to.write_all(&part[..read]).await.is_err() {
                    break;
                }
            }
            if self.record.stdin_once && self.terminal.is_none() {
                self.stdin.lock().take();
            }
        }
        std::future::pending::<()>().await;
    }
}

fn done(result: io::Result<()>) -> Reply {
    match result {
        Ok(()) => Reply::Done,
        Err(error) => Reply::Refused(error.to_string()),
    }
}
