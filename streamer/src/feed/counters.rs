//! What is counted of each name. A metric is one line below.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

use super::name::FeedName;

/// A label that names a feed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FeedLabel {
    feed: String,
}

macro_rules! counters {
    ($($field:ident, $name:literal $(in $unit:ident)?, $help:literal;)*) => {
        /// Counters of one name.
        #[derive(Clone, Debug, Default)]
        pub struct Counters {
            $(#[doc = $help] pub $field: Counter,)*
        }

        /// Counters of every name, bounded by the table's limit.
        #[derive(Clone, Debug, Default)]
        pub struct Families {
            $($field: Family<FeedLabel, Counter>,)*
        }

        impl Families {
            /// All of them, in `registry`.
            pub fn register(registry: &mut Registry) -> Self {
                let all = Self::default();
                $(register(registry, $name, $help, None$(.or(Some(Unit::$unit)))?, &all.$field);)*
                all
            }

            pub fn of(&self, name: &FeedName) -> Counters {
                let label = FeedLabel { feed: name.to_string() };
                Counters { $($field: self.$field.get_or_create_owned(&label),)* }
            }

            /// The name is gone, and its counters with it.
            pub fn forget(&self, name: &FeedName) {
                let label = FeedLabel { feed: name.to_string() };
                $(self.$field.remove(&label);)*
            }
        }
    };
}

counters! {
    packets, "ingested_packets", "RTP packets taken in";
    bytes, "ingested" in Bytes, "Bytes of RTP packets taken in";
    frames, "relayed_frames", "Frames passed on to the name's viewers, if any";
    gaps, "sequence_gaps", "Times that packets were missing in a feed";
    missing, "missing_packets", "Packets that were missing in a feed";
    skipped, "skipped_frames", "Frames cut by a gap, or before the first key frame";
    unpushed, "unpushed_frames", "Frames that a media refused";
    waited, "waited_frames", "Frames that viewers on TCP could not take at once";
    outrun, "outrun_frames", "Frames let go because no viewer on TCP took any";
    keyframe_requests, "keyframe_requests", "Key frames asked of the renderer";
}

fn register(
    registry: &mut Registry,
    name: &str,
    help: &str,
    unit: Option<Unit>,
    family: &Family<FeedLabel, Counter>,
) {
    match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, family.clone()),
        None => registry.register(name, help, family.clone()),
    }
}
