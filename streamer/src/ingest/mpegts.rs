//! A feed of MPEG-TS: demultiplexed and cut into RTP packets, then like any other.
//!
//! MPEG-TS ends a picture only where the next begins, so it is a frame late by its nature. Nothing more is added: each
//! PES packet is one picture, as every common multiplexer writes them, where a parser would wait for yet another one to be
//! sure. A PES packet that is anything else is refused: its pictures would be torn, or taken for one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use media::h264::Pictures;
use parking_lot::{Mutex, MutexGuard};
use timeline::RtpTimestamp;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::body::Pieces;
use super::intake::{Sent, refusal};
use super::media_type::TS_PACKET_BYTES;
use super::rate::Allowance;
use super::refusal::Refusal;
use super::ts_bounds::{Beyond, Bounds};
use crate::feed::Claim;
use crate::feed::assembler::Assembler;
use crate::feed::sequence::PAYLOAD_TYPE;

/// RTP packets fit a `WireGuard` tunnel inside a cluster's tunnels, as the renderer's do.
const RTP_MTU: u32 = 1150;

/// How much may wait to be demultiplexed.
const QUEUE_BYTES: u64 = 1 << 20;

/// Demultiplexing that much takes no longer, unless the pipeline is stuck.
const STUCK: Duration = Duration::from_secs(5);

/// Other streams that are named in a refusal.
const OTHERS: usize = 16;

/// H.264 must show in this much of a feed.
const SEARCH_BYTES: u64 = 4 << 20;

/// What the pipeline's threads and the body's reader share.
#[derive(Debug)]
struct Shared {
    output: Mutex<Output>,
    room: Notify,
    /// Packets came out, or the feed is refused, whether or not more of its body comes.
    changed: Notify,
}

#[derive(Debug)]
struct Output {
    holding: Holding,
    assembler: Assembler,
    sent: Sent,
    /// Frames that no allowance was asked for yet.
    unpaid_frames: u32,
    /// Added to the demultiplexer's timestamps, which begin anywhere.
    offset: Option<u32>,
    refused: Option<Refusal>,
    /// Whether H.264 was found, and what else.
    found: bool,
    others: Vec<String>,
    all_seen: bool,
}

/// What the feed has of its name.
enum Holding {
    /// How it is claimed, and the runtime that this needs.
    Nothing(Box<dyn FnOnce() -> Result<Claim, Refusal> + Send>, Handle),
    Name(Claim),
    /// The feed has ended, and its name is given back.
    NoMore,
}

impl Holding {
    /// Claims the name, if it is not held yet.
    fn claim(&mut self) -> Result<(), Refusal> {
        if matches!(self, Self::Nothing(..))
            && let Self::Nothing(claim, runtime) = std::mem::replace(self, Self::NoMore)
        {
            let _entered = runtime.enter();
            *self = Self::Name(claim()?);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Holding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing(..) => "Nothing",
            Self::Name(_) => "Name",
            Self::NoMore => "NoMore",
        })
    }
}

