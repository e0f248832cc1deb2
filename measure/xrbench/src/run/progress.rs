//! How a run shows how far it is: a bar on a terminal, plain lines elsewhere. Both on stderr.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use tokio::time::Instant;

/// Shows how far a run is.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    begun: Instant,
    /// What is going on, for the next line: `3/14 ours-udp run 2`.
    what: Mutex<String>,
}

impl Progress {
    /// For a run that will probably take `expected`.
    pub fn new(expected: Duration) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(
                Some(expected.as_secs().max(1)),
                ProgressDrawTarget::stderr(),
            );
            let style = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {msg}");
            bar.set_style(
                style
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("=> "),
            );
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        Self {
            bar,
            begun: Instant::now(),
            what: Mutex::default(),
        }
    }

    /// A repetition begins.
    pub fn begin(&self, what: String) {
        *self.what.lock() = what;
    }

    /// It has got so far: a line where there is no bar.
    pub fn step(&self, step: &str) {
        let text = self.text(step);
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None => line(&format!(
                "{:>6.1} s  {text}",
                self.begun.elapsed().as_secs_f64()
            )),
        }
        self.tick();
    }

    /// A figure that changes all the time: only on a bar.
    pub fn live(&self, figure: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(self.text(figure));
        }
        self.tick();
    }

    /// Something to keep on the screen.
    pub fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => line(text),
        }
    }

    /// The bar goes away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn text(&self, step: &str) -> String {
        let what = self.what.lock();
        if what.is_empty() {
            step.to_owned()
        } else {
            format!("{what}: {step}")
        }
    }

    fn tick(&self) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.begun.elapsed().as_secs());
        }
    }
}

fn line(text: &str) {
    use std::io::Write as _;
    // There is nowhere left to say that stderr is closed.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
