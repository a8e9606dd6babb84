use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::Stream;
use http_body_util::{BodyDataStream, BodyExt};
use kube_client::client::Body;

use super::answer;
use super::lines::{Line, Lines};
use crate::scan;
use crate::scan::ScanError;
use crate::source::{EventKind, SourceError, Undecodable, WatchEvent};

/// An open watch of an API server.
///
/// It ends after an `ERROR` event or a break of the connection, and when the server closes it.
pub struct KubeWatch {
    chunks: BodyDataStream<Body>,
    lines: Lines,
    /// Whether nothing more comes.
    ended: bool,
}

impl KubeWatch {
    pub(super) fn new(body: Body, max_line: usize) -> Self {
        Self {
            chunks: body.into_data_stream(),
            lines: Lines::new(max_line),
            ended: false,
        }
    }
}

impl Stream for KubeWatch {
    type Item = Result<WatchEvent, SourceError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if this.ended {
                return Poll::Ready(None);
            }
            if let Some(line) = this.lines.next() {
                let event = event(&line);
                this.ended = event.is_err();
                return Poll::Ready(Some(event));
            }
            match ready!(Pin::new(&mut this.chunks).poll_next(cx)) {
                Some(Ok(chunk)) => this.lines.feed(chunk),
                Some(Err(error)) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(SourceError::Transport(error.into()))));
                }
                None => {
                    this.ended = true;
                    return Poll::Ready(this.lines.finish().and_then(|line| last_event(&line)));
                }
            }
        }
    }
}

impl fmt::Debug for KubeWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeWatch")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// The event of a line that nothing ends: none if it was cut off.
///
/// What was cut off comes again with the next watch, for the version has not moved.
fn last_event(line: &Line) -> Option<Result<WatchEvent, SourceError>> {
    match line {
        Line::Whole(text) if scan::line(text).is_err_and(|error| error.is_incomplete()) => None,
        line => Some(event(line)),
    }
}

fn event(line: &Line) -> Result<WatchEvent, SourceError> {
    let unreadable = |error| Ok(WatchEvent::Undecodable(Undecodable::unreadable(error)));
    let text = match line {
        Line::Whole(text) => text,
        Line::TooLong => return unreadable(ScanError::invalid(0, "a line above the maximum")),
    };
    let line = match scan::line(text) {
        Ok(line) => line,
        Err(error) => return unreadable(error),
    };
    let kind = line.kind();
    let change = match &*kind {
        "ADDED" => EventKind::Added,
        "MODIFIED" => EventKind::Modified,
        "DELETED" => EventKind::Deleted,
        "ERROR" => return Err(error(text, &line)),
        _ => return other(text, &kind, &line),
    };
    Ok(match &line.object {
        Ok(object) if object.kind().as_deref() == Some("Table") => {
            WatchEvent::Undecodable(Undecodable::scanned(
                object,
                ScanError::invalid(0, "a Table in place of an object"),
            ))
        }
        Ok(object) => WatchEvent::scanned(change, object),
        Err(error) => WatchEvent::Undecodable(Undecodable {
            deleted: change == EventKind::Deleted,
            ..Undecodable::unreadable(error.clone())
        }),
    })
}

/// Bookmarks, and what is no event at all.
fn other(text: &[u8], kind: &str, line: &scan::Line<'_>) -> Result<WatchEvent, SourceError> {
    let object = match &line.object {
        Ok(object) => object,
        Err(error) => {
            // Some servers end a watch with a bare `Status`.
            if kind.is_empty()
                && let Some(status) = answer::status(text)
            {
                return Err(answer::classify(&status, None));
            }
            return Ok(WatchEvent::Undecodable(Undecodable::unreadable(
                error.clone(),
            )));
        }
    };
    let problem = match object.resource_version() {
        Ok(resource_version) if kind == "BOOKMARK" && resource_version.is_concrete() => {
            return Ok(WatchEvent::Bookmark {
                resource_version,
                ends_initial_events: object.ends_initial_events(),
            });
        }
        Ok(_) if kind == "BOOKMARK" => ScanError::invalid(0, "a bookmark without a version"),
        Ok(_) => ScanError::invalid(0, "a watch event of an unknown type"),
        Err(error) => error,
    };
    Ok(WatchEvent::Undecodable(Undecodable::scanned(
        object, problem,
    )))
}

/// The error that an `ERROR` event tells of.
fn error(text: &[u8], line: &scan::Line<'_>) -> SourceError {
    let status = line.object.as_ref().ok();
    match status.and_then(|object| answer::status(object.source())) {
        Some(status) => answer::classify(&status, None),
        None => SourceError::Malformed {
            context: format!(
                "error event {}",
                String::from_utf8_lossy(&text[..text.len().min(200)])
            ),
            source: line.object.as_ref().err().cloned(),
        },
    }
}
