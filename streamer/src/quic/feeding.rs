//! A feed that comes over QUIC: judged at the same door as one over HTTP, put in order, and taken in as any other.

use std::time::{Duration, Instant};

use bytes::Bytes;
use media::framing::TooLong;
use media::h264;
use media::rtp::Packet;
use parking_lot::Mutex;
use roq::Connection;
use roq::answer::Voice;
use roq::framing::FlowId;
use roq::listen::{explain, is_good_end, is_own_end};
use roq::receive::{Flows, Packet as Received, Then, receive_while};
use roq::signal::{Declined, Hidden, Mode, Offer};
use service::Secret;
use settings::FeedTransport;
use tokio::sync::{Notify, broadcast};

use crate::feed::assembler::MAX_PACKET_BYTES;
use crate::feed::lease::Sender;
use crate::feed::name::FeedName;
use crate::feed::parameters::ParameterSets;
use crate::feed::{Claim, Superseded};
use crate::ingest::door::Ingest;
use crate::ingest::intake::{Intake, Sent, refusal};
use crate::ingest::media_type::Unsupported;
use crate::ingest::refusal::Refusal;
use crate::ingest::reorder::Reorder;
use crate::metrics::quic::Counters;

/// A feed that sends no packet for so long is ended. It has lost its name to whoever wants it long before.
const SILENCE: Duration = Duration::from_secs(10);

/// How long a packet on a stream is waited for that is sent again, where those after it have come.
const STREAMS_PATIENCE: Duration = Duration::from_millis(250);

/// How long a datagram is waited for that others have overtaken. A lost one never comes.
const DATAGRAMS_PATIENCE: Duration = Duration::from_millis(5);

/// The longest mark of a process.
const PROCESS_BYTES_MAX: usize = 64;

/// Takes in what `connection` offers, until it ends, and tells whoever feeds why, if it was not their will.
pub(super) async fn serve(
    door: &Ingest,
    counters: &Counters,
    connection: &Connection,
    mut voice: Voice,
    offer: Offer,
) {
    let peer = connection.remote_address();
    let offered = offer.name.clone();
    let ended = take(door, counters, connection, &mut voice, offer).await;
    match ended {
        Ok(sent) => tracing::info!(%peer, feed = offered, packets = sent.packets, "feed ended"),
        Err(refusal) => {
            tracing::info!(%peer, feed = offered, %refusal, "feed refused or ended");
            door.count(&refusal);
            let problem = refusal.problem();
            let why = format!("{}: {}; {}", problem.title, problem.detail, problem.remedy);
            let status = problem.status;
            voice.decline(Declined { status, why }).await;
        }
    }
}

async fn take(
    door: &Ingest,
    counters: &Counters,
    connection: &Connection,
    voice: &mut Voice,
    offer: Offer,
) -> Result<Sent, Refusal> {
    let name = FeedName::new(&offer.name)?;
    let sender = sender(&offer);
    if door.token.is_none() {
        return Err(Refusal::NoToken);
    }
    door.admit(&sender)?;
    if offer.payload_type > 127 {
        return Err(Refusal::MediaType(Unsupported::Parameter {
            key: "payload",
            found: offer.payload_type.to_string(),
            wanted: "a number from 0 to 127",
        }));
    }
    door.check(&name, &sender)?;
    let sets = offer.sprop_parameter_sets.as_deref().unwrap_or_default();
    let sets = ParameterSets::from_sprop(sets);
    let (transport, patience) = match offer.by {
        Mode::Datagram => (FeedTransport::QuicDatagram, DATAGRAMS_PATIENCE),
        Mode::Stream => (FeedTransport::QuicStream, STREAMS_PATIENCE),
    };
    voice.take().await.map_err(Refusal::Broken)?;

    let claim = || door.claim(&name, sender.clone(), &sets, transport);
    let line = Mutex::new(Line {
        intake: Intake::new(offer.payload_type, claim),
        reorder: Reorder::new(patience),
        refused: None,
        heard: Instant::now(),
    });
    // The name is claimed; something waits in the line.
    let (claimed, waits) = (Notify::new(), Notify::new());
    let flows = Flows {
        rtp: Some(FlowId::RTP),
        rtcp: FlowId::RTCP,
    };
    let receiving = receive_while(connection, flows, &counters.fed, |packet| {
        let Received::Rtp(packet) = packet else {
            return Then::Go;
        };
        let mut line = line.lock();
        let had_name = line.intake.claimed().is_some();
        let then = line.take(&packet, Instant::now());
        if !had_name && line.intake.claimed().is_some() {
            claimed.notify_one();
        }
        if line.reorder.due().is_some() {
            waits.notify_one();
        }
        then
    });
    let telling = async {
        claimed.notified().await;
        let (wishes, ended) = {
            let line = line.lock();
            let claim = line.intake.claimed();
            let claim = claim.expect("whoever says so has claimed it");
            let feed = claim.feed();
            ((feed.wishes(), feed.take_unheard()), claim.ended())
        };
        tokio::select! {
            () = ended.cancelled() => Refusal::Superseded(name.clone(), Superseded),
            why = tell(voice, wishes) => Refusal::Broken(why),
        }
    };
    let ended = tokio::select! {
        biased;
        () = door.shutdown.fired() => Err(Refusal::Stopping),
        refusal = telling => Err(refusal),
        refusal = line_keeper(&line, &waits) => Err(refusal),
        ended = receiving => Ok(ended),
    };
    let mut line = line.into_inner();
    counters.late.inc_by(line.reorder.late());
    let ended = ended?;
    if let Some(refused) = line.refused {
        return Err(refused);
    }
    if is_own_end(&ended) {
        return Err(Refusal::Garbage {
            packets: line.intake.sent().packets,
            why: "too much that is no RTP of flow 1, and no RTCP of flow 2".to_owned(),
        });
    }
    if !is_good_end(&ended) {
        return Err(Refusal::Broken(explain(&ended)));
    }
    // What the last gap has held up.
    line.pass(Instant::now() + patience)?;
    Ok(line.intake.sent())
}

