use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::time::{Instant, interval, timeout_at};

use crate::demo::display::Display;
use crate::demo::picture::Picture;
use crate::demo::view::View;

/// How often the display is drawn anew while nothing changes.
const FRAME: Duration = Duration::from_millis(100);

/// Where steps are taken in front of people: each is announced, shown while it goes on, and has to
/// be over in time.
#[derive(Debug)]
pub struct Stage {
    view: View,
    display: Display,
    deadline: Duration,
}

/// A step that was begun. It is given back to [`Stage::end`] with what became of it.
#[derive(Debug)]
#[must_use = "a step that is begun has to be ended"]
pub struct Step {
    name: String,
    started: Instant,
}

/// A step that did not go as it should.
#[derive(Debug)]
pub struct Failed {
    /// The step.
    pub step: String,
    /// What went wrong.
    pub reason: anyhow::Error,
}

impl Stage {
    /// A stage that is looked at through `view` and shown on `display`; whatever a step waits for
    /// has to come within `deadline`.
    pub const fn new(view: View, display: Display, deadline: Duration) -> Self {
        Self {
            view,
            display,
            deadline,
        }
    }

    /// What the stage is looked at through.
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// Announces a step.
    pub fn begin(&mut self, step: impl Into<String>) -> Step {
        let name = step.into();
        self.display.begin(&name);
        Step {
            name,
            started: Instant::now(),
        }
    }

    /// Says what was seen of a step.
    ///
    /// # Errors
    ///
    /// That the step failed.
    pub fn end(&mut self, step: Step, saw: Result<String>) -> Result<(), Failed> {
        let Step { name, started } = step;
        match saw {
            Ok(saw) => {
                let took = started.elapsed().as_secs_f64();
                self.display.done(&format!("{name}: {saw} ({took:.1} s)"));
                Ok(())
            }
            Err(reason) => Err(Failed { step: name, reason }),
        }
    }

    /// Waits for a picture, first as watched and then as asked for, and shows what comes before it.
    ///
    /// # Errors
    ///
    /// It does not come in time, or the server does not answer.
    pub async fn until(&mut self, is_wanted: impl Fn(&Picture) -> bool) -> Result<()> {
        self.until_seen(async |view| {
            let picture = view.picture();
            if is_wanted(&picture) && is_wanted(&view.ask().await?) {
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(picture.to_string()))
        })
        .await
    }

    /// Waits until `look` breaks with what it was to see, and shows what comes before it.
    ///
    /// It looks whenever the view changes and a few times a second besides; what it continues with
    /// is what it still misses.
    ///
    /// # Errors
    ///
    /// It does not come in time, or looking fails.
    pub async fn until_seen<T>(
        &mut self,
        mut look: impl AsyncFnMut(&View) -> Result<ControlFlow<T, String>>,
    ) -> Result<T> {
        let deadline = Instant::now() + self.deadline;
        let mut frames = interval(FRAME);
        let mut missed = String::new();
        loop {
            self.display.show(&self.view.picture(), Instant::now());
            if let Ok(seen) = timeout_at(deadline, look(&self.view)).await {
                match seen? {
                    ControlFlow::Break(seen) if Instant::now() < deadline => return Ok(seen),
                    ControlFlow::Break(_) => "it came too late".clone_into(&mut missed),
                    ControlFlow::Continue(misses) => missed = misses,
                }
            }
            if Instant::now() >= deadline {
                let limit = self.deadline;
                return Err(anyhow!("not over within {limit:?}; {missed}"));
            }
            tokio::select! {
                changed = self.view.changed() => changed?,
                _ = frames.tick() => {}
            }
        }
    }

    /// Takes everything that moves off the screen.
    pub fn clear(&self) {
        self.display.clear();
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:#}", self.step, self.reason)
    }
}

impl std::error::Error for Failed {}

#[cfg(test)]
mod tests {
    use kube_client::Client;
    use kubewright_apiserver::{ApiServer, Config};
    use kubewright_cache::ObjectKey;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_seen_too_late_is_not_taken() {
        let server = ApiServer::new(Config::default()).unwrap();
        let client = Client::new(server.service(), "default");
        let view = View::new(&client, ObjectKey::namespaced("default", "it")).unwrap();
        let mut stage = Stage::new(view, Display::new("it"), Duration::from_secs(1));
        for (takes, is_taken) in [(999, true), (1000, false), (2000, false)] {
            let look = async |_: &View| {
                advance(Duration::from_millis(takes)).await;
                Ok(ControlFlow::Break(()))
            };
            let seen = stage.until_seen(look).await;
            assert_eq!(seen.is_ok(), is_taken, "{takes}: {seen:?}");
        }
    }
}
