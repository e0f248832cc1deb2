//! What can be set, each thing once: units, words, and a struct of options for each service.
//!
//! The structs are [`clap::Args`] and serde at once. A service flattens its struct into its command line, a scenario file
//! has it as a table, and the runner makes the command line from the table by [`to_args`]. A value that a service refuses
//! is refused in the file too, by the same parser: [`check`].

#![warn(missing_docs)]

/// Serde by `FromStr` and `Display`, with the parser's own error: libraries that do the same replace it by one of theirs.
/// `$expected` is what a file should say where it says no text; `$written` gives the text, where `Display` hides some of it.
macro_rules! by_text {
    ($type:ty, $expected:literal) => {
        by_text!($type, $expected, ToString::to_string);
    };
    ($type:ty, $expected:literal, $written:path) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&$written(self))
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Visitor;

                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $type;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }

                from.deserialize_str(Visitor)
            }
        }
    };
}

mod address;
mod args;
mod bitrate;
mod command_line;
mod feed_url;
mod frame_rate;
mod hint;
mod launch;
mod number;
mod services;
mod size;
mod source;
mod span;
mod stream_url;
mod variable;
mod words;

pub use address::{address_without_password, has_password, without_passwords};
pub use args::{Refused, check, to_args};
pub use bitrate::{Bitrate, BitsPerSecond};
pub use command_line::parse_command_line;
pub use feed_url::{FeedMethod, FeedUrl};
pub use frame_rate::FrameRate;
pub use hint::{hint, nearest};
pub use launch::{launch_without_secrets, without_secrets};
pub use number::{Whole, number_key, whole, whole_key};
pub use services::{ClientSettings, RendererSettings, StreamerSettings, VideoSettings};
pub use size::VideoSize;
pub use source::SourceSpec;
pub use span::Span;
pub use stream_url::{QUIC_SCHEME, RTSPS_SCHEME, check_stream_url};
pub use words::{
    BufferMode, ClusterName, Compare, Congestion, Encoder, FeedTransport, Pipeline, Presentation,
    Preset, Role, ThreadType, Transport, Tune,
};

/// A value that does not parse: what is wrong with it, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(String);
