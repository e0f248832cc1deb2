//! What a lab tells of itself, as data of the result.

use testbed::cgroup::Tree;
use testbed::local::too_big;

use result::{ResourcesMeta, TooBig};

/// How the lab's control groups count and limit.
pub(super) fn resources(tree: &Tree) -> ResourcesMeta {
    ResourcesMeta {
        controllers: tree.controllers(),
        missing: tree.missing().iter().map(ToString::to_string).collect(),
        limited: tree.limited().iter().map(ToString::to_string).collect(),
    }
}

/// The packets of one namespace that were larger than a link.
pub(super) const fn too_big(of: too_big::TooBig) -> TooBig {
    TooBig {
        fragmented: of.fragmented,
        dropped: of.dropped,
    }
}

#[cfg(test)]
mod tests {
    use testbed::cgroup::Limits;

    use stats::usage::CLUSTER;

    #[test]
    fn a_lab_is_limited_to_what_percentages_are_of() {
        assert_eq!(Limits::PAPER.cpu_millis, CLUSTER.cpu_millis);
        assert_eq!(Limits::PAPER.memory_bytes, CLUSTER.memory_bytes);
    }
}
