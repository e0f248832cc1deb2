//! What a round of a film gave, and what it should have given: a file that was cut, or that is damaged in the middle, plays
//! without an error, and nobody would know that the half of it is never shown.

use std::sync::Arc;

use gstreamer as gst;
use parking_lot::Mutex;

/// A film's pictures may end so long before the film does: its sound may be a little longer.
const SLACK: gst::ClockTime = gst::ClockTime::from_mseconds(500);

/// The present round. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Round(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    pictures: u64,
    /// Pictures that the decoder gave as damaged.
    damaged: u64,
    /// Pictures for which there is room between others.
    holes: u64,
    /// When the last picture ends.
    end: Option<gst::ClockTime>,
    /// How long it lasts.
    lasts: Option<gst::ClockTime>,
    /// The film was opened anew within the round: what comes again counts once.
    resumed: bool,
    /// Pictures came since it was.
    gone_on: bool,
    /// Pictures came again.
    gone_back: bool,
}

/// Pictures of a round that nobody sees as they were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lacking {
    /// Pictures that were read.
    pub(super) read: u64,
    /// Pictures that were not: between the last one and the film's end and, where reading failed, between others.
    pub(super) missing: u64,
    /// Pictures for which there is room between others although nothing failed: no lack by itself, because a film of variable rate has
    /// such room too, and the demuxer of gifs says of every picture that it lasts half as long as it does.
    pub(super) holes: u64,
    /// Of those that were read, what the decoder calls damaged.
    pub(super) damaged: u64,
}

impl Lacking {
    /// Whether every picture was read, and whole.
    pub(super) const fn is_nothing(self) -> bool {
        self.missing == 0 && self.damaged == 0
    }

    /// What the film lacks, for who named it; of one that lacks nothing, that it failed after all.
    pub(super) fn in_words(self) -> String {
        let Self {
            read,
            missing,
            holes,
            damaged,
        } = self;
        if self.is_nothing() {
            // As in a gif, which has no list of its pictures.
            return format!(
                "{read} pictures can be read up to where the file fails, and it does not say how many there should be"
            );
        }
        let all = read + missing;
        let between = if holes > 0 {
            format!(", and between those that can is room for {holes} more")
        } else {
            String::new()
        };
        format!("{missing} of {all} pictures cannot be read, and {damaged} are damaged{between}")
    }
}

impl Round {
    /// A picture was read. False if the round has given it before.
    pub(super) fn note(&self, sample: &gst::Sample) -> bool {
        let Some(buffer) = sample.buffer() else {
            return true;
        };
        let at = sample
            .segment()
            .and_then(|segment| segment.downcast_ref::<gst::ClockTime>())
            .zip(buffer.pts())
            .and_then(|(segment, pts)| segment.to_stream_time(pts));
        let is_damaged = buffer.flags().contains(gst::BufferFlags::CORRUPTED);
        self.0.lock().note(at, buffer.duration(), is_damaged)
    }

    /// How many pictures the round has given so far.
    pub(super) fn pictures(&self) -> u64 {
        self.0.lock().pictures
    }

    /// When the last picture ends, and how long it lasts; none of a film whose pictures have no times.
    pub(super) fn last(&self) -> Option<(gst::ClockTime, gst::ClockTime)> {
        let seen = self.0.lock();
        seen.end.zip(seen.lasts)
    }

    /// The film was opened anew, and the round goes on.
    pub(super) fn resume(&self) {
        self.0.lock().resumed = true;
    }

    /// Whether pictures came since then.
    pub(super) fn has_gone_on(&self) -> bool {
        self.0.lock().gone_on
    }

    /// Whether pictures came again: the film's demuxer goes elsewhere than it is told to.
    pub(super) fn has_gone_back(&self) -> bool {
        self.0.lock().gone_back
    }

    /// Whether so much of a film of this `length` is left that pictures of it must have been left out.
    pub(super) fn is_short(&self, length: Option<gst::ClockTime>) -> bool {
        self.0.lock().rest(length).is_some()
    }

    /// The round is over, and the film says that it lasts `length`: what it lacked, where reading it `failed` or did not. The next
    /// round begins.
    pub(super) fn end(&self, length: Option<gst::ClockTime>, failed: bool) -> Lacking {
        std::mem::take(&mut *self.0.lock()).lacking(length, failed)
    }
}

impl Seen {
    fn note(
        &mut self,
        at: Option<gst::ClockTime>,
        lasts: Option<gst::ClockTime>,
        is_damaged: bool,
    ) -> bool {
        let timed = at.zip(lasts.filter(|lasts| !lasts.is_zero()));
        // Not every demuxer goes where it is told to.
        let is_again = timed
            .zip(self.end)
            .is_some_and(|((at, lasts), end)| self.resumed && at + lasts / 2 < end);
        self.gone_back |= is_again;
        if is_again {
            return false;
        }
        self.pictures += 1;
        self.gone_on |= self.resumed;
        self.damaged += u64::from(is_damaged);
        let Some((at, lasts)) = timed else {
            return true;
        };
        if let Some(end) = self.end
            && let Some(hole) = at.checked_sub(end)
        {
            self.holes += rounded(hole, lasts);
        }
        self.end = self.end.max(Some(at + lasts));
        self.lasts = Some(lasts);
        true
    }