impl Shared {
    fn new(claim: Box<dyn FnOnce() -> Result<Claim, Refusal> + Send>) -> Self {
        Self {
            output: Mutex::new(Output {
                holding: Holding::Nothing(claim, Handle::current()),
                assembler: Assembler::new(PAYLOAD_TYPE),
                sent: Sent::default(),
                unpaid_frames: 0,
                offset: None,
                refused: None,
                found: false,
                others: Vec::new(),
                all_seen: false,
            }),
            room: Notify::new(),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Output> {
        self.output.lock()
    }

    fn refuse(&self, why: Refusal) {
        self.lock().refused.get_or_insert(why);
        self.wake();
    }

    /// Wakes the body's reader, wherever it waits.
    fn wake(&self) {
        self.room.notify_one();
        self.changed.notify_one();
    }
}

/// A pipeline that is stopped when it is dropped.
struct Running(gst::Pipeline);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}

/// Takes the MPEG-TS of `pieces` until the body ends. The name is claimed, by `claim`, with the first frame.
pub async fn take(
    pieces: &mut Pieces,
    claim: impl FnOnce() -> Result<Claim, Refusal> + Send + 'static,
) -> Result<Sent, Refusal> {
    let shared = Arc::new(Shared::new(Box::new(claim)));
    let (running, source) = build(&shared).map_err(|error| Refusal::Machine(error.to_string()))?;
    running
        .0
        .set_state(gst::State::Playing)
        .map_err(|error| Refusal::Machine(error.to_string()))?;
    let (mut total, mut bounds, mut allowance) = (0_u64, Bounds::default(), Allowance::default());
    let mut known = 0;
    while let Some(piece) = next(pieces, &shared, &mut known, total).await? {
        total += piece.len() as u64;
        bounds.push(&piece).map_err(|beyond| match beyond {
            Beyond::Endless | Beyond::Unended => Refusal::Endless(beyond),
            _ => Refusal::Garbage {
                packets: total / TS_PACKET_BYTES as u64,
                why: beyond.to_string(),
            },
        })?;
        let pushed = source.push_buffer(gst::Buffer::from_slice(piece));
        check(&shared, total)?;
        if let Err(error) = pushed {
            return Err(Refusal::Garbage {
                packets: total / TS_PACKET_BYTES as u64,
                why: error.to_string(),
            });
        }
        while source.current_level_bytes() > QUEUE_BYTES {
            let room = tokio::time::timeout(STUCK, shared.room.notified()).await;
            check(&shared, total)?;
            room.map_err(|_| Refusal::Machine("the demultiplexer is stuck".to_owned()))?;
        }
        let frames = std::mem::take(&mut shared.lock().unpaid_frames);
        let wait = allowance.spend(frames, Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
    finish(running, &source, &shared).await?;
    check(&shared, total)?;
    let have = total % TS_PACKET_BYTES as u64;
    if have != 0 {
        let packets = total / TS_PACKET_BYTES as u64;
        return Err(Refusal::Cut {
            packets,
            have: usize::try_from(have).unwrap_or(0),
        });
    }
    let output = shared.lock();
    if output.found {
        Ok(output.sent)
    } else {
        Err(Refusal::Codec(list(&output.others)))
    }
}

/// The next piece of the body. What the demultiplexer finds in the last one is heeded although no other comes.
async fn next(
    pieces: &mut Pieces,
    shared: &Shared,
    known: &mut u64,
    total: u64,
) -> Result<Option<Bytes>, Refusal> {
    loop {
        tokio::select! {
            biased;
            () = shared.changed.notified() => {
                check(shared, total)?;
                let packets = shared.lock().sent.packets;
                if packets > *known {
                    *known = packets;
                    pieces.held_packets();
                }
            }
            piece = pieces.next() => return piece,
        }
    }
}

/// Lets what was pushed run through.
async fn finish(
    running: Running,
    source: &gst_app::AppSrc,
    shared: &Arc<Shared>,
) -> Result<(), Refusal> {
    let _ = source.end_of_stream();
    let bus = running.0.bus();
    let ended = tokio::task::spawn_blocking(move || {
        let wait = gst::ClockTime::from_mseconds(500);
        let types = [gst::MessageType::Eos, gst::MessageType::Error];
        bus.and_then(|bus| bus.timed_pop_filtered(wait, &types));
        drop(running);
    });
    ended
        .await
        .map_err(|error| Refusal::Machine(error.to_string()))?;
    shared.lock().holding = Holding::NoMore;
    Ok(())
}

fn check(shared: &Shared, total: u64) -> Result<(), Refusal> {
    let mut output = shared.lock();
    if let Some(refused) = output.refused.take() {
        return Err(refused);
    }
    if !output.found && (output.all_seen || total > SEARCH_BYTES) {
        return Err(Refusal::Codec(list(&output.others)));
    }
    Ok(())
}

fn list(others: &[String]) -> String {
    if others.is_empty() {
        "no known stream".to_owned()
    } else {
        others.join(", ")
    }
}

fn build(shared: &Arc<Shared>) -> Result<(Running, gst_app::AppSrc), media::Error> {
    let source = gst_app::AppSrc::builder()
        .caps(
            &gst::Caps::builder("video/mpegts")
                .field("systemstream", true)
                .field("packetsize", 188_i32)
                .build(),
        )
        .is_live(true)
        .format(gst::Format::Bytes)
        .max_bytes(QUEUE_BYTES)
        .build();
    let room = Arc::downgrade(shared);
    source.set_callbacks(
        gst_app::AppSrcCallbacks::builder()
            .need_data(move |_, _| {
                if let Some(shared) = room.upgrade() {
                    shared.room.notify_one();
                }
            })
            .build(),
    );
    let demux = media::element("tsdemux")?;
    demux.set_property("latency", 0_i32);
    let setter = media::element("capssetter")?;
    let pay = media::element("rtph264pay")?;
    pay.set_property("mtu", RTP_MTU);
    pay.set_property("pt", u32::from(PAYLOAD_TYPE));
    // A transport stream carries its parameter sets with each key frame. The payloader would put them before each slice
    // of one, and viewers would take that for the start of the next frame.
    pay.set_property("config-interval", 0_i32);
    pay.set_property("timestamp-offset", 0_u32);
    pay.set_property("perfect-rtptime", false);
    pay.set_property_from_str("aggregate-mode", "zero-latency");
    // One PES packet is one picture.
    setter.set_property(
        "caps",
        gst::Caps::builder("video/x-h264")
            .field("stream-format", "byte-stream")
            .field("alignment", "au")
            .build(),
    );
    let sink = sink(shared);
    let running = Running(gst::Pipeline::new());
    let elements = [
        source.upcast_ref(),
        &demux,
        &setter,
        &pay,
        sink.upcast_ref::<gst::Element>(),
    ];
    running.0.add_many(elements)?;
    source.link(&demux)?;
    gst::Element::link_many([&setter, &pay, sink.upcast_ref()])?;
    expect_pictures(&setter, shared);
    follow_streams(&demux, &setter, shared);
    let failed = Arc::downgrade(shared);
    if let Some(bus) = running.0.bus() {
        bus.set_sync_handler(move |_, message| {
            match (message.view(), failed.upgrade()) {
                (gst::MessageView::Error(error), Some(shared)) => {
                    let refusal = shared.lock().failed(&error.error());
                    shared.refuse(refusal);
                    gst::BusSyncReply::Pass
                }
                (gst::MessageView::Eos(_), _) => gst::BusSyncReply::Pass,
                // Nobody reads the rest, which would pile up.
                _ => gst::BusSyncReply::Drop,
            }
        });
    }
    Ok((running, source))
}

/// Refuses a stream whose PES packets are not one picture each.
fn expect_pictures(setter: &gst::Element, shared: &Arc<Shared>) {
    let Some(pad) = setter.static_pad("sink") else {
        return;
    };
    let shared = Arc::downgrade(shared);
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let pes = info.buffer().and_then(|buffer| buffer.map_readable().ok());
        let why = pes.and_then(|pes| match media::h264::pictures(&pes) {
            Pictures {
                begun: 1,
                continues: false,
            } => None,
            Pictures { begun: 2.., .. } => Some("several pictures"),
            _ => Some("a part of a picture"),
        });
        if let (Some(why), Some(shared)) = (why, shared.upgrade()) {
            shared.refuse(Refusal::NoPicture(why));
            return media::DROPPED;
        }
        gst::PadProbeReturn::Ok
    });
}

/// Links the first H.264 stream, and notes what else there is.
fn follow_streams(demux: &gst::Element, setter: &gst::Element, shared: &Arc<Shared>) {
    let (target, found) = (setter.downgrade(), Arc::downgrade(shared));
    demux.connect_pad_added(move |_, pad| {
        let (Some(setter), Some(shared)) = (target.upgrade(), found.upgrade()) else {
            return;
        };
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let kind = caps
            .structure(0)
            .map_or_else(|| "unknown".to_owned(), |caps| caps.name().to_string());
        let free = setter.static_pad("sink").filter(|sink| !sink.is_linked());
        let mut output = shared.lock();
        match free {
            Some(sink) if kind == "video/x-h264" => {
                output.found = true;
                drop(output);
                if let Err(error) = pad.link(&sink) {
                    shared.refuse(Refusal::Machine(error.to_string()));
                }
            }
            _ if output.others.len() < OTHERS => output.others.push(kind),
            _ => {}
        }
    });
    let seen = Arc::downgrade(shared);
    demux.connect_no_more_pads(move |_| {
        if let Some(shared) = seen.upgrade() {
            shared.lock().all_seen = true;
            shared.wake();
        }
    });
}

fn sink(shared: &Arc<Shared>) -> gst_app::AppSink {
    let shared = Arc::downgrade(shared);
    let sample = move |sink: &gst_app::AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let Some(shared) = shared.upgrade() else {
            return Err(gst::FlowError::Eos);
        };
        let list = sample.buffer_list_owned();
        let buffers = list
            .iter()
            .flat_map(|list| list.iter())
            .chain(sample.buffer());
        for buffer in buffers {
            let Ok(map) = buffer.map_readable() else {
                continue;
            };
            if let Err(why) = shared.lock().take(&map) {
                shared.refuse(why);
                return Err(gst::FlowError::Error);
            }
        }
        shared.changed.notify_one();
        Ok(gst::FlowSuccess::Ok)
    };
    gst_app::AppSink::builder()
        .sync(false)
        .async_(false)
        .buffer_list(true)
        .enable_last_sample(false)
        .max_buffers(64)
        .callbacks(
            gst_app::AppSinkCallbacks::builder()
                .new_sample(sample)
                .build(),
        )
        .build()
}

