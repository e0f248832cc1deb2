//! How late frames were stamped. A frame's number is its tick, and a renderer that is behind by less than a frame interval serves the
//! tick late: the latency, which begins with the stamp, does not have that time.

use super::Sample;

/// Notes of each numbered sample how long after its tick it was stamped, beyond the one that was stamped soonest after its own. In the
/// order of generation; a renderer that began anew counts from 0 again, and has ticks of its own.
///
/// Where the ticks lie is not written down, so that what every frame was late by, which is the time from a tick to the first pixel of
/// the stamp, is in none of them.
pub(crate) fn lateness(samples: &mut [Sample], fps: f64) {
    let interval_us = 1e6 / fps.max(1.0);
    // Frames of several clients are the same frames: a number that stays does not begin anew.
    let renderers = samples.chunk_by_mut(|one, other| one.frame <= other.frame);
    for of_one in renderers {
        let Some(begun_us) = of_one.first().map(|sample| sample.generated_us) else {
            continue;
        };
        let after = |sample: &Sample| {
            let tick_us = f64::from(sample.frame?) * interval_us;
            Some((sample.generated_us - begun_us) as f64 - tick_us)
        };
        let soonest = of_one.iter().filter_map(after).reduce(f64::min);
        for sample in of_one.iter_mut() {
            let late = after(sample).zip(soonest).map(|(us, soonest)| us - soonest);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "none is sooner than the soonest, and a repetition is far below 2^53 microseconds"
            )]
            let late_us = late.map(|us| us.round() as u64);
            sample.late_us = late_us;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(frame: Option<u32>, generated_us: u64) -> Sample {
        Sample {
            generated_us,
            latency_us: 8_000,
            disturbed: false,
            frame,
            late_us: None,
        }
    }

    #[test]
    fn a_stamp_is_late_by_what_it_is_after_its_tick() {
        // 50 frames a second; every third one is served 7 ms after its tick, and each one 80 us after.
        let of = |number: u32| {
            let late = if number.is_multiple_of(3) { 7_000 } else { 0 };
            sample(Some(number), 1_000_080 + u64::from(number) * 20_000 + late)
        };
        let mut samples: Vec<_> = (10..40).filter(|number| *number != 20).map(of).collect();
        lateness(&mut samples, 50.0);
        for one in &samples {
            let number = one.frame.expect("numbered");
            let late = if number.is_multiple_of(3) { 7_000 } else { 0 };
            assert_eq!(one.late_us, Some(late), "{number}");
        }
    }

    #[test]
    fn a_renderer_that_began_anew_has_ticks_of_its_own() {
        let first = (0..10).map(|n| sample(Some(n), 1_000_000 + u64::from(n) * 20_000));
        let second = (0..10).map(|n| sample(Some(n), 1_313_000 + u64::from(n) * 20_000));
        let mut samples: Vec<_> = first.chain(second).collect();
        lateness(&mut samples, 50.0);
        assert!(samples.iter().all(|one| one.late_us == Some(0)));
        let mut of_ffmpeg = [sample(None, 5), sample(None, 9)];
        lateness(&mut of_ffmpeg, 25.0);
        assert!(of_ffmpeg.iter().all(|one| one.late_us.is_none()));
    }
}