    /// How much of a film of this `length` is left, if that is more than sound may be longer by.
    fn rest(&self, length: Option<gst::ClockTime>) -> Option<gst::ClockTime> {
        let (length, end) = length.zip(self.end)?;
        length.checked_sub(end).filter(|rest| *rest > SLACK)
    }

    fn lacking(&self, length: Option<gst::ClockTime>, failed: bool) -> Lacking {
        let after = self
            .rest(length)
            .zip(self.lasts)
            .map_or(0, |(rest, lasts)| rounded(rest, lasts));
        let (between, holes) = if failed || self.gone_on {
            (self.holes, 0)
        } else {
            (0, self.holes)
        };
        Lacking {
            read: self.pictures,
            missing: after + between,
            holes,
            damaged: self.damaged,
        }
    }
}

/// How many pictures that last `lasts` there is room for in `time`.
fn rounded(time: gst::ClockTime, lasts: gst::ClockTime) -> u64 {
    (time.nseconds() + lasts.nseconds() / 2) / lasts.nseconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> gst::ClockTime {
        gst::ClockTime::from_mseconds(ms)
    }

    fn round(times_ms: impl IntoIterator<Item = u64>) -> Seen {
        let mut seen = Seen::default();
        for at in times_ms {
            assert!(seen.note(Some(ms(at)), Some(ms(40)), false));
        }
        seen
    }

    #[test]
    fn a_whole_film_lacks_nothing() {
        let film = round((0..25).map(|number| number * 40));
        for length in [None, Some(ms(1000)), Some(ms(1400)), Some(ms(900))] {
            assert!(film.lacking(length, false).is_nothing(), "{length:?}");
        }
        // Times in a container may be rounded, and pictures may come without any.
        assert!(
            round([0, 41, 80, 119, 160])
                .lacking(None, false)
                .is_nothing()
        );
        let mut timeless = Seen::default();
        timeless.note(None, None, false);
        assert!(timeless.lacking(Some(ms(9000)), false).is_nothing());
    }

    #[test]
    fn room_between_pictures_is_no_lack_by_itself() {
        let mut halved = Seen::default();
        for number in 0..100 {
            halved.note(Some(ms(number * 40)), Some(ms(20)), false);
        }
        assert!(halved.lacking(None, false).is_nothing());
        let variable = round(
            (0..100)
                .filter(|number| number % 10 < 6)
                .map(|number| number * 40),
        );
        assert!(variable.lacking(Some(ms(4000)), false).is_nothing());
        let cut = round([0, 40, 80, 880]).lacking(Some(ms(2000)), false);
        assert_eq!((cut.missing, cut.holes), (27, 19));
        assert!(
            cut.in_words().ends_with("room for 19 more"),
            "{}",
            cut.in_words()
        );
    }

    #[test]
    fn what_is_cut_off_and_what_is_damaged_is_counted() {
        let cut = round((0..60).map(|number| number * 40));
        let lacking = cut.lacking(Some(ms(4000)), false);
        assert_eq!((lacking.read, lacking.missing), (60, 40));
        assert_eq!(
            lacking.in_words(),
            "40 of 100 pictures cannot be read, and 0 are damaged"
        );
        let unlisted = cut.lacking(None, false).in_words();
        assert!(
            unlisted.starts_with("60 pictures can be read"),
            "{unlisted}"
        );
        let mut hole = round([0, 40, 200, 240]);
        hole.note(Some(ms(280)), Some(ms(40)), true);
        let lacking = hole.lacking(Some(ms(320)), false);
        assert_eq!((lacking.holes, lacking.damaged), (3, 1));
        // Where reading failed the room is of what was not read.
        let failed = hole.lacking(Some(ms(320)), true);
        assert_eq!((failed.missing, failed.holes), (3, 0));
    }

    #[test]
    fn what_comes_again_behind_a_damaged_picture_counts_once() {
        let mut seen = round([0, 40, 80]);
        seen.resumed = true;
        for (at, is_new) in [
            (0, false),
            (40, false),
            (81, false),
            (160, true),
            (200, true),
        ] {
            assert_eq!(seen.note(Some(ms(at)), Some(ms(40)), false), is_new, "{at}");
        }
        let lacking = seen.lacking(Some(ms(240)), true);
        assert_eq!((lacking.read, lacking.missing), (5, 1));
    }
}
