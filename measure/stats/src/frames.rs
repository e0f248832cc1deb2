//! From a repetition's rows to its figures: from `frames.csv` where the blocks were read, from the readings of pictures for ffmpeg.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use timeline::{
    ClientName, Point, RtpTimestamp,
    frames_csv::{FrameRow, Outcome},
};

use super::{
    Content, Counts, Display, Disturbances, Latency, Measured, Picture, Sample, Stages, Window,
    judged, schedule, tick,
};

/// Counts of a part of the frames, while rows come in.
#[derive(Debug, Default)]
struct Part {
    shown: u64,
    unread: u64,
    damaged: u64,
    duplicate: u64,
    /// Reports that never came.
    unreported: u64,
    histogram: timeline::hist::LatencyHistogram,
}

impl Part {
    fn close(self, scheduled: u64, seconds: f64, generated: Option<u64>) -> Latency {
        // What was shown was on the schedule, also where an edge of the window says otherwise.
        let scheduled = scheduled.max(self.shown);
        let missing = scheduled - self.shown;
        let unreported = self.unreported.min(missing);
        Latency {
            frames: Counts {
                scheduled,
                generated,
                shown: self.shown,
                lost: missing - unreported,
                unreported,
                unread: self.unread,
                damaged: self.damaged,
                duplicate: self.duplicate,
            },
            histogram: self.histogram,
            seconds,
        }
    }
}

/// How many reports of the measured time never came, or did not count.
#[derive(Clone, Debug, Default)]
pub struct UnreportedCounts {
    /// Of all clients together.
    pub all: u64,
    /// Of each client that has any; empty where that is not known.
    pub clients: BTreeMap<String, u64>,
}

impl UnreportedCounts {
    /// Of one client; at most, where it is not known whose they are.
    fn of(&self, client: Option<&ClientName>) -> u64 {
        match client {
            Some(client) if !self.clients.is_empty() => {
                self.clients.get(client.as_str()).copied().unwrap_or(0)
            }
            _ => self.all,
        }
    }
}

/// What one client showed, while rows come in.
#[derive(Debug, Default)]
struct Viewer {
    seen: HashSet<RtpTimestamp>,
    /// Frames whose stamp was not read, and whether in a disturbed second.
    unread: HashMap<RtpTimestamp, bool>,
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

    /// Whether it showed a measured frame.
    fn showed(&self) -> bool {
        !self.seen.is_empty() || !self.unread.is_empty()
    }

    /// Counts what was not read: a frame that was shown, unless the same frame was read too.
    fn count_unread(&mut self) {
        for (key, disturbed) in std::mem::take(&mut self.unread) {
            let again = self.seen.contains(&key);
            for (part, counts) in [(&mut self.all, true), (&mut self.undisturbed, !disturbed)] {
                part.duplicate += u64::from(counts && again);
                part.unread += u64::from(counts && !again);
                part.shown += u64::from(counts && !again);
            }
        }
    }
}

