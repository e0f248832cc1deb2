//! The ranges of a scenario's numbers, each once: whoever writes another number, or none, is told them.

use serde::Deserializer;
use settings::{number_key, whole_key};

/// Repetitions of a scenario.
pub(super) fn runs<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    whole_key(from, 1..=1000)
}

/// Repetitions of a floor, of which there may be none.
pub(super) fn floor_runs<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    whole_key(from, 0..=1000).map(Some)
}

/// Clients that play at the same time.
pub(super) fn clients<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    whole_key(from, 1..=100)
}

/// A scenario of the paper, by its number.
pub(super) fn paper<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u8>, D::Error> {
    whole_key(from, 1..=5).map(Some)
}

/// A bound of what a machine may do.
pub(super) fn not_negative<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    number_key(from, 0.0..=f64::INFINITY)
}

/// A part of all packets.
pub(super) fn percent<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    number_key(from, 0.0..=100.0).map(Some)
}

/// Packets that are lost in a row.
pub(super) fn burst<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    number_key(from, 1.0..=f64::INFINITY).map(Some)
}
