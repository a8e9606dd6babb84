use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::demo::picture::{Picture, PodState};

/// How often lines are printed where there is no terminal, at most.
const PACE: Duration = Duration::from_millis(250);

/// Shows what happens: live on a terminal, line by line elsewhere.
pub struct Display {
    kind: Kind,
}

enum Kind {
    Live(Live),
    Lines(Lines),
}

/// Three lines that are drawn again and again: a bar, the pods, and what is going on.
struct Live {
    all: MultiProgress,
    bar: ProgressBar,
    pods: ProgressBar,
    step: ProgressBar,
    colours: Colours,
}

/// What was printed last, and when.
#[derive(Default)]
struct Lines {
    last: Option<(String, Instant)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colours {
    On,
    Off,
}

impl Display {
    /// Of what is called so; live if standard output and standard error are a terminal.
    pub fn new(title: &str) -> Self {
        let is_terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
        let kind = match is_terminal {
            true => Kind::Live(Live::new(title)),
            false => Kind::Lines(Lines::default()),
        };
        Self { kind }
    }

    /// Prints a line that stays.
    pub fn line(&self, line: &str) {
        match &self.kind {
            Kind::Live(live) => live.all.suspend(|| print(line)),
            Kind::Lines(_) => print(line),
        }
    }

    /// Says what is being done from now on.
    pub fn begin(&mut self, step: &str) {
        match &mut self.kind {
            Kind::Live(live) => {
                live.step.reset_elapsed();
                live.step.set_message(step.to_owned());
            }
            Kind::Lines(lines) => {
                print(&format!("... {step}"));
                lines.last = None;
            }
        }
    }

    /// Says that it is done, and what was seen.
    pub fn done(&mut self, saw: &str) {
        let mark = match &self.kind {
            Kind::Live(live) => live.colours.paint("32", "✓"),
            Kind::Lines(_) => "ok ".to_owned(),
        };
        self.line(&format!("{mark} {saw}"));
    }

    /// Shows the state of things; cheap to call often.
    pub fn show(&mut self, picture: &Picture, now: Instant) {
        match &mut self.kind {
            Kind::Live(live) => live.show(picture),
            Kind::Lines(lines) => lines.show(picture, now),
        }
    }

    /// Takes everything that moves off the screen.
    pub fn clear(&self) {
        if let Kind::Live(live) = &self.kind {
            for line in [&live.bar, &live.pods, &live.step] {
                line.finish_and_clear();
            }
        }
    }
}

impl Live {
    fn new(title: &str) -> Self {
        let all = MultiProgress::new();
        let line = |template: &str| {
            let style = ProgressStyle::with_template(template).expect("the template is valid");
            let style = style.progress_chars("━╸ ").tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ");
            all.add(ProgressBar::new(0).with_style(style))
        };
        let bar = line("  {prefix:.bold} {bar:30.green} {pos}/{len} ready");
        bar.set_prefix(title.to_owned());
        let pods = line("  {msg}");
        let step = line("{spinner:.cyan} {msg} {elapsed:.dim}");
        let colours = match std::env::var_os("NO_COLOR") {
            Some(_) => Colours::Off,
            None => Colours::On,
        };
        Self {
            bar,
            pods,
            step,
            all,
            colours,
        }
    }

    fn show(&self, picture: &Picture) {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        // A bar of nothing would be a full one.
        self.bar.set_length(count(picture.wanted.unwrap_or(1)));
        self.bar.set_position(count(picture.count(PodState::Ready)));
        let pods = picture.pods.iter();
        let pods = pods
            .map(|pod| self.colours.symbol(pod.state))
            .collect::<String>();
        self.pods.set_message(pods);
        self.step.tick();
    }
}

impl Lines {
    fn show(&mut self, picture: &Picture, now: Instant) {
        let line = picture.to_string();
        let is_news = self
            .last
            .as_ref()
            .is_none_or(|(last, at)| *last != line && now.saturating_duration_since(*at) >= PACE);
        if is_news {
            print(&format!("    {line}"));
            self.last = Some((line, now));
        }
    }
}

impl Colours {
    fn symbol(self, state: PodState) -> String {
        match state {
            PodState::Waiting => self.paint("2", "○ "),
            PodState::Running => self.paint("33", "◐ "),
            PodState::Ready => self.paint("32", "● "),
            PodState::Ended => self.paint("2", "✓ "),
            PodState::Leaving => self.paint("31", "✕ "),
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Off => text.to_owned(),
        }
    }
}

impl fmt::Debug for Display {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Live(_) => "Live",
            Kind::Lines(_) => "Lines",
        };
        f.debug_tuple("Display").field(&kind).finish()
    }
}

fn print(line: &str) {
    // A reader that has gone away is no reason to stop.
    let _ = writeln!(io::stdout().lock(), "{line}");
}
