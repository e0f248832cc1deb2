//! How a run shows how far it is: a bar on a terminal, plain lines elsewhere. Both on stderr, and neither waits for whoever
//! reads it.

use std::io::IsTerminal as _;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use tokio::time::Instant;

/// Shows how far a run is.
#[derive(Debug)]
pub struct Progress {
    bar: Mutex<Option<Bar>>,
    begun: Instant,
    /// What is going on, for the next line: `3/14 ours-udp repetition 2`.
    what: Mutex<String>,
}

/// A bar that a thread of its own draws: on a terminal that was stopped, by Ctrl-S, only the bar stands still.
#[derive(Debug)]
struct Bar {
    orders: SyncSender<Draw>,
    /// Closed by the thread's end.
    ended: Receiver<()>,
}

enum Draw {
    Message(String),
    Note(String),
}

/// Orders that may wait for the terminal; further ones are not shown.
const WAITING: usize = 64;

/// How often the bar moves by itself.
const TICK: Duration = Duration::from_millis(500);

/// How long the end of a run waits for the terminal.
const LAST_TICK: Duration = Duration::from_millis(300);

impl Progress {
    /// For a run that will probably take `expected`.
    pub fn new(expected: Duration) -> Self {
        let bar = std::io::stderr().is_terminal();
        Self {
            bar: Mutex::new(bar.then(|| Bar::start(expected)).flatten()),
            begun: Instant::now(),
            what: Mutex::default(),
        }
    }

    /// A repetition begins.
    pub fn begin(&self, what: String) {
        *self.what.lock() = what;
    }

    /// The repetition has got so far: a line where there is no bar.
    pub fn step(&self, step: &str) {
        let text = self.text(step);
        if !self.draw(|| Draw::Message(text.clone())) {
            let seconds = self.begun.elapsed().as_secs_f64();
            service::logs::say(&format!("{seconds:>6.1} s  {text}"));
        }
    }

    /// A figure that changes all the time: only on a bar.
    pub fn live(&self, figure: &str) {
        self.draw(|| Draw::Message(self.text(figure)));
    }

    /// Something to keep on the screen.
    pub fn note(&self, text: &str) {
        if !self.draw(|| Draw::Note(text.to_owned())) {
            service::logs::say(text);
        }
    }

    /// The bar goes away.
    pub fn end(&self) {
        if let Some(Bar { orders, ended }) = self.bar.lock().take() {
            drop(orders);
            // Ended or not: a terminal that takes nothing is left as it is.
            let _ = ended.recv_timeout(LAST_TICK);
        }
    }

    /// Whether there is a bar to draw this on.
    fn draw(&self, order: impl FnOnce() -> Draw) -> bool {
        let bar = self.bar.lock();
        if let Some(bar) = &*bar {
            // Full: the terminal takes nothing.
            let _ = bar.orders.try_send(order());
        }
        bar.is_some()
    }

    fn text(&self, step: &str) -> String {
        let what = self.what.lock();
        if what.is_empty() {
            step.to_owned()
        } else {
            format!("{what}: {step}")
        }
    }
}

impl Bar {
    /// None where no thread can be made.
    fn start(expected: Duration) -> Option<Self> {
        let (orders, taken) = mpsc::sync_channel(WAITING);
        let (end, ended) = mpsc::channel();
        let draw = move || {
            draw(expected, &taken);
            drop(end);
        };
        let thread = std::thread::Builder::new().name("progress".to_owned());
        thread.spawn(draw).ok().map(|_| Self { orders, ended })
    }
}

fn draw(expected: Duration, orders: &Receiver<Draw>) {
    let length = expected.as_secs().max(1);
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("=> "));
    loop {
        match orders.recv_timeout(TICK) {
            Ok(Draw::Message(text)) => bar.set_message(text),
            Ok(Draw::Note(text)) => bar.println(text),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        bar.set_position(bar.elapsed().as_secs());
        bar.tick();
    }
    bar.finish_and_clear();
}
