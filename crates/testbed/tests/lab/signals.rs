//! A runner that counts the signals that reach it.

use std::io::Write as _;

use tokio::signal::unix::{SignalKind, signal};

/// Says `ready`, then each signal on a line of its own; ends after SIGTERM.
pub(crate) async fn count() {
    let mut interrupt = signal(SignalKind::interrupt()).expect("a handler");
    let mut hangup = signal(SignalKind::hangup()).expect("a handler");
    let mut quit = signal(SignalKind::quit()).expect("a handler");
    let mut terminate = signal(SignalKind::terminate()).expect("a handler");
    say("ready");
    loop {
        tokio::select! {
            biased;
            _ = interrupt.recv() => say("INT"),
            _ = hangup.recv() => say("HUP"),
            _ = quit.recv() => say("QUIT"),
            _ = terminate.recv() => {
                say("TERM");
                return;
            }
        }
    }
}

fn say(word: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{word}")
        .and_then(|()| out.flush())
        .expect("written");
}
