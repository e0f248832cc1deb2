//! The encoder: which one, with which properties, and what it delivers.

use gstreamer as gst;
use gstreamer::prelude::*;
use settings::{Bitrate, Encoder, FrameRate, Preset, Tune, VideoSize};

use crate::{Error, element};

/// How pictures are encoded and cut into packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderConfig {
    /// Size of the pictures.
    pub size: VideoSize,
    pub fps: FrameRate,
    pub bitrate: Bitrate,
    pub encoder: Encoder,
    pub preset: Preset,
    pub tune: Tune,
    /// Frames from one key frame to the next.
    pub gop: u32,
    /// Threads of the encoder; 0 lets it choose.
    pub threads: u32,
    /// Largest RTP packet in bytes.
    pub rtp_mtu: u32,
}

impl EncoderConfig {
    /// The settings with the least latency, at 6 Mbit/s and a key frame each second.
    pub fn new(size: VideoSize, fps: FrameRate) -> Self {
        Self {
            size,
            fps,
            bitrate: Bitrate::SIX_MEGABITS,
            encoder: Encoder::X264Enc,
            preset: Preset::UltraFast,
            tune: Tune::ZeroLatency,
            gop: fps.numerator().div_ceil(fps.denominator()),
            threads: 0,
            rtp_mtu: 1150,
        }
    }
}

/// The encoder and what belongs behind it, not linked yet: I420 in, H.264 access units as a byte stream out, each key frame
/// with its parameter sets.
pub fn elements(config: &EncoderConfig) -> Result<Vec<gst::Element>, Error> {
    let encoder = encoder(config)?;
    let mut caps = gst::Caps::builder("video/x-h264")
        .field("stream-format", "byte-stream")
        .field("alignment", "au");
    // Left to itself x264 picks the profile that its settings need; ours decode everywhere.
    if config.tune == Tune::ZeroLatency {
        caps = caps.field("profile", "constrained-baseline");
    }
    let filter = element("capsfilter")?;
    filter.set_property("caps", caps.build());
    if config.encoder == Encoder::X264Enc {
        return Ok(vec![encoder, filter]);
    }
    // Not every encoder repeats its parameter sets, and a viewer who joins needs them with each key frame.
    let repeat = element("h264parse")?;
    repeat.set_property("config-interval", -1_i32);
    Ok(vec![encoder, repeat, filter])
}

/// The payloader that cuts an access unit into packets without waiting for the next.
pub fn payloader(rtp_mtu: u32) -> Result<gst::Element, Error> {
    let payloader = element("rtph264pay")?;
    payloader.set_property("mtu", rtp_mtu);
    payloader.set_property("pt", 96_u32);
    // The encoder repeats the parameter sets at each key frame. The payloader would put them before each *slice* of one,
    // and whoever reassembles the frame takes that for the start of the next.
    payloader.set_property("config-interval", 0_i32);
    payloader.set_property_from_str("aggregate-mode", "zero-latency");
    Ok(payloader)
}

fn encoder(config: &EncoderConfig) -> Result<gst::Element, Error> {
    let encoder = element(&config.encoder.to_string())?;
    let kilobits = config.bitrate.kilobits_per_second().to_string();
    let (gop, threads) = (config.gop.to_string(), config.threads.to_string());
    let preset = config.preset.to_string();
    let tune = match config.tune {
        Tune::ZeroLatency => "zerolatency",
        Tune::None => "0",
    };
    let properties: &[(&str, &str)] = match config.encoder {
        Encoder::X264Enc => &[
            ("tune", tune),
            ("speed-preset", &preset),
            ("bitrate", &kilobits),
            ("key-int-max", &gop),
            ("threads", &threads),
            // A delimiter before each picture tells nobody anything in RTP, which has the marker.
            ("aud", "false"),
        ],
        Encoder::OpenH264Enc => &[
            ("bitrate", &config.bitrate.bits_per_second().to_string()),
            (
                "max-bitrate",
                &config
                    .bitrate
                    .bits_per_second()
                    .saturating_mul(2)
                    .to_string(),
            ),
            ("rate-control", "bitrate"),
            ("gop-size", &gop),
            ("multi-thread", &threads),
            ("complexity", "low"),
            ("usage-type", "camera"),
        ],
        Encoder::VaH264Enc => &[
            ("bitrate", &kilobits),
            ("key-int-max", &gop),
            ("b-frames", "0"),
            ("ref-frames", "1"),
            ("rate-control", "cbr"),
            ("target-usage", "7"),
        ],
        Encoder::NvH264Enc => &[
            ("bitrate", &kilobits),
            ("gop-size", &gop),
            ("zerolatency", "true"),
            ("preset", "low-latency-hp"),
            ("rc-mode", "cbr"),
        ],
    };
    for (name, value) in properties {
        set(&encoder, name, value)?;
    }
    Ok(encoder)
}

/// Sets a property from text, with an error where GStreamer would abort.
fn set(element: &gst::Element, name: &str, text: &str) -> Result<(), Error> {
    let refused = |why: &str| {
        let factory = element
            .factory()
            .map_or_else(String::new, |factory| factory.name().to_string());
        Err(Error::Build(format!("{factory} {why} {name}={text}")))
    };
    let Some(property) = element.find_property(name) else {
        return refused("has no property for");
    };
    match gst::glib::Value::deserialize_with_pspec(text, &property) {
        Ok(value) => {
            element.set_property_from_value(name, &value);
            Ok(())
        }
        Err(_) => refused("does not take"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> EncoderConfig {
        EncoderConfig::new(
            VideoSize::new(1280, 720).unwrap(),
            FrameRate::new(60, 1).unwrap(),
        )
    }

    #[test]
    fn the_settings_arrive() {
        crate::init().unwrap();
        let encoder = elements(&config()).unwrap().swap_remove(0);
        assert_eq!(encoder.property::<u32>("bitrate"), 6000);
        assert_eq!(encoder.property::<u32>("key-int-max"), 60);
        let tune = encoder.property_value("tune").serialize().unwrap();
        assert_eq!(tune, "Zero latency");
        let encoder = elements(&EncoderConfig {
            tune: Tune::None,
            ..config()
        })
        .unwrap()
        .swap_remove(0);
        assert_eq!(encoder.property_value("tune").serialize().unwrap(), "0");
    }

    #[test]
    fn what_an_encoder_does_not_take_is_an_error_and_not_a_panic() {
        crate::init().unwrap();
        let encoder = element("x264enc").unwrap();
        let error = set(&encoder, "speed-preset", "warp").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("x264enc does not take speed-preset=warp"),
            "{error}"
        );
        let error = set(&encoder, "warp", "9").unwrap_err();
        assert!(error.to_string().contains("no property"), "{error}");
    }

    #[test]
    fn every_preset_is_one_of_the_element() {
        use clap::ValueEnum as _;
        crate::init().unwrap();
        for preset in Preset::value_variants() {
            elements(&EncoderConfig {
                preset: *preset,
                ..config()
            })
            .unwrap();
        }
    }
}
