//! Options as a command line: written from a struct, and checked by the parser that will read it.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, Command};
use serde::Serialize;
use serde_json::Value;

/// A value that the program refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The option, as a file names it: `rtp_mtu`.
    pub key: String,
    /// The value that was refused, as it was written.
    pub value: String,
    /// The reason for the refusal, and what would be right.
    pub why: String,
}

/// The command line that says the same as `options`: `--flag=value` for each.
///
/// # Panics
/// When `options` is no struct of numbers, texts and truth values. The structs of this crate are.
pub fn to_args<T: Args + Serialize>(options: &T) -> Vec<String> {
    let Ok(Value::Object(values)) = serde_json::to_value(options) else {
        panic!("options are a struct");
    };
    let command = T::augment_args(Command::new("options"));
    let flags = command.get_arguments().filter_map(|arg| {
        let flag = arg.get_long()?;
        match values.get(arg.get_id().as_str())? {
            Value::Null => None,
            Value::String(text) => Some(format!("--{flag}={text}")),
            value => Some(format!("--{flag}={value}")),
        }
    });
    flags.collect()
}

/// Whether the program takes `options`: its own parser reads their command line.
pub fn check<T: Args + Serialize>(options: &T) -> Result<(), Refused> {
    let command = T::augment_args(Command::new("options").no_binary_name(true));
    let Err(error) = command.try_get_matches_from(to_args(options)) else {
        return Ok(());
    };
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let flag = context(ContextKind::InvalidArg);
    let flag = flag.trim_start_matches("--").split(' ').next();
    Err(Refused {
        key: flag.unwrap_or_default().replace('-', "_"),
        value: context(ContextKind::InvalidValue),
        why: error
            .source()
            .map_or_else(|| error.to_string(), ToString::to_string),
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use clap::ValueEnum;
    use proptest::prelude::*;
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::{
        Bitrate, ClientSettings, ClusterName, FrameRate, RendererSettings, SourceSpec,
        StreamerSettings, VideoSettings, VideoSize,
    };

    fn parse<T: Args>(args: Vec<String>) -> T {
        let command = T::augment_args(Command::new("options").no_binary_name(true));
        let matches = command.try_get_matches_from(args).expect("sound options");
        T::from_arg_matches(&matches).expect("sound options")
    }

    fn through_both<T: Args + Serialize + DeserializeOwned + PartialEq + Debug>(options: &T) {
        assert_eq!(check(options), Ok(()));
        assert_eq!(parse::<T>(to_args(options)), *options);
        let text = toml::to_string(options).expect("TOML");
        assert_eq!(toml::from_str::<T>(&text).expect("TOML"), *options);
    }

    fn word<T: ValueEnum + Debug + 'static>() -> impl Strategy<Value = T> {
        proptest::sample::select(T::value_variants().to_vec())
    }

    proptest! {
        #[test]
        fn the_renderer_reads_what_was_written(
            (encoder, preset, tune) in (word(), word(), word()),
            gop in 1_u32..=100_000,
            threads in 0_u32..=64,
            rtp_mtu in 256_u32..=9000,
            hold_us in 0_u32..=100_000,
        ) {
            let cluster = ClusterName::A;
            through_both(&RendererSettings { encoder, preset, tune, gop, threads, rtp_mtu, hold_us, cluster });
        }

        #[test]
        fn the_streamer_reads_what_was_written(
            rtp_sync: bool,
            factory_latency_ms: u32,
            quic_congestion in word(),
            quic_stale_ms in 5_u32..=10_000,
        ) {
            through_both(&StreamerSettings { rtp_sync, factory_latency_ms, quic_congestion, quic_stale_ms });
        }

        #[test]
        fn the_client_reads_what_was_written(
            latency_ms: u32,
            buffer_mode in word(),
            sync: bool,
            decoder_threads in 0_u32..=64,
            decoder_thread_type in word(),
            hold_us in 0_u32..=100_000,
        ) {
            through_both(&ClientSettings { latency_ms, buffer_mode, sync, decoder_threads, decoder_thread_type, hold_us });
        }

        #[test]
        fn the_video_reads_as_it_was_written(
            source in "(test|file:/?[^/\0][^\0]{0,19}|gst:[a-z][^\0]{0,20})",
            (width, height) in (320_u32..=4096, 180_u32..=4096),
            (numerator, denominator) in (1_u32..60_000, 1_u32..1002),
            bits in 50_000_u64..=400_000_000,
            source_start: u64,
        ) {
            let Ok(fps) = FrameRate::new(numerator, denominator) else { return Ok(()) };
            let video = VideoSettings {
                source: source.parse::<SourceSpec>().unwrap(),
                source_start,
                size: VideoSize::new(2 * width, 2 * height).unwrap(),
                fps,
                bitrate: Bitrate::new(bits).unwrap(),
            };
            prop_assert_eq!(parse::<VideoSettings>(to_args(&video)), video);
        }
    }

    #[test]
    fn defaults_are_the_same_on_a_command_line_and_in_a_file() {
        assert_eq!(
            parse::<RendererSettings>(Vec::new()),
            RendererSettings::default()
        );
        assert_eq!(
            parse::<StreamerSettings>(Vec::new()),
            StreamerSettings::default()
        );
        assert_eq!(
            parse::<ClientSettings>(Vec::new()),
            ClientSettings::default()
        );
    }

    #[test]
    fn what_a_program_refuses_is_named_by_its_key() {
        let refused = check(&RendererSettings {
            gop: 0,
            ..RendererSettings::default()
        });
        let (key, value, why) = (
            "gop".into(),
            "0".into(),
            "it must be a whole number, 1 to 100000".into(),
        );
        assert_eq!(refused, Err(Refused { key, value, why }));
        let refused = check(&RendererSettings {
            rtp_mtu: 100,
            ..RendererSettings::default()
        });
        assert_eq!(
            refused.map_err(|refused| refused.key),
            Err("rtp_mtu".into())
        );
        let refused = check(&ClientSettings {
            decoder_threads: 65,
            ..ClientSettings::default()
        });
        assert_eq!(
            refused.map_err(|refused| refused.key),
            Err("decoder_threads".into())
        );
    }
}
