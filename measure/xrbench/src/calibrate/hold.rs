//! Whether a known wait at the stamps comes back whole: an error that is the same for every delay shows here. Pure.

use result::Hold;
use settings::Role;
use stats::one_sided_95;

use super::fit::Point;

/// What one repetition with a wait measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Held {
    /// The program that waited.
    pub role: Role,
    /// The length of the wait, microseconds.
    pub hold_us: f64,
    /// The rest, as of a repetition without a wait.
    pub point: Point,
}

impl Point {
    /// The latency beyond the delay on the wire, microseconds.
    fn beyond_wire_us(&self) -> f64 {
        self.latency_us - self.wire_us
    }
}

/// What each wait made of the latency, against repetitions without one at the same delay; waits without those are left out.
pub(super) fn found(points: &[Point], held: &[Held]) -> Vec<Hold> {
    let mut plain: Vec<(f64, Vec<f64>)> = Vec::new();
    for point in points {
        add(&mut plain, point.set_us, point.beyond_wire_us());
    }
    let mut waits: Vec<((Role, f64, f64), Vec<f64>)> = Vec::new();
    for one in held {
        let key = (one.role, one.hold_us, one.point.set_us);
        add(&mut waits, key, one.point.beyond_wire_us());
    }
    // Repetitions of one kind differ by chance alone, all kinds alike.
    let kinds = || {
        let plain = plain.iter().map(|(_, of)| of);
        plain.chain(waits.iter().map(|(_, of)| of))
    };
    let freedom = (points.len() + held.len()) as f64 - kinds().count() as f64;
    let squares: f64 = kinds()
        .flat_map(|of| of.iter().map(|one| (one - mean(of)).powi(2)))
        .sum();
    let hold = |((role, set_us, delay_us), of): &((Role, f64, f64), Vec<f64>)| {
        let (_, without) = plain
            .iter()
            .find(|(set, _)| set.total_cmp(delay_us).is_eq())?;
        let share = 1.0 / of.len() as f64 + 1.0 / without.len() as f64;
        let margin_us = if freedom < 1.0 {
            f64::MAX
        } else {
            one_sided_95(freedom) * (squares / freedom * share).sqrt()
        };
        Some(Hold {
            role: *role,
            set_us: *set_us,
            found_us: mean(of) - mean(without),
            margin_us,
            runs: u32::try_from(of.len()).unwrap_or(u32::MAX),
        })
    };
    waits.iter().filter_map(hold).collect()
}

fn add<K: PartialEq>(kinds: &mut Vec<(K, Vec<f64>)>, key: K, value: f64) {
    match kinds.iter_mut().find(|(of, _)| *of == key) {
        Some((_, values)) => values.push(value),
        None => kinds.push((key, vec![value])),
    }
}

fn mean(of: &[f64]) -> f64 {
    of.iter().sum::<f64>() / of.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(beyond_us: f64) -> Point {
        Point {
            set_us: 0.0,
            wire_us: 60.0,
            latency_us: 60.0 + beyond_us,
        }
    }

    fn held(role: Role, beyond_us: f64) -> Held {
        Held {
            role,
            hold_us: 2_000.0,
            point: point(beyond_us),
        }
    }

    #[test]
    fn a_wait_is_what_the_latency_has_more_than_without() {
        let plain = [point(3_990.0), point(4_010.0)];
        let waits = [
            held(Role::Renderer, 5_990.0),
            held(Role::Renderer, 6_010.0),
            held(Role::Client, 5_590.0),
            held(Role::Client, 5_610.0),
        ];
        let [renderer, client] = found(&plain, &waits)[..] else {
            panic!("two programs waited");
        };
        assert!((renderer.found_us - 2_000.0).abs() < 1e-6 && renderer.came_back());
        // Three kinds of two repetitions, 10 us beside their means: a variance of 200, a half of it from each mean, and t(0.95) of 2.353
        // with 3 degrees of freedom.
        assert!((renderer.margin_us - 33.28).abs() < 0.01, "{renderer:?}");
        assert!((client.found_us - 1_600.0).abs() < 1e-6 && !client.came_back());
    }

    /// A wait that is unsure by more than the bound bears nothing out.
    #[test]
    fn what_is_unsure_did_not_come_back() {
        let plain = [point(3_700.0), point(4_300.0)];
        let waits = [held(Role::Client, 5_700.0), held(Role::Client, 6_300.0)];
        let found = found(&plain, &waits);
        assert!((found[0].found_us - 2_000.0).abs() < 1e-6 && !found[0].came_back());
        assert!(!super::found(&plain[..1], &waits[..1])[0].came_back());
        assert!(super::found(&[], &waits).is_empty());
    }
}
