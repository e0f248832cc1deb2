//! From a repetition's rows to its figures: from `frames.csv` where the blocks were read, from the readings of pictures for ffmpeg.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use timeline::{
    ClientName, Point, RtpTimestamp, Stage,
    frames_csv::{FrameRow, Outcome, Phase},
};

use super::{
    Content, Counts, Display, Disturbances, Latency, Measured, Picture, Sample, Stages, Window,
    schedule,
};

/// Counts of a part of the frames, while rows come in.
#[derive(Debug, Default)]
struct Part {
    shown: u64,
    unread: u64,
    damaged: u64,
    duplicate: u64,
    histogram: timeline::hist::LatencyHistogram,
}

impl Part {
    fn close(self, scheduled: u64, seconds: f64, generated: Option<u64>) -> Latency {
        Latency {
            frames: Counts {
                scheduled,
                generated,
                shown: self.shown,
                lost: scheduled.saturating_sub(self.shown),
                unread: self.unread,
                damaged: self.damaged,
                duplicate: self.duplicate,
            },
            histogram: self.histogram,
            seconds,
        }
    }
}

/// What one client showed, while rows come in.
#[derive(Debug, Default)]
struct Viewer {
    seen: HashSet<RtpTimestamp>,
    all: Part,
    undisturbed: Part,
    pictures: Vec<Picture>,
    /// Generation of the first and the last measured frame, microseconds since the Unix epoch.
    from_to: Option<(u64, u64)>,
}

impl Viewer {
    /// The time in which the client was there.
    fn presence(&self, window: Window) -> Window {
        self.from_to.map_or(window, |(from_us, to_us)| Window {
            from_us,
            to_us: to_us.saturating_add(1),
        })
    }
}

/// Takes the rows of one repetition's `frames.csv`. Frames of several clients are frames of their own.
#[derive(Debug)]
pub struct FromRows<'a> {
    window: Window,
    disturbances: Option<&'a Disturbances>,
    collected: bool,
    content: Content,
    viewers: BTreeMap<Option<ClientName>, Viewer>,
    /// Frames that were stamped: when, and whether in a disturbed second.
    generated: HashMap<RtpTimestamp, (u64, bool)>,
    stages: Stages,
    samples: Vec<Sample>,
    pictures: BTreeSet<u64>,
    came: u64,
    negative: u64,
}

impl<'a> FromRows<'a> {
    /// Nothing yet of the frames generated in `window`. Without `disturbances` nobody watched the machine.
    pub fn new(window: Window, disturbances: Option<&'a Disturbances>) -> Self {
        Self {
            window,
            disturbances,
            collected: false,
            content: Content::default(),
            viewers: BTreeMap::new(),
            generated: HashMap::new(),
            stages: Stages::default(),
            samples: Vec::new(),
            pictures: BTreeSet::new(),
            came: 0,
            negative: 0,
        }
    }

    /// The stretch of a film that the frames show.
    #[must_use]
    pub fn content(self, content: Content) -> Self {
        Self { content, ..self }
    }

    /// Clients came and went as they liked: each is owed the frames from its first to its last.
    #[must_use]
    pub fn collected(self, collected: bool) -> Self {
        Self { collected, ..self }
    }

