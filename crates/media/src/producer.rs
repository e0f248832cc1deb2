//! The pipeline that makes frames: each tick takes a picture, stamps it, encodes it, and hands it to what is linked behind.
//!
//! ```text
//! Source ~~> appsrc -> encoder -> capsfilter -> tail ...
//!              |          \ stamp drawn on the encoder's sink pad
//!              \ sleeps until the tick, in the one streaming thread that also encodes and packs
//! ```
//!
//! There is no queue and no other thread between the tick and the tail: the encoder's thread itself asks for the next
//! picture, and a tick that passes while it still encodes is skipped and counted, never queued.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use stamp::Stamp;

use crate::encode::{self, EncoderConfig};
use crate::generate::{self, Clock, Stamps};
use crate::pace::Metronome;
use crate::source::{Source, Taken};
use crate::{Error, bus};

/// The reason why a tick has no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skip {
    /// The source had no picture ready.
    Source,
    /// The tick passed while the frame before it was still being encoded.
    Encoder,
}

/// Who is told what the producer does, in its streaming thread: every call must be quick.
pub trait Observer: Send + Sync + 'static {
    /// A tick was served, this many nanoseconds after it was due.
    fn tick(&self, late_nanos: u64) {
        let _ = late_nanos;
    }

    /// Counts ticks that have no frame.
    fn skipped(&self, ticks: u64, why: Skip) {
        let _ = (ticks, why);
    }

    /// The frame of this tick is made a key frame because one was asked for.
    fn forced_key_frame(&self) {}

    /// A picture was stamped and goes into the encoder.
    fn generated(&self, stamp: Stamp);

    /// The producer has ended: of itself at the end of its source or when it failed, or because it was stopped.
    fn ended(&self, result: Result<(), String>);
}

/// The least time between two key frames that were asked for: a key frame is ten times as large as others.
pub const KEY_FRAME_NANOS: u64 = 100_000_000;

/// Bounds the rate of key frames that were asked for: pure, time is an argument.
#[derive(Debug, Default)]
struct Gate {
    asked: bool,
    last_nanos: Option<u64>,
}

impl Gate {
    /// Whether the frame at `now_nanos` is to be a key frame; `asked` says whether one was asked for since the last call.
    fn opens(&mut self, asked: bool, now_nanos: u64) -> bool {
        self.asked |= asked;
        let due = self
            .last_nanos
            .is_none_or(|last| now_nanos.saturating_sub(last) >= KEY_FRAME_NANOS);
        if !self.asked || !due {
            return false;
        }
        *self = Self {
            asked: false,
            last_nanos: Some(now_nanos),
        };
        true
    }
}

/// A running producer; dropping it stops it.
#[derive(Debug)]
pub struct Producer {
    pipeline: gst::Pipeline,
    control: Control,
}

/// Stops a producer or asks it for a key frame, from any thread.
#[derive(Clone, Debug, Default)]
pub struct Control(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    stop: AtomicBool,
    key_frame: AtomicBool,
}

impl Control {
    /// The next frame will be a key frame; of requests closer together than [`KEY_FRAME_NANOS`] the later one waits so long.
    pub fn request_key_frame(&self) {
        self.0.key_frame.store(true, Ordering::Relaxed);
    }

    /// No tick is served any more; what is in the encoder comes out, then [`Observer::ended`] is called.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }

    fn stops(&self) -> bool {
        self.0.stop.load(Ordering::Relaxed)
    }
}

impl Producer {
    /// Builds the pipeline, with `tail` linked behind the encoder, and starts it: the first tick is now.
    pub fn start(
        config: &EncoderConfig,
        source: Source,
        stamps: Stamps,
        clock: Clock,
        tail: &[gst::Element],
        observer: Arc<dyn Observer>,
    ) -> Result<Self, Error> {
        let info = pictures(config)?;
        let control = Control::default();
        let head = gst_app::AppSrc::builder()
            .name("pictures")
            .caps(&info.to_caps()?)
            .format(gst::Format::Time)
            .is_live(true)
            .callbacks(serve(
                config,
                source,
                control.clone(),
                Arc::clone(&observer),
            ))
            .build();
        let coding = encode::elements(config)?;
        let Some(entrance) = coding[0].static_pad("sink") else {
            return Err(Error::Build(format!("{} has no sink pad", config.encoder)));
        };
        let told = Arc::clone(&observer);
        generate::attach(&entrance, info, stamps, clock, move |stamp| {
            told.generated(stamp);
        });

        let pipeline = gst::Pipeline::new();
        let mut chain = vec![head.upcast()];
        chain.extend(coding);
        chain.extend_from_slice(tail);
        pipeline.add_many(&chain)?;
        gst::Element::link_many(&chain)?;
        report(&pipeline, observer);
        let producer = Self { pipeline, control };
        if producer.pipeline.set_state(gst::State::Playing).is_err() {
            return Err(Error::Start(
                "an element refuses to play; --log debug says which".to_owned(),
            ));
        }
        Ok(producer)
    }

