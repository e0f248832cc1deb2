//! One side of a peering of two clusters.

use super::plane::Plane;
use crate::local::fabric::address::Site;
use crate::local::fabric::draft;
use crate::local::fabric::inputs::FabricInputs;

/// The MTU of overlay and tunnel, in bytes: what Liqo sets unless told otherwise.
pub(super) const MTU_BYTES: u16 = 1340;

/// One side of the peering, and what both share.
pub(super) struct Peering<'a> {
    pub(super) site: &'a Site,
    pub(super) other: &'a Site,
    pub(super) pods: &'a [draft::Pod],
    pub(super) plane: &'a Plane,
    pub(super) given: &'a FabricInputs,
    pub(super) overlapping: bool,
}