    /// Takes a row; one of the warm-up, or outside of the measured time, counts nowhere, but bounds the gaps at the edges.
    pub fn push(&mut self, row: &FrameRow) {
        let at = |point| row.at(point).map(|at| at.0);
        let generated = at(Point::Generated);
        // What has no readable generation time is placed by the first time that is known of it.
        let placed = Point::ALL.into_iter().find_map(at);
        let measured = match generated.or(placed) {
            Some(time) => self.window.contains(time) && row.phase != Some(Phase::Warmup),
            None => row.phase == Some(Phase::Measured),
        };
        if !measured {
            self.picture(row, false, row.outcome == Outcome::Duplicate);
            return;
        }
        let is_disturbed = |time: Option<u64>| {
            self.disturbances
                .zip(time)
                .is_some_and(|(disturbances, time)| disturbances.contains(time))
        };
        // A frame is scheduled in the second of its generation, and is counted in the same one: a latency that reaches into
        // a disturbed second makes no loss.
        let counted_disturbed = is_disturbed(generated.or(placed));
        // A latency is as disturbed as any moment of it.
        let way = generated.or(placed).zip(at(Point::Decoded));
        let meets = |(from_us, to_us): (u64, u64)| {
            let way = Window {
                from_us,
                to_us: to_us.saturating_add(1),
            };
            self.disturbances
                .is_some_and(|disturbances| disturbances.seconds_in(way) > 0.0)
        };
        let disturbed = counted_disturbed || row.disturbed == Some(true) || way.is_some_and(meets);
        if let Some(at_us) = generated {
            self.generated
                .entry(row.rtp_timestamp)
                .or_insert((at_us, counted_disturbed));
        }
        if row.outcome == Outcome::Lost {
            self.came += u64::from(at(Point::Received).is_some());
            return;
        }
        let viewer = self.viewer(row);
        let fresh = row.outcome == Outcome::Shown && viewer.seen.insert(row.rtp_timestamp);
        if let Some(at_us) = generated.filter(|_| fresh) {
            let (from, to) = viewer.from_to.get_or_insert((at_us, at_us));
            (*from, *to) = ((*from).min(at_us), (*to).max(at_us));
        }
        let parts = [
            (&mut viewer.all, true, true),
            (&mut viewer.undisturbed, !counted_disturbed, !disturbed),
        ];
        for (part, counts, measures) in parts {
            match row.outcome {
                _ if !counts => {}
                Outcome::Shown if fresh => {
                    part.shown += 1;
                    if let Some(latency) = row.latency_us().filter(|_| measures) {
                        part.histogram.record(latency);
                    }
                }
                Outcome::Shown | Outcome::Duplicate => part.duplicate += 1,
                Outcome::Unread => part.unread += 1,
                Outcome::Damaged => part.damaged += 1,
                Outcome::Lost => {}
            }
        }
        let is_known = matches!(row.outcome, Outcome::Shown | Outcome::Duplicate);
        self.picture(row, true, !fresh && is_known);
        if fresh {
            self.sample(row, disturbed);
        }
    }

    fn viewer(&mut self, row: &FrameRow) -> &mut Viewer {
        if !self.viewers.contains_key(&row.client) {
            self.viewers.insert(row.client.clone(), Viewer::default());
        }
        self.viewers.entry(row.client.clone()).or_default()
    }

    fn picture(&mut self, row: &FrameRow, measured: bool, again: bool) {
        // Where nobody wrote down when it was shown, it was right after decoding.
        let shown = row.shown.or_else(|| row.at(Point::Decoded));
        if let Some(shown) = shown.filter(|_| row.outcome != Outcome::Lost) {
            let generated = row.at(Point::Generated).map(|at| at.0);
            self.viewer(row).pictures.push(Picture {
                shown_us: shown.0,
                key: row.rtp_timestamp.0,
                read: generated.zip(row.latency_us()),
                again,
                measured,
            });
        }
    }

    fn sample(&mut self, row: &FrameRow, disturbed: bool) {
        let (Some(generated), Some(latency_us)) = (row.at(Point::Generated), row.latency_us())
        else {
            return;
        };
        let frame = row.frame.map(|number| number.0);
        self.pictures
            .extend(frame.map(|number| self.content.picture(number)));
        self.samples.push(Sample {
            generated_us: generated.0,
            latency_us,
            disturbed,
            frame,
        });
        self.negative += u64::from(latency_us < 0);
        let (mut codec, mut in_order) = (0, true);
        for (stage, histogram) in Stage::ALL.into_iter().zip(&mut self.stages.histograms) {
            if let Some(stage_us) = row.stage_us(stage) {
                histogram.record(stage_us);
                in_order &= stage_us >= 0;
                codec += if stage.is_codec() { stage_us } else { 0 };
            }
        }
        self.stages.out_of_order += u64::from(!in_order);
        let ends = row.at(Point::Encoded).zip(row.at(Point::Received));
        if let Some((encoded, received)) = ends {
            self.stages.carried.record(received.micros_since(encoded));
        }
        if row.has_every_point() {
            self.stages.complete += 1;
            self.stages.codec_us += codec;
            self.stages.latency_us += latency_us;
        }
    }