    /// What stops it or asks it for a key frame.
    pub fn control(&self) -> Control {
        self.control.clone()
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.control.stop();
        bus::unwatch(&self.pipeline);
        // Nothing is left that could be told of a failure to stop.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn pictures(config: &EncoderConfig) -> Result<gst_video::VideoInfo, Error> {
    let (width, height) = (config.size.width(), config.size.height());
    let numerator = i32::try_from(config.fps.numerator());
    let denominator = i32::try_from(config.fps.denominator());
    let (Ok(numerator), Ok(denominator)) = (numerator, denominator) else {
        return Err(Error::Build(format!(
            "{} frames a second is no rate that caps can hold",
            config.fps
        )));
    };
    let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, width, height)
        .fps(gst::Fraction::new(numerator, denominator))
        .par(gst::Fraction::new(1, 1))
        .build()?;
    Ok(info)
}

fn report(pipeline: &gst::Pipeline, observer: Arc<dyn Observer>) {
    let told = AtomicBool::new(false);
    let end = move |result: Result<(), String>| {
        // One failure makes several elements complain; the first says what happened.
        if !told.swap(true, Ordering::Relaxed) {
            observer.ended(result);
        }
    };
    bus::watch(pipeline, move |event| match event {
        bus::BusEvent::Failed(error) => end(Err(error.to_string())),
        bus::BusEvent::Ended => end(Ok(())),
        bus::BusEvent::Warned(warning) => tracing::warn!(%warning, "pipeline"),
        bus::BusEvent::LatencyChanged => {}
    });
}

/// Called by appsrc whenever its encoder is free: sleeps until the next tick that has a picture, and gives it that.
fn serve(
    config: &EncoderConfig,
    source: Source,
    control: Control,
    observer: Arc<dyn Observer>,
) -> gst_app::AppSrcCallbacks {
    let rate = config.fps;
    let mut metronome = None;
    let mut gate = Gate::default();
    gst_app::AppSrcCallbacks::builder()
        .need_data(move |head, _| {
            let metronome = metronome.get_or_insert_with(|| Metronome::start(rate));
            loop {
                let (tick, late_nanos) = metronome.wait();
                if tick.skipped > 0 {
                    observer.skipped(tick.skipped, Skip::Encoder);
                    source.skip(tick.skipped);
                }
                if control.stops() {
                    end(head);
                    return;
                }
                let mut picture = match source.take() {
                    Taken::Picture(picture) => picture,
                    Taken::NotYet => {
                        observer.skipped(1, Skip::Source);
                        continue;
                    }
                    Taken::Over(Ok(())) => return end(head),
                    Taken::Over(Err(error)) => {
                        gst::element_error!(head, gst::ResourceError::Read, ("{}", error));
                        return end(head);
                    }
                };
                observer.tick(late_nanos);
                let buffer = picture.make_mut();
                buffer.set_offset(tick.number);
                buffer.set_pts(gst::ClockTime::from_nseconds(tick.due_nanos));
                buffer.set_duration(gst::ClockTime::from_nseconds(
                    rate.nanos_until(tick.number + 1) - tick.due_nanos,
                ));
                let asked = control.0.key_frame.swap(false, Ordering::Relaxed);
                if gate.opens(asked, tick.due_nanos) {
                    observer.forced_key_frame();
                    let force = gst_video::DownstreamForceKeyUnitEvent::builder()
                        .all_headers(true)
                        .build();
                    if let Some(pad) = head.static_pad("src") {
                        pad.push_event(force);
                    }
                }
                // It fails only while the pipeline is being stopped, and then there is nothing left to do.
                let _ = head.push_buffer(picture);
                return;
            }
        })
        .build()
}

fn end(head: &gst_app::AppSrc) {
    // It fails only while the pipeline is being stopped.
    let _ = head.end_of_stream();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_frames_are_forced_at_a_bounded_rate_and_none_is_forgotten() {
        let mut gate = Gate::default();
        let ms = 1_000_000;
        assert!(!gate.opens(false, 0));
        assert!(gate.opens(true, 10 * ms));
        assert!(!gate.opens(true, 27 * ms), "too soon");
        assert!(!gate.opens(true, 109 * ms));
        assert!(gate.opens(false, 110 * ms), "asked for before, and due now");
        assert!(!gate.opens(false, 500 * ms), "served");
    }
}
