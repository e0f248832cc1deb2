//! The pipeline behind a source, and the thread that loops it and hears why it fails.

use std::path::Path;
use std::sync::Arc;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use super::error::SourceError;
use super::film::{self, Film};
use super::past_end;
use super::read_ahead::ReadAhead;
use super::resume::{self, Resume};
use super::round::{Lacking, Round};
use super::streams::{Streams, link_video};
use super::swallowed;
use crate::{bus, element};
use settings::{SourceSpec, VideoSize};

/// Priority of the threads that read ahead: below the encoder's 0, so that they use what it leaves; not so low that a busy
/// machine starves them.
const BACKGROUND_NICE: i32 = 5;

/// Name of the message that ends the reader's thread.
const STOP: &str = "xrbench-source-stop";

pub(super) fn stop_message() -> gst::Message {
    gst::message::Application::new(gst::Structure::new_empty(STOP))
}

/// Builds and starts the pipeline; it fills `pictures` until the message [`stop_message`] comes.
pub(super) fn start(
    spec: &SourceSpec,
    size: VideoSize,
    pictures: &Arc<ReadAhead>,
    memory_bytes: u64,
) -> Result<gst::Pipeline, SourceError> {
    let pipeline = gst::Pipeline::new();
    let info =
        gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, size.width(), size.height())
            .build()
            .map_err(crate::Error::from)?;
    let pool = pool(&info)?;
    let looped = matches!(spec, SourceSpec::File(_));
    let film = Film::new(if looped { memory_bytes } else { 0 });
    let round = Round::default();
    let entrance = tail(
        &pipeline,
        info,
        &pool,
        pictures,
        (film.clone(), round.clone()),
    )?;
    let streams = Streams::default();
    swallowed::repeat_errors(&pipeline);
    head(spec, &pipeline, &entrance, &streams, pictures)?;

    let Some(bus) = pipeline.bus() else {
        return Err(SourceError::Pipeline("a pipeline without a bus".to_owned()));
    };
    bus.set_sync_handler(|_, message| {
        if let gst::MessageView::StreamStatus(status) = message.view()
            && status.get().0 == gst::StreamStatusType::Enter
        {
            // Posted by the new thread itself. Without the lower priority pictures come all the same.
            let _ = rustix::process::setpriority_process(None, BACKGROUND_NICE);
        }
        gst::BusSyncReply::Pass
    });
    // A failure is on the bus, with its cause, where the thread below reads it.
    if let Ok(gst::StateChangeSuccess::NoPreroll) = pipeline.set_state(gst::State::Paused) {
        pictures.set_live();
    }
    let _ = pipeline.set_state(gst::State::Playing);
    let reader = Reader {
        spec: spec.clone(),
        pipeline: pipeline.clone(),
        pictures: Arc::clone(pictures),
        streams,
        film,
        pool,
        round,
        seekable: true,
        warned: false,
        resume: Some(Resume::default()),
        length: None,
        damage: None,
        is_spent: false,
    };
    std::thread::Builder::new()
        .name("xr-source".to_owned())
        .spawn(move || reader.run(&bus))
        .map_err(|error| SourceError::Pipeline(format!("no thread for the source: {error}")))?;
    Ok(pipeline)
}

/// Turns, converts, scales, copies: gives the element that raw video goes into.
fn tail(
    pipeline: &gst::Pipeline,
    info: gst_video::VideoInfo,
    pool: &gst::BufferPool,
    pictures: &Arc<ReadAhead>,
    (film, round): (Film, Round),
) -> Result<gst::Element, SourceError> {
    // As ffmpeg reads a file, so that a reference encodes the same pictures: turned as the file says, and its pixels stretched to
    // the size, whatever their shape. Not every format can be turned.
    let entrance = element("videoconvert")?;
    let turn = element("videoflip")?;
    turn.set_property_from_str("video-direction", "auto");
    let scale = element("videoconvertscale")?;
    scale.set_property("add-borders", false);
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", info.width().cast_signed())
        .field("height", info.height().cast_signed())
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .build();
    // Nor does a change of state wait for a picture: a failure before it would end the change.
    let sink = gst_app::AppSink::builder()
        .caps(&caps)
        .sync(false)
        .async_(false)
        .enable_last_sample(false)
        .max_buffers(1)
        .build();
    let (pool, pictures) = (pool.clone(), Arc::clone(pictures));
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                let picture = copy(&sample, &info, &pool).ok_or(gst::FlowError::Error)?;
                if !round.note(&sample) {
                    return Ok(gst::FlowSuccess::Ok);
                }
                film.keep(&picture);
                if pictures.push(picture) {
                    Ok(gst::FlowSuccess::Ok)
                } else {
                    Err(gst::FlowError::Flushing)
                }
            })
            .build(),
    );
    let chain = [entrance.clone(), turn, scale, sink.upcast()];
    pipeline.add_many(&chain).map_err(crate::Error::from)?;
    gst::Element::link_many(&chain).map_err(crate::Error::from)?;
    Ok(entrance)
}