/// Takes the rows of one repetition's `frames.csv`. Frames of several clients are frames of their own.
#[derive(Debug)]
pub struct FromRows<'a> {
    window: Window,
    disturbances: Option<&'a Disturbances>,
    collected: bool,
    unreported: UnreportedCounts,
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
            unreported: UnreportedCounts::default(),
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

    /// What the clients could not report: as many missing frames of each are not known to be lost. In which second they are missing is
    /// unknown too, so that the undisturbed ones are given the benefit as well.
    #[must_use]
    pub fn unreported(self, unreported: UnreportedCounts) -> Self {
        Self { unreported, ..self }
    }

    /// Takes a row; one of the warm-up, or outside of the measured time, counts nowhere, but bounds the gaps at the edges.
    pub fn push(&mut self, row: &FrameRow) {
        let at = |point| row.at(point).map(|at| at.0);
        let generated = at(Point::Generated);
        if !judged::is_measured(row, self.window) {
            self.picture(row, false, row.outcome == Outcome::Duplicate);
            return;
        }
        // A frame is scheduled in the second of its generation, and is counted in the same one: a latency that reaches into
        // a disturbed second makes no loss.
        let counted_disturbed = self
            .disturbances
            .zip(judged::placed(row))
            .is_some_and(|(disturbances, time)| disturbances.contains(time));
        // A latency is as disturbed as any moment of it.
        let disturbed = judged::is_disturbed(row, self.disturbances) == Some(true);
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
        let key = row.rtp_timestamp;
        let fresh = match row.outcome {
            Outcome::Shown => viewer.seen.insert(key),
            Outcome::Unread => viewer.unread.insert(key, counted_disturbed).is_none(),
            _ => false,
        };
        let read = fresh && row.outcome == Outcome::Shown;
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
                // Counted at the end, when it is known whether the frame was read as well.
                Outcome::Unread if fresh => {}
                Outcome::Shown if fresh => {
                    part.shown += 1;
                    if let Some(latency) = row.latency_us().filter(|_| measures) {
                        part.histogram.record(latency);
                    }
                }
                Outcome::Shown | Outcome::Unread | Outcome::Duplicate => part.duplicate += 1,
                Outcome::Damaged => part.damaged += 1,
                Outcome::Lost => {}
            }
        }
        let is_known = row.outcome != Outcome::Damaged;
        self.picture(row, true, !fresh && is_known);
        if read {
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
            late_us: None,
        });
        self.negative += u64::from(latency_us < 0);
        self.stages.push(row, latency_us);
    }

    /// The figures, with the schedule's `fps` frames a second.
    pub fn close(mut self, fps: f64) -> Measured {
        self.samples.sort_by_key(|sample| sample.generated_us);
        // Clients that come and go may show the frames of several renderers, each with ticks of its own.
        if !self.collected {
            tick::lateness(&mut self.samples, fps);
        }
        // Who watched before and after the measured time only is owed nothing, unless nobody else was there.
        if self.viewers.values().any(Viewer::showed) {
            self.viewers.retain(|_, viewer| viewer.showed());
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
        for (client, mut viewer) in self.viewers {
            viewer.count_unread();
            let unreported = self.unreported.of(client.as_ref());
            (viewer.all.unreported, viewer.undisturbed.unreported) = (unreported, unreported);
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
    /// The figures of `readings`: generation and latency in microseconds of each picture, none where it was unread.
    ///
    /// Nobody knows which frame an unread picture shows. As many as there are ticks without a picture between the pictures around
    /// them are frames of their own, in the second of the one before; any others repeat a picture, and hide no loss elsewhere.
    pub fn measure(
        readings: &[Option<(u64, u64)>],
        window: Window,
        disturbances: Option<&Disturbances>,
        fps: f64,
    ) -> Measured {
        let (mut all, mut quiet) = (Part::default(), Part::default());
        let mut samples = Vec::new();
        let mut seen = HashSet::new();
        let mut times_us: Vec<_> = readings.iter().flatten().map(|(at_us, _)| *at_us).collect();
        times_us.sort_unstable();
        times_us.dedup();
        let is_disturbed =
            |at_us: u64| disturbances.is_some_and(|disturbances| disturbances.contains(at_us));
        // Pictures that were not read since the last one that was, which was generated then.
        let (mut last, mut unread): (Option<u64>, u64) = (None, 0);
        for &times in readings.iter().chain([&Some((window.to_us, 0))]) {
            let Some((generated_us, latency)) = times else {
                unread += 1;
                continue;
            };
            if let Some(at_us) = last.filter(|at_us| window.contains(*at_us)) {
                let until_us = generated_us.min(window.to_us);
                let new = unread.min(schedule::between(at_us, until_us, fps));
                for (part, counts) in [(&mut all, true), (&mut quiet, !is_disturbed(at_us))] {
                    part.unread += if counts { new } else { 0 };
                    part.shown += if counts { new } else { 0 };
                    part.duplicate += if counts { unread - new } else { 0 };
                }
            }
            (last, unread) = (Some(generated_us), 0);
            if !window.contains(generated_us) {
                continue;
            }
            // As of ours: counted in the second of its generation, while its latency is as disturbed as any moment of it.
            let counted_disturbed = is_disturbed(generated_us);
            let decoded_us = generated_us.saturating_add(latency);
            let disturbed = disturbances
                .is_some_and(|disturbances| disturbances.meets(generated_us, decoded_us));
            let fresh = seen.insert(generated_us);
            let parts = [
                (&mut all, true, true),
                (&mut quiet, !counted_disturbed, !disturbed),
            ];
            for (part, counts, measures) in parts {
                match (counts, fresh) {
                    (false, _) => {}
                    (true, false) => part.duplicate += 1,
                    (true, true) => {
                        part.shown += 1;
                        if measures {
                            part.histogram.record(latency.cast_signed());
                        }
                    }
                }
            }
            if fresh {
                samples.push(Sample {
                    generated_us,
                    latency_us: latency.cast_signed(),
                    disturbed,
                    frame: None,
                    late_us: None,
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