impl Output {
    /// A demultiplexer that finds nothing to link to fails as one that finds nothing at all.
    fn failed(&self, error: &gst::glib::Error) -> Refusal {
        if self.found {
            Refusal::Garbage {
                packets: self.sent.packets,
                why: error.to_string(),
            }
        } else {
            Refusal::Codec(list(&self.others))
        }
    }

    fn take(&mut self, packet: &[u8]) -> Result<(), Refusal> {
        if matches!(self.holding, Holding::NoMore) {
            return Ok(());
        }
        let ingested = service::clock::now();
        let wrong = |error: media::rtp::Malformed| Refusal::Machine(error.to_string());
        let timestamp = media::rtp::Packet::new(packet).map_err(wrong)?.timestamp();
        let mut packet = packet.to_vec();
        let mut header = media::rtp::PacketMut::new(&mut packet).map_err(wrong)?;
        // Like a renderer's, they tell the time, so they go on over a restart.
        let offset = *self.offset.get_or_insert_with(|| {
            RtpTimestamp::from_generated(ingested)
                .0
                .wrapping_sub(timestamp.0)
        });
        header.set_timestamp(RtpTimestamp(timestamp.0.wrapping_add(offset)));
        let bytes = packet.len();
        let step = self
            .assembler
            .push(&packet)
            .map_err(|error| refusal(error, self.sent.packets))?;
        self.sent.packets += 1;
        self.unpaid_frames = self.unpaid_frames.saturating_add(step.frames());
        if step.frame.is_some() || step.skipped > 0 {
            self.holding.claim()?;
        }
        if let Holding::Name(claim) = &mut self.holding {
            let name = claim.feed().name().clone();
            claim
                .heard(1, bytes, Instant::now())
                .map_err(|superseded| Refusal::Superseded(name, superseded))?;
            claim.take(step, ingested);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "mpegts_tests.rs"]
mod tests;