fn sender(offer: &Offer) -> Sender {
    let secret = |hidden: &Hidden| Secret::new(&*hidden.0);
    let process = offer.process.as_ref();
    Sender {
        token: offer.token.as_ref().map(secret),
        process: process
            .filter(|mark| (1..=PROCESS_BYTES_MAX).contains(&mark.0.len()))
            .map(secret),
    }
}

/// Asks for the key frames that are wished for; why whoever feeds cannot be told any more.
async fn tell(voice: &mut Voice, (mut wishes, unheard): (broadcast::Receiver<()>, bool)) -> String {
    let mut wanted = unheard;
    loop {
        if wanted && let Err(why) = voice.ask().await {
            return why;
        }
        wanted = match wishes.recv().await {
            // Wishes that were missed are served by one key frame.
            Ok(()) | Err(broadcast::error::RecvError::Lagged(_)) => true,
            // The name is kept for as long as it is fed.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        };
    }
}

/// Passes on what has waited for long enough; why the feed ends that is silent, or of which that cannot be passed on.
async fn line_keeper<F>(line: &Mutex<Line<F>>, waits: &Notify) -> Refusal
where
    F: FnMut() -> Result<Claim, Refusal>,
{
    loop {
        let due = {
            let mut line = line.lock();
            let now = Instant::now();
            // That it comes too fast is for whoever reads it to heed.
            if let Err(refusal) = line.pass(now) {
                return refusal;
            }
            let silent = line.heard + SILENCE;
            if now >= silent {
                return Refusal::Silent(SILENCE.as_secs());
            }
            line.reorder.due().map_or(silent, |due| due.min(silent))
        };
        tokio::select! {
            () = tokio::time::sleep_until(due.into()) => {}
            () = waits.notified() => {}
        }
    }
}

/// A feed's packets between its connection and its name.
struct Line<F> {
    intake: Intake<F>,
    reorder: Reorder,
    /// The reason for which nothing more is taken.
    refused: Option<Refusal>,
    /// When the last packet came.
    heard: Instant,
}

impl<F: FnMut() -> Result<Claim, Refusal>> Line<F> {
    /// Takes a packet that came at `now`, and passes on what it let through.
    fn take(&mut self, packet: &Bytes, now: Instant) -> Then {
        match self.try_take(packet, now) {
            Ok(wait) if wait.is_zero() => Then::Go,
            Ok(wait) => Then::Wait(wait),
            Err(refusal) => {
                self.refused = Some(refusal);
                Then::End
            }
        }
    }

    fn try_take(&mut self, packet: &Bytes, now: Instant) -> Result<Duration, Refusal> {
        if packet.len() > MAX_PACKET_BYTES {
            return Err(Refusal::TooLong(TooLong {
                length: packet.len(),
                limit: MAX_PACKET_BYTES,
            }));
        }
        let read = Packet::new(packet);
        let header = read.map_err(|error| refusal(error.into(), self.intake.sent().packets))?;
        self.heard = now;
        let is_key = begins(header.payload());
        self.reorder.push(header.sequence(), is_key, packet, now);
        self.pass(now)
    }

    /// Passes on what nothing holds up any more; the time that the feed must wait before more is read of it.
    fn pass(&mut self, now: Instant) -> Result<Duration, Refusal> {
        let (mut packets, mut bytes, mut wait) = (0, 0, Duration::ZERO);
        while let Some(packet) = self.reorder.pop(now) {
            let asked = self.intake.take(&packet, service::clock::now())?;
            wait = wait.max(asked);
            packets += 1;
            bytes += packet.len();
        }
        self.intake.heard(packets, bytes, now)?;
        Ok(wait)
    }
}

/// Whether a key frame begins with this payload, as far as that is certain: slices of one begin in several.
fn begins(payload: &[u8]) -> bool {
    h264::nals(payload).any(|nal| nal.kind == h264::NAL_SPS)
}