/// The buffers that pictures are copied into. They come back when the encoder is done with them.
fn pool(info: &gst_video::VideoInfo) -> Result<gst::BufferPool, SourceError> {
    let failed =
        |error: gst::glib::BoolError| SourceError::Pipeline(format!("no picture buffers: {error}"));
    let pool = gst::BufferPool::new();
    let mut config = pool.config();
    let size =
        u32::try_from(info.size()).map_err(|error| SourceError::Pipeline(error.to_string()))?;
    config.set_params(Some(&info.to_caps().map_err(failed)?), size, 4, 0);
    pool.set_config(config).map_err(failed)?;
    pool.set_active(true).map_err(failed)?;
    Ok(pool)
}

fn copy(
    sample: &gst::Sample,
    info: &gst_video::VideoInfo,
    pool: &gst::BufferPool,
) -> Option<gst::Buffer> {
    let theirs = gst_video::VideoInfo::from_caps(sample.caps()?).ok()?;
    let from =
        gst_video::VideoFrameRef::from_buffer_ref_readable(sample.buffer()?, &theirs).ok()?;
    let mut ours = pool.acquire_buffer(None).ok()?;
    let mut to = gst_video::VideoFrameRef::from_buffer_ref_writable(ours.get_mut()?, info).ok()?;
    from.copy(&mut to).ok()?;
    drop(to);
    Some(ours)
}

/// The name of what stands at the end of a pipeline of the user's.
const LAUNCH_END: &str = "xr-end";

/// What gives raw video, linked into `entrance`, at once or as soon as it is known.
fn head(
    spec: &SourceSpec,
    pipeline: &gst::Pipeline,
    entrance: &gst::Element,
    streams: &Streams,
    pictures: &Arc<ReadAhead>,
) -> Result<(), SourceError> {
    let first: gst::Element = match spec {
        SourceSpec::File(path) => {
            let decode = file(path, pipeline, streams)?;
            link_video(&decode, path, entrance, streams, pictures);
            return Ok(());
        }
        SourceSpec::Test => {
            let pattern = element("videotestsrc")?;
            pattern.set_property_from_str("pattern", "smpte75");
            pattern.set_property("horizontal-speed", 4_i32);
            pattern
        }
        SourceSpec::Launch(line) => {
            // The identity gives a line that ends in caps something to link them to. Its pad is shown by hand: what looks for
            // unlinked pads by itself finds those of a demuxer, too, which has none yet.
            let failed = |cause: &str| SourceError::unbuilt(line, cause);
            let described = format!("{line} ! identity name={LAUNCH_END}");
            let bin = gst::parse::bin_from_description(&described, false)
                .map_err(|error| failed(error.message()))?;
            let end = bin
                .by_name(LAUNCH_END)
                .and_then(|end| end.static_pad("src"));
            let end = end.ok_or_else(|| failed("it has no end"))?;
            gst::GhostPad::with_target(&end)
                .and_then(|pad| bin.add_pad(&pad))
                .map_err(|error| failed(&error.to_string()))?;
            bin.upcast()
        }
    };
    pipeline.add(&first).map_err(crate::Error::from)?;
    first.link(entrance).map_err(|error| match spec {
        SourceSpec::Launch(line) => {
            let cause = format!("its end is not raw video ({})", error.message);
            SourceError::unbuilt(line, &cause)
        }
        _ => SourceError::Pipeline(error.to_string()),
    })
}

/// Adds what reads and decodes the file.
fn file(
    path: &Path,
    pipeline: &gst::Pipeline,
    streams: &Streams,
) -> Result<gst::Element, SourceError> {
    let unreadable = |cause: String| SourceError::Unreadable {
        path: path.display().to_string(),
        cause,
    };
    let opened = std::fs::File::open(path).and_then(|file| file.metadata());
    if !opened
        .map_err(|error| unreadable(error.to_string()))?
        .is_file()
    {
        return Err(unreadable("it is not a file".to_owned()));
    }
    let name = path
        .to_str()
        .ok_or_else(|| unreadable("its name is not UTF-8".to_owned()))?;
    let decode = element("decodebin")?;
    let noted = streams.clone();
    let source = past_end::file(name, &decode, move || noted.note_cut())?;
    pipeline
        .add_many([&source, &decode])
        .map_err(crate::Error::from)?;
    source.link(&decode).map_err(crate::Error::from)?;
    Ok(decode)
}

