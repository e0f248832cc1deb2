//! One RTSP session that records the feed on another server than ours.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use media::bus::BusEvent;
use media::packets::ParameterSets;
use media::record::Recorder;
use settings::FeedUrl;
use tokio::sync::{Notify, mpsc};

use super::body::Mailbox;
use crate::metrics::{Asker, Metrics};

/// A session, taken down on a thread of its own: that waits for the server's answer.
struct Session(Option<Recorder>);

impl Drop for Session {
    fn drop(&mut self) {
        let recorder = self.0.take();
        drop(tokio::task::spawn_blocking(move || drop(recorder)));
    }
}

/// Opens a session with the next key frame, which brings the parameter sets, and records until the body ends or the
/// session does. `ask` asks the encoder for a key frame; an error says why the session was lost.
pub(super) async fn serve(
    url: &FeedUrl,
    mailbox: &Mailbox,
    sets: &ParameterSets,
    metrics: &Metrics,
    ask: impl Fn(Asker),
) -> Result<(), String> {
    let mut body = mailbox.open();
    ask(Asker::Feed);
    let Some(Ok(first)) = body.frame().await else {
        return Ok(());
    };
    let Ok(first) = first.into_data() else {
        return Err("the feed's body began without a frame".to_owned());
    };

    let (room, told) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (events, mut heard) = mpsc::channel(4);
    let (has_room, wished) = (Arc::clone(&room), Arc::clone(&told));
    let opened = Recorder::open(
        &url.to_string(),
        &first,
        sets.sprop(),
        move |event| {
            // An end is all that is told here; a full queue holds one already.
            if let BusEvent::Failed(_) | BusEvent::Ended = event {
                let _ = events.try_send(event);
            }
        },
        move || has_room.notify_one(),
        move || wished.notify_one(),
    );
    let mut session = match opened {
        Ok(recorder) => Session(Some(recorder)),
        Err(error) => return Err(error.to_string()),
    };
    let mut next = Some(first);
    let mut given = 0_u64;
    loop {
        tokio::select! {
            event = heard.recv() => {
                return match event {
                    Some(BusEvent::Failed(error)) => Err(error.cause),
                    _ => Ok(()),
                };
            }
            () = told.notified() => ask(Asker::Streamer),
            () = room.notified() => {
                let Some(recorder) = &mut session.0 else { return Ok(()) };
                let frame = match next.take() {
                    Some(first) => Some(first),
                    None => match body.frame().await {
                        Some(Ok(frame)) => frame.into_data().ok(),
                        Some(Err(never)) => match never {},
                        None => None,
                    },
                };
                let Some(frame) = frame else {
                    // There was room, so the last frame has been sent.
                    return Ok(());
                };
                // One that the session did not take is lost with the session, whose end is heard next.
                let _: bool = recorder.push(&frame);
                given += 1;
                // There is room again: the server has taken the first frame.
                if given == 2 {
                    metrics.connected();
                    tracing::info!(feed = %url, "connected");
                }
            }
        }
    }
}