    /// The figures, with the schedule's `fps` frames a second.
    pub fn close(mut self, fps: f64) -> Measured {
        self.samples.sort_by_key(|sample| sample.generated_us);
        // Who watched before and after the measured time only is owed nothing, unless nobody else was there.
        if self.viewers.values().any(|viewer| !viewer.seen.is_empty()) {
            self.viewers.retain(|_, viewer| !viewer.seen.is_empty());
        }
        if self.viewers.is_empty() {
            self.viewers.insert(None, Viewer::default());
        }
        let seconds = self.window.seconds();
        let quiet_s = self
            .disturbances
            .map(|disturbances| (seconds - disturbances.seconds_in(self.window)).max(0.0));
        let mut measured = Measured {
            stages: self.stages,
            samples: self.samples,
            pictures: self.pictures,
            came: self.came,
            negative: self.negative,
            ..Measured::default()
        };
        let mut quiet = Latency::default();
        let mut times_us: Vec<_> = self.generated.values().map(|(at_us, _)| *at_us).collect();
        times_us.sort_unstable();
        for (client, viewer) in self.viewers {
            let window = if self.collected {
                viewer.presence(self.window)
            } else {
                self.window
            };
            let generated = |quiet_only: bool| {
                let frames = self.generated.values();
                let counted = frames.filter(|(at_us, disturbed)| {
                    window.contains(*at_us) && !(quiet_only && *disturbed)
                });
                Some(counted.count() as u64)
            };
            // Who came and went is owed the ticks from its own first frame to its last: others may show another stream.
            let own = viewer.from_to.filter(|_| self.collected);
            let own = own.map(|(from, to)| [from, to]);
            let times_us = own.as_ref().map_or(&times_us[..], |ends| &ends[..]);
            let scheduled = schedule::scheduled(times_us, window, fps);
            let of_client = viewer.all.close(scheduled, 0.0, generated(false));
            if let Some(client) = client {
                measured
                    .clients
                    .insert(client.to_string(), of_client.frames);
            }
            measured.all.merge(&of_client);
            if let Some(disturbances) = self.disturbances {
                // Of several clients each is owed what was quiet of the whole time.
                let scheduled = schedule::scheduled_quiet(times_us, self.window, disturbances, fps);
                quiet.merge(&viewer.undisturbed.close(scheduled, 0.0, generated(true)));
            }
            let display = Display::of(viewer.pictures, window, fps, self.disturbances);
            match &mut measured.display {
                None => measured.display = Some(display),
                Some(others) => others.merge(&display),
            }
        }
        measured.all.seconds = seconds;
        measured.undisturbed = quiet_s.map(|seconds| Latency { seconds, ..quiet });
        measured
    }
}

/// Takes what was read from one repetition's pictures, for ffmpeg, of which nothing else is known.
#[derive(Debug)]
pub struct FromOcr;

impl FromOcr {
    /// The figures of `readings`: generation and latency in microseconds of each picture, none where it was unread. An unread
    /// picture counts as one shown frame, in the second of the last one that was read.
    pub fn measure(
        readings: &[Option<(u64, u64)>],
        window: Window,
        disturbances: Option<&Disturbances>,
        fps: f64,
    ) -> Measured {
        let (mut all, mut quiet) = (Part::default(), Part::default());
        let mut samples = Vec::new();
        let mut seen = HashSet::new();
        let mut last = None;
        let mut times_us: Vec<_> = readings.iter().flatten().map(|(at_us, _)| *at_us).collect();
        times_us.sort_unstable();
        times_us.dedup();
        for &times in readings {
            last = times.map(|(generated, _)| generated).or(last);
            let Some(at_us) = last.filter(|at_us| window.contains(*at_us)) else {
                continue;
            };
            let disturbed = disturbances.is_some_and(|disturbances| disturbances.contains(at_us));
            for (part, counts) in [(&mut all, true), (&mut quiet, !disturbed)] {
                match times {
                    _ if !counts => {}
                    None => {
                        part.unread += 1;
                        part.shown += 1;
                    }
                    Some((generated, _)) if seen.contains(&generated) => part.duplicate += 1,
                    Some((_, latency)) => {
                        part.shown += 1;
                        part.histogram.record(latency.cast_signed());
                    }
                }
            }
            if let Some((generated_us, latency)) = times
                && seen.insert(generated_us)
            {
                samples.push(Sample {
                    generated_us,
                    latency_us: latency.cast_signed(),
                    disturbed,
                    frame: None,
                });
            }
        }
        let seconds = window.seconds();
        Measured {
            all: all.close(schedule::scheduled(&times_us, window, fps), seconds, None),
            undisturbed: disturbances.map(|disturbances| {
                let quiet_s = (seconds - disturbances.seconds_in(window)).max(0.0);
                let scheduled = schedule::scheduled_quiet(&times_us, window, disturbances, fps);
                quiet.close(scheduled, quiet_s, None)
            }),
            stages: Stages::default(),
            samples,
            ..Measured::default()
        }
    }
}