struct Reader {
    spec: SourceSpec,
    pipeline: gst::Pipeline,
    pictures: Arc<ReadAhead>,
    streams: Streams,
    round: Round,
    /// Whether the file can be wound back; else it is opened anew for each round.
    seekable: bool,
    /// Whether it was said what the file lacks.
    warned: bool,
    /// Where the round goes on behind what cannot be read. None once nothing came of that: the file is cut, its sound is longer, or
    /// nothing behind the damage can be decoded alone.
    resume: Option<Resume>,
    /// How long the film says that it lasts.
    length: Option<gst::ClockTime>,
    /// What failed first in this round.
    damage: Option<bus::PipelineError>,
    /// An element has failed since the file was opened: what it gives from then on is not to be relied on.
    is_spent: bool,
    film: Film,
    pool: gst::BufferPool,
}

impl Reader {
    fn run(mut self, bus: &gst::Bus) {
        let _ = rustix::process::setpriority_process(None, BACKGROUND_NICE);
        for message in bus.iter_timed(gst::ClockTime::NONE) {
            match message.view() {
                gst::MessageView::Application(message)
                    if message.structure().is_some_and(|s| s.name() == STOP) =>
                {
                    break;
                }
                gst::MessageView::Eos(_) if !matches!(self.spec, SourceSpec::File(_)) => {
                    self.pictures.end(Ok(()));
                }
                gst::MessageView::Eos(_) if !self.over(false) => break,
                gst::MessageView::Error(_) => {
                    let Some(bus::BusEvent::Failed(error)) = bus::event(&message) else {
                        continue;
                    };
                    // What came of the file before it failed can be shown again and again.
                    let goes_on =
                        matches!(self.spec, SourceSpec::File(_)) && self.round.pictures() > 0;
                    if !goes_on {
                        self.pictures.end(Err(self.explain(&error)));
                        continue;
                    }
                    self.damage.get_or_insert(error);
                    self.is_spent = true;
                    // If nothing follows it, whoever reads the file says so, too.
                    if resume::is_of_decoder(&message) {
                        continue;
                    }
                    self.settle(bus, resume::patience(&message));
                    if !self.over(true) {
                        break;
                    }
                }
                _ => {}
            }
        }
        bus.unset_sync_handler();
        // The program may be ending already; then nobody minds.
        let _ = self.pipeline.set_state(gst::State::Null);
    }

    /// Waits until what was read before a failure has come out of the decoder: to its end, or until nothing has come for `patience`.
    fn settle(&self, bus: &gst::Bus, patience: gst::ClockTime) {
        loop {
            let before = self.round.pictures();
            let ends = [gst::MessageType::Eos, gst::MessageType::Application];
            let ended = bus.timed_pop_filtered(patience, &ends).is_some();
            let waits = self.pictures.is_full() || self.round.pictures() > before;
            if ended || !waits || self.pictures.is_closed() {
                return;
            }
        }
    }

    /// The file is over, or it `failed` and gives no more pictures: the round goes on behind the damage, or the next one begins. False
    /// if nothing more comes on the bus.
    fn over(&mut self, failed: bool) -> bool {
        if self.pictures.is_closed() {
            return false;
        }
        let length = self.pipeline.query_duration::<gst::ClockTime>();
        self.length = length.or(self.length);
        // Some decoders take all that follows for a part of a damaged picture, and say nothing.
        let is_stuck = self.is_spent || self.round.is_short(self.length);
        let how = match (failed, self.is_spent) {
            (true, _) => resume::Stop::Failed,
            (false, true) => resume::Stop::GaveUp,
            (false, false) => resume::Stop::Early,
        };
        self.resume.take_if(|_| self.round.has_gone_back());
        if is_stuck
            && let Some(resume) = &mut self.resume
            && let Some(at) = resume.next(self.round.last(), self.length, how)
            && self.reopen_at(at)
        {
            return !self.pictures.is_closed();
        }
        self.next_round()
    }

