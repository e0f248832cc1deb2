//! Where a film goes on behind a damaged picture: as ffmpeg does, which leaves out what it cannot decode and shows the rest, so that a
//! reference encodes the same pictures as far as the two decoders agree.
//!
//! Some decoders leave out such a picture by themselves. Others fail at it, and whatever reads the file stops; or they say that they fail,
//! and decode nothing more; or they say nothing, and take all that follows for a part of it. After those the file is opened anew, behind the
//! damage.

use gstreamer as gst;
use gstreamer::prelude::*;

/// How often a round is taken up again: each time costs tens of milliseconds, and the pictures that are ready last for a quarter second.
const TRIES: u32 = 64;

/// How often that is without a picture of it, where nothing has failed: the film may have no more.
const QUIET_TRIES: u32 = 8;

/// How long a file that was open before may take to be open again.
pub(super) const OPENING: gst::ClockTime = gst::ClockTime::from_seconds(5);

/// How reading came to an end before the film's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It failed, at a damaged picture.
    Failed,
    /// A decoder has failed, and gave no more pictures: what comes next may be whole.
    GaveUp,
    /// Nothing has failed.
    Early,
}

/// The tries of one round.
#[derive(Debug, Default)]
pub(super) struct Resume {
    tries: u32,
    /// Those of them since the last picture.
    in_vain: u32,
    /// Where the round went on last.
    at: Option<gst::ClockTime>,
}

impl Resume {
    /// Where to go on in a film of this `length`, of which the `last` picture that was read ends then and lasts so long. None where there
    /// is nothing more, where times or length are not known, and after too many tries.
    pub(super) fn next(
        &mut self,
        last: Option<(gst::ClockTime, gst::ClockTime)>,
        length: Option<gst::ClockTime>,
        how: Stop,
    ) -> Option<gst::ClockTime> {
        let ((end, lasts), length) = last.zip(length)?;
        let in_vain = self.at.filter(|at| *at + lasts / 2 >= end);
        let at = match (in_vain, how) {
            (Some(at), _) => at + lasts,
            (None, Stop::Failed | Stop::Early) => end + lasts / 2,
            (None, Stop::GaveUp) => end,
        };
        self.in_vain = in_vain.map_or(0, |_| self.in_vain + 1);
        let is_enough = self.tries == TRIES || how == Stop::Early && self.in_vain == QUIET_TRIES;
        if is_enough || at + lasts / 2 >= length {
            return None;
        }
        self.tries += 1;
        self.at = Some(at);
        Some(at)
    }

    /// Whether it was taken up again.
    pub(super) const fn has_tried(&self) -> bool {
        self.tries > 0
    }
}

/// Whether it is a decoder that says so.
pub(super) fn is_of_decoder(message: &gst::MessageRef) -> bool {
    message
        .src()
        .and_then(|source| source.downcast_ref::<gst::Element>())
        .and_then(gst::Element::factory)
        .is_some_and(|factory| factory.has_type(gst::ElementFactoryType::DECODER))
}

/// How long pictures may be on their way that were read before this failure.
pub(super) fn patience(failure: &gst::MessageRef) -> gst::ClockTime {
    let is_of_what_follows = match failure.view() {
        gst::MessageView::Error(error) => error
            .details()
            .is_some_and(|details| details.has_field("flow-return")),
        _ => false,
    };
    // A decoder that fails gives nothing more.
    gst::ClockTime::from_mseconds(if is_of_what_follows { 50 } else { 500 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> gst::ClockTime {
        gst::ClockTime::from_mseconds(ms)
    }

    #[test]
    fn each_try_is_a_picture_further() {
        let mut resume = Resume::default();
        let length = Some(ms(2_000));
        let read_to = |end| Some((ms(end), ms(40)));
        // Three damaged pictures in a row, and one later on.
        for (end, at) in [(800, 820), (800, 860), (800, 900), (1_200, 1_220)] {
            assert_eq!(
                resume.next(read_to(end), length, Stop::Failed),
                Some(ms(at))
            );
        }
        assert_eq!(
            resume.next(read_to(1_980), length, Stop::Failed),
            None,
            "the end"
        );
        // A decoder that gave up: what comes next was not tried.
        let mut resume = Resume::default();
        assert_eq!(
            resume.next(read_to(1_000), length, Stop::GaveUp),
            Some(ms(1_000))
        );
        assert_eq!(
            resume.next(read_to(1_000), length, Stop::GaveUp),
            Some(ms(1_040))
        );
    }

    #[test]
    fn tries_end() {
        let last = Some((ms(0), ms(40)));
        let mut resume = Resume::default();
        assert_eq!(resume.next(None, Some(ms(9)), Stop::Failed), None);
        assert_eq!(resume.next(last, None, Stop::Failed), None);
        for (how, most) in [(Stop::Failed, 64), (Stop::GaveUp, 64), (Stop::Early, 8)] {
            let mut resume = Resume::default();
            assert!(!resume.has_tried());
            let tries = (0..1_000).map_while(|_| resume.next(last, Some(ms(1 << 30)), how));
            assert_eq!(tries.count(), most, "{how:?}");
            assert!(resume.has_tried());
        }
    }
}
