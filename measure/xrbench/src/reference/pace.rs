//! How fast ffmpeg ran, from what it wrote to `-progress`.

/// What a block of the file says.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// The media time that was written so far, in microseconds.
    out_us: f64,
    /// ffmpeg's own wall-clock time so far, in microseconds.
    wall_us: f64,
}

/// How much media time ffmpeg wrote for each unit of wall-clock time, once it was under way; 1 is real time.
///
/// The `speed` that ffmpeg prints counts from its start, where its encoder first fills its look-ahead: it says 0.95 after
/// 40 s of a run that never fell behind. So this takes the slope between the blocks at a quarter of the way and at the
/// end. Nothing where there is too little to say (below 2 s of media time).
pub fn pace(progress: &str) -> Option<f64> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut out_us: Option<f64> = None;
    for line in progress.lines() {
        match line.split_once('=') {
            Some(("out_time_us", value)) => out_us = value.trim().parse().ok(),
            Some(("speed", value)) => {
                let speed = value.trim().trim_end_matches('x').parse::<f64>();
                if let (Some(out_us), Ok(speed)) = (out_us.take(), speed)
                    && out_us > 0.0
                    && speed > 0.0
                {
                    let wall_us = out_us / speed;
                    blocks.push(Block { out_us, wall_us });
                }
            }
            _ => {}
        }
    }
    let last = *blocks.last()?;
    let first = *blocks
        .iter()
        .find(|block| block.out_us >= last.out_us / 4.0)?;
    let (out, wall) = (last.out_us - first.out_us, last.wall_us - first.wall_us);
    let pace = out / wall;
    (out >= 2e6 && wall > 0.0 && pace.is_finite() && pace > 0.0).then_some(pace)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// What ffmpeg writes of a run whose output began `delay` seconds late and then had `speed`.
    fn progress(delay: f64, speed: f64, seconds: u32) -> String {
        let mut text = String::new();
        for second in 1..=seconds {
            let out = ((f64::from(second) - delay) * speed).max(0.0);
            let shown = out / f64::from(second);
            writeln!(
                text,
                "frame=1\nout_time_us={:.0}\nout_time=x\nspeed={shown:.3}x\nprogress=continue",
                out * 1e6
            )
            .expect("a String takes all");
        }
        text
    }

    #[test]
    fn a_late_start_is_no_overload() {
        let pace = pace(&progress(2.0, 1.0, 40)).expect("enough");
        assert!((pace - 1.0).abs() < 0.005, "{pace}");
    }

    #[test]
    fn an_encoder_that_falls_behind_is_seen() {
        let pace = pace(&progress(2.0, 0.9, 40)).expect("enough");
        assert!((pace - 0.9).abs() < 0.005, "{pace}");
    }

    #[test]
    fn nothing_is_said_of_too_little() {
        assert_eq!(pace(""), None);
        assert_eq!(pace("out_time_us=N/A\nspeed=N/A\n"), None);
        assert_eq!(pace(&progress(0.0, 1.0, 2)), None);
        let endless = "out_time_us=2e6\nspeed=1x\nout_time_us=8e6\nspeed=1e-320x\n";
        assert_eq!(pace(endless), None, "it would be 0");
    }
}
