//! Where people see the shown frames: a window, or a video file. A pipeline of its own behind a bounded queue, so that it
//! neither holds up the measurement nor ends with a session.

use std::path::Path;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use media::Error;
use stamp::{PlaneMut, Stamp};
use timeline::UnixMicros;

use crate::metrics::Fates;

/// Pictures that may wait for a window: what is older than this is better not shown.
const WINDOW_QUEUE: u64 = 3;

/// Pictures that may wait for the encoder of a recording: half a second, some 40 MB at 720p.
const RECORD_QUEUE: u64 = 30;

/// The end of one way to show pictures.
#[derive(Debug)]
pub struct Screen {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    queue: u64,
    scaled: Option<gst::Element>,
    form: Option<Form>,
    begin: Option<UnixMicros>,
    /// When the last picture was decoded, in microseconds since the first.
    last_us: u64,
    fates: Fates,
}

/// The size of the pictures, and buffers of it.
#[derive(Debug)]
struct Form {
    info: gst_video::VideoInfo,
    pool: gst::BufferPool,
}

impl Screen {
    /// Opens a window.
    pub fn window(fates: Fates) -> Result<Self, Error> {
        let convert = media::element("videoconvert")?;
        let sink = media::element("autovideosink")?;
        sink.set_property("sync", false);
        Self::start(WINDOW_QUEUE, &[convert, sink], None, fates)
    }

    /// Begins a video file; its suffix chooses the container.
    pub fn record(path: &Path, fates: Fates) -> Result<Self, Error> {
        let scale = media::element("videoscale")?;
        let scaled = media::element("capsfilter")?;
        let encoder = media::element("x264enc")?;
        // Constant quality that keeps the digits crisp, at the least cost in time: size does not matter here.
        encoder.set_property_from_str("speed-preset", "ultrafast");
        encoder.set_property_from_str("pass", "qual");
        encoder.set_property("quantizer", 16_u32);
        encoder.set_property("key-int-max", 60_u32);
        let mux = if path.extension().is_some_and(|extension| extension == "mp4") {
            let mux = media::element("mp4mux")?;
            // Fragments, so that a killed process leaves a file that plays.
            mux.set_property("fragment-duration", 1_000_u32);
            mux
        } else {
            media::element("matroskamux")?
        };
        let file = media::element("filesink")?;
        file.set_property("location", path.display().to_string());
        file.set_property("sync", false);
        file.set_property("async", false);
        let filter = scaled.clone();
        Self::start(
            RECORD_QUEUE,
            &[scale, scaled, encoder, mux, file],
            Some(filter),
            fates,
        )
    }

    fn start(
        queue: u64,
        chain: &[gst::Element],
        scaled: Option<gst::Element>,
        fates: Fates,
    ) -> Result<Self, Error> {
        let source = gst_app::AppSrc::builder()
            .is_live(true)
            .format(gst::Format::Time)
            .block(false)
            .max_buffers(queue)
            .max_bytes(0)
            .build();
        let pipeline = gst::Pipeline::new();
        pipeline.add(&source)?;
        pipeline.add_many(chain)?;
        gst::Element::link_many(std::iter::once(source.upcast_ref()).chain(chain))?;
        if pipeline.set_state(gst::State::Playing).is_err() {
            let why = pipeline
                .bus()
                .and_then(|bus| bus.pop_filtered(&[gst::MessageType::Error]));
            let why = match why.as_ref().and_then(media::bus::event) {
                Some(media::bus::BusEvent::Failed(error)) => error.to_string(),
                _ => "no element says why".to_owned(),
            };
            // The pipeline never ran; there is nothing to wait for.
            let _ = pipeline.set_state(gst::State::Null);
            return Err(Error::Start(format!("--sink (XR_SINK): {why}")));
        }
        Ok(Self {
            pipeline,
            source,
            queue,
            scaled,
            form: None,
            begin: None,
            last_us: 0,
            fates,
        })
    }