    /// From the start again. False if nothing more comes on the bus.
    fn next_round(&mut self) -> bool {
        let tries = self.resume.take();
        let helped = |tries: &Resume| !tries.has_tried() || self.round.has_gone_on();
        self.resume = tries.filter(helped).map(|_| Resume::default());
        let failed = self.damage.take();
        let lacking = self.round.end(self.length, failed.is_some());
        if lacking.read == 0 {
            self.pictures.end(Err(self.empty()));
            return true;
        }
        self.warn(lacking, failed.as_ref());
        if let Some(pictures) = self.film.take() {
            // Nothing more is decoded, and nothing more comes on the bus.
            let _ = self.pipeline.set_state(gst::State::Null);
            film::play(&pictures, &self.pool, &self.pictures);
            return false;
        }
        if !self.is_spent && self.wind_back() {
            return true;
        }
        self.reopen()
    }

    /// Says once what the film lacks, and counts it.
    fn warn(&mut self, lacking: Lacking, failed: Option<&bus::PipelineError>) {
        let is_cut = self.streams.is_cut();
        let is_whole = failed.is_none() && !is_cut;
        // One at least, where the film does not say how many there are.
        let unread = lacking.missing.max(u64::from(!is_whole));
        self.pictures.note_unread(unread);
        if self.warned || (lacking.is_nothing() && is_whole) {
            return;
        }
        self.warned = true;
        let cause = failed.map_or_else(
            || {
                let cause = if is_cut {
                    "the end of the file is missing"
                } else {
                    "the file is cut or damaged, or its sound is longer"
                };
                cause.to_owned()
            },
            ToString::to_string,
        );
        tracing::warn!(
            source = %self.spec, cause,
            "{}; what is left is looped, and another decoder may read more or less of it: find what is wrong by ffmpeg -v error -i FILE -f null -",
            lacking.in_words(),
        );
    }

    fn wind_back(&mut self) -> bool {
        if !self.seekable {
            return false;
        }
        let seek = self.pipeline.seek_simple(
            gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT,
            gst::ClockTime::ZERO,
        );
        if seek.is_err() {
            // A file without an index: from then on it is opened anew each time.
            tracing::debug!(source = %self.spec, "cannot seek; opened anew for each round");
            self.seekable = false;
        }
        self.seekable
    }

    /// Opens the file anew, and goes on at its first picture from `at` on that needs no other. False if it cannot be gone on there.
    fn reopen_at(&mut self, at: gst::ClockTime) -> bool {
        if !self.seekable {
            return false;
        }
        // Until it is known to go on.
        self.is_spent = true;
        let _ = self.pipeline.set_state(gst::State::Null);
        self.streams.forget();
        let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT | gst::SeekFlags::SNAP_AFTER;
        let goes_on = self.pipeline.set_state(gst::State::Paused).is_ok()
            && self.pipeline.state(resume::OPENING).0.is_ok()
            && self.pipeline.seek_simple(flags, at).is_ok();
        if !goes_on {
            return false;
        }
        self.round.resume();
        self.is_spent = false;
        self.pipeline.set_state(gst::State::Playing).is_ok()
    }

    /// Opens the file anew. False once nobody takes pictures any more: then the message that says so may have been lost here.
    fn reopen(&mut self) -> bool {
        // In this state the bus forgets what is left of a failure.
        let _ = self.pipeline.set_state(gst::State::Null);
        self.streams.forget();
        self.is_spent = false;
        if self.pipeline.set_state(gst::State::Playing).is_err() {
            tracing::debug!(source = %self.spec, "the next round does not start");
        }
        // Asked now that the bus takes messages again: whoever closed before cannot have been heard.
        !self.pictures.is_closed()
    }

    /// The reason why a file that can be read to its end has no picture.
    fn empty(&self) -> SourceError {
        let path = self.spec.to_string();
        let path = path.strip_prefix("file:").unwrap_or(&path);
        let broken = || SourceError::Broken {
            path: path.to_owned(),
            cause: "not one picture of it can be decoded".to_owned(),
        };
        self.streams.without_video(path).unwrap_or_else(broken)
    }

    /// The failure in the terms of who named the source.
    fn explain(&self, error: &bus::PipelineError) -> SourceError {
        let path = match &self.spec {
            SourceSpec::File(path) => path.display().to_string(),
            SourceSpec::Launch(line) => {
                return SourceError::failed(line, &error.to_string());
            }
            SourceSpec::Test => return SourceError::Pipeline(error.to_string()),
        };
        if let Some(error) = self.streams.without_video(&path) {
            return error;
        }
        SourceError::Broken {
            path,
            cause: error.to_string(),
        }
    }
}
