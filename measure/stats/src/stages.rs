//! Where the time of the frames went.

use timeline::{Point, Stage, frames_csv::FrameRow};

use super::exact::Exact;

/// The times of one frame, microseconds; none where an end of the stage is unknown.
#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    /// In the order of [`Stage::ALL`].
    stages: [Option<i64>; 5],
    carried: Option<i64>,
    complete: bool,
}

/// Where the time went, stage by stage. Every time is kept as it was measured.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    frames: Vec<Frame>,
    /// Frames that passed a point before the one in front of it: the clocks of the two disagree.
    pub out_of_order: u64,
    /// Sum over the complete frames, in microseconds.
    codec_us: i64,
    /// Sum over the complete frames, in microseconds.
    latency_us: i64,
}

impl Stages {
    /// Takes a frame with its latency in microseconds.
    pub(crate) fn push(&mut self, row: &FrameRow, latency_us: i64) {
        let stages = Stage::ALL.map(|stage| row.stage_us(stage));
        let ends = row.at(Point::Encoded).zip(row.at(Point::Received));
        let carried = ends.map(|(encoded, received)| received.micros_since(encoded));
        let complete = row.has_every_point();
        let mut times = stages.iter().chain([&carried]).flatten();
        self.out_of_order += u64::from(times.any(|us| *us < 0));
        if complete {
            let codec = Stage::ALL.into_iter().zip(stages);
            let codec = codec.filter(|(stage, _)| stage.is_codec());
            self.codec_us += codec.filter_map(|(_, us)| us).sum::<i64>();
            self.latency_us += latency_us;
        }
        self.frames.push(Frame {
            stages,
            carried,
            complete,
        });
    }

    /// Frames with every point.
    pub fn complete(&self) -> u64 {
        self.frames.iter().filter(|frame| frame.complete).count() as u64
    }

    /// The codec's part of the latency, from 0 to 1, over all complete frames together.
    pub fn codec_share(&self) -> Option<f64> {
        (self.latency_us > 0).then(|| self.codec_us as f64 / self.latency_us as f64)
    }

    /// The figures of a stage over the frames with every point, so that the means of the stages sum to that of those frames'
    /// latency. Where no frame has every point, as behind a server that keeps no trace, over those of which both ends are known.
    pub fn figures(&self, stage: Stage) -> Option<Exact> {
        let any = self.frames.iter().any(|frame| frame.complete);
        let counted = self.frames.iter().filter(|frame| frame.complete || !any);
        Exact::of(counted.filter_map(|frame| frame.stages[stage as usize]))
    }

    /// The figures of the time from encoded to received, whatever is between: known behind any server.
    pub fn carried(&self) -> Option<Exact> {
        Exact::of(self.frames.iter().filter_map(|frame| frame.carried))
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.frames.extend(&other.frames);
        self.out_of_order += other.out_of_order;
        self.codec_us += other.codec_us;
        self.latency_us += other.latency_us;
    }
}