    /// Shows a copy of `picture` with the consumption stamp drawn on it. It never waits: what the sink is too slow for
    /// is dropped and counted.
    pub fn show(&mut self, picture: &media::decode::Picture<'_>, stamp: Stamp) {
        let fate = if self.source.current_level_buffers() < self.queue
            && self.copy(picture, stamp).is_some()
        {
            &self.fates.kept
        } else {
            &self.fates.dropped
        };
        fate.inc();
    }

    fn copy(&mut self, picture: &media::decode::Picture<'_>, stamp: Stamp) -> Option<()> {
        let (width, height) = (picture.frame.width(), picture.frame.height());
        let known = self
            .form
            .as_ref()
            .is_some_and(|form| form.info.width() == width && form.info.height() == height);
        if !known {
            self.form = Some(self.form_of(width, height)?);
        }
        let form = self.form.as_ref()?;
        let mut buffer = form.pool.acquire_buffer(None).ok()?;
        let begin = *self.begin.get_or_insert(picture.decoded);
        let since = u64::try_from(picture.decoded.micros_since(begin)).unwrap_or(0);
        {
            let writable = buffer.get_mut()?;
            writable.set_pts(gst::ClockTime::from_useconds(since));
            // A guess, but not nothing: players leave out a last picture that lasts no time.
            let lasts = since.saturating_sub(self.last_us).clamp(1_000, 100_000);
            writable.set_duration(gst::ClockTime::from_useconds(lasts));
            self.last_us = since;
            let mut copy =
                gst_video::VideoFrameRef::from_buffer_ref_writable(writable, &form.info).ok()?;
            picture.frame.copy(&mut copy).ok()?;
            let (width, height) = (width as usize, height as usize);
            let strides =
                [0, 1, 2].map(|plane| usize::try_from(copy.plane_stride()[plane]).unwrap_or(0));
            let mut luma =
                PlaneMut::new(copy.plane_data_mut(0).ok()?, width, height, strides[0]).ok()?;
            stamp::draw_consumption(&mut luma, stamp);
            for plane in [1, 2] {
                let data = copy.plane_data_mut(plane).ok()?;
                let size = (width.div_ceil(2), height.div_ceil(2));
                stamp::clear_chroma(
                    &mut PlaneMut::new(data, size.0, size.1, strides[plane as usize]).ok()?,
                );
            }
        }
        self.source.push_buffer(buffer).ok().map(|_| ())
    }

    fn form_of(&self, width: u32, height: u32) -> Option<Form> {
        let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, width, height)
            .build()
            .ok()?;
        let caps = info.to_caps().ok()?;
        let pool = gst::BufferPool::new();
        let mut config = pool.config();
        config.set_params(Some(&caps), u32::try_from(info.size()).ok()?, 2, 0);
        pool.set_config(config).ok()?;
        pool.set_active(true).ok()?;
        self.source.set_caps(Some(&caps));
        // A file keeps the size that it began with; later pictures are scaled to it.
        if let (Some(scaled), None) = (&self.scaled, &self.form) {
            let size = gst::Caps::builder("video/x-raw")
                .field("width", info.width().cast_signed())
                .field("height", info.height().cast_signed());
            scaled.set_property("caps", size.build());
        }
        Some(Form { info, pool })
    }

    /// Ends the file, or closes the window; at most `limit`.
    pub fn finish(self, limit: Duration) {
        let shown = self.form.is_some();
        if shown && self.source.end_of_stream().is_ok() {
            let limit = gst::ClockTime::try_from(limit).unwrap_or(gst::ClockTime::SECOND);
            let last = self.pipeline.bus().and_then(|bus| {
                bus.timed_pop_filtered(limit, &[gst::MessageType::Eos, gst::MessageType::Error])
            });
            match last.as_ref().and_then(media::bus::event) {
                Some(media::bus::BusEvent::Failed(error)) => {
                    tracing::error!(%error, "the sink of --sink failed");
                }
                Some(_) => {}
                None => tracing::error!(
                    "the sink of --sink did not end in time; the end of a recording is missing"
                ),
            }
        }
        // Whatever it answers, the process is about to end.
        let _ = self.pipeline.set_state(gst::State::Null);
        if let Some(form) = &self.form {
            // As above.
            let _ = form.pool.set_active(false);
        }
    }
}
