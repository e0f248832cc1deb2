//! The programs and parts of programs that a run needs, or is better with.

use std::env::consts::ARCH;
use std::path::Path;

use super::check::{Check, Lack};
use crate::reference::FONT;
use crate::run::machine::{first_line, output};
use crate::run::{programs, registry};

/// Elements without which the services cannot work, and Debian's package of each.
const ELEMENTS: [(&str, &str); 11] = [
    ("x264enc", "gstreamer1.0-plugins-ugly"),
    ("avdec_h264", "gstreamer1.0-libav"),
    ("h264parse", "gstreamer1.0-plugins-bad"),
    ("tsdemux", "gstreamer1.0-plugins-bad"),
    ("rtph264pay", "gstreamer1.0-plugins-good"),
    ("rtph264depay", "gstreamer1.0-plugins-good"),
    ("rtspsrc", "gstreamer1.0-plugins-good"),
    ("udpsink", "gstreamer1.0-plugins-good"),
    ("qtdemux", "gstreamer1.0-plugins-good"),
    ("decodebin", "gstreamer1.0-plugins-base"),
    ("appsink", "gstreamer1.0-plugins-base"),
];

pub(super) async fn checks(bin_dir: Option<&Path>) -> Vec<Check> {
    let mut checks = vec![our_programs(bin_dir)];
    checks.extend(lisp(bin_dir));
    checks.extend(gstreamer().await);
    checks.extend(ffmpeg().await);
    checks.extend(tesseract().await);
    checks.push(Check::wish(
        "font",
        Path::new(FONT).is_file(),
        FONT,
        Lack {
            cost: "the reference cannot draw its clock",
            remedy: "apt-get install fonts-dejavu-core",
        },
    ));
    checks
}

fn our_programs(bin_dir: Option<&Path>) -> Check {
    let lack = Lack {
        cost: "nothing can be run",
        remedy: "make build, or cargo build --workspace --bins",
    };
    match programs::find(bin_dir) {
        Ok(found) => {
            let dir = found.renderer.parent().unwrap_or_else(|| Path::new("."));
            Check::good("programs", dir.display().to_string())
        }
        Err(error) => Check::need("programs", false, error.to_string(), lack),
    }
}

fn lisp(bin_dir: Option<&Path>) -> Option<Check> {
    let path = programs::lisp(bin_dir).ok()?;
    let lack = Lack {
        cost: "there is no fabric `lisp`",
        remedy: "make build, or cargo build --workspace --bins",
    };
    Some(Check::wish(
        "xr-lisp",
        path.is_file(),
        path.display().to_string(),
        lack,
    ))
}

async fn gstreamer() -> Vec<Check> {
    let inspect = Path::new("gst-inspect-1.0");
    let Some(version) = first_line(inspect, &["--version"]).await else {
        return vec![Check::need(
            "GStreamer",
            false,
            "no gst-inspect-1.0",
            Lack {
                cost: "without it nothing is known of GStreamer's elements, and the services may not start",
                remedy: "apt-get install gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
                     gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav",
            },
        )];
    };
    let mut missing = Vec::new();
    for (element, package) in ELEMENTS {
        if output(inspect, &["--exists", element]).await.is_none() {
            missing.push((element, package));
        }
    }
    let mut elements = Check::good("GStreamer elements", format!("all {}", ELEMENTS.len()));
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|(element, _)| *element).collect();
        let mut packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
        packages.sort_unstable();
        packages.dedup();
        let found = format!("without {}", names.join(", "));
        let lack = Lack {
            cost: "the services cannot build their pipelines",
            remedy: "",
        };
        elements = Check::need("GStreamer elements", false, found, lack);
        elements.remedy = format!("apt-get install {}", packages.join(" "));
    }
    let record = output(inspect, &["--exists", "rtspclientsink"])
        .await
        .is_some();
    let record = Check::wish(
        "RTSP RECORD",
        record,
        if record { "there" } else { "no rtspclientsink" },
        Lack {
            cost: "no other server that is pushed to by RTSP can stand in the streamer's place",
            remedy: "apt-get install gstreamer1.0-rtsp",
        },
    );
    vec![
        Check::good("GStreamer", version),
        registry(registry::lack()),
        elements,
        record,
        rtsps(),
    ]
}

/// Whether GIO has TLS to load, where distributions put its modules.
fn rtsps() -> Check {
    let debian = format!("/usr/lib/{ARCH}-linux-gnu/gio/modules");
    let folders = [
        debian.as_str(),
        "/usr/lib64/gio/modules",
        "/usr/lib/gio/modules",
    ];
    let modules = ["libgiognutls.so", "libgioopenssl.so"];
    let mut places = folders
        .iter()
        .flat_map(|folder| modules.map(|module| Path::new(folder).join(module)));
    let found = places.find(|place| place.is_file());
    let says = found.as_ref().map_or_else(
        || "no module of GIO with TLS".to_owned(),
        |place| place.display().to_string(),
    );
    let lack = Lack {
        cost: "xr-client plays from no rtsps:// address; no scenario has one",
        remedy: "apt-get install glib-networking",
    };
    Check::wish("RTSP over TLS", found.is_some(), says, lack)
}

fn registry(lack: Option<String>) -> Check {
    let good = lack.is_none();
    let found = lack.unwrap_or_else(|| "is kept".to_owned());
    let (cost, remedy) = (registry::COST, registry::REMEDY);
    Check::wish("GStreamer registry", good, found, Lack { cost, remedy })
}

async fn ffmpeg() -> Vec<Check> {
    let ffmpeg = Path::new("ffmpeg");
    let Some(version) = first_line(ffmpeg, &["-hide_banner", "-version"]).await else {
        return vec![Check::wish(
            "ffmpeg",
            false,
            "not there",
            Lack {
                cost: "no reference pipeline, and no OCR of video files",
                remedy: "apt-get install ffmpeg",
            },
        )];
    };
    let filters = output(ffmpeg, &["-hide_banner", "-filters"])
        .await
        .unwrap_or_default();
    let encoders = output(ffmpeg, &["-hide_banner", "-encoders"])
        .await
        .unwrap_or_default();
    let says = |has: bool| if has { "there" } else { "not in this ffmpeg" };
    let (drawtext, x264) = (
        filters.contains(" drawtext "),
        encoders.contains(" libx264 "),
    );
    let remedy = "use Debian's ffmpeg: apt-get install ffmpeg";
    vec![
        Check::good("ffmpeg", version),
        Check::wish(
            "ffmpeg drawtext",
            drawtext,
            says(drawtext),
            Lack {
                cost: "no reference pipeline: it cannot draw its clock",
                remedy,
            },
        ),
        Check::wish(
            "ffmpeg libx264",
            x264,
            says(x264),
            Lack {
                cost: "no reference pipeline: it cannot encode",
                remedy,
            },
        ),
    ]
}

async fn tesseract() -> Vec<Check> {
    let lack = Lack {
        cost: "no OCR: no audit of the blocks, and no figure of the reference",
        remedy: "apt-get install tesseract-ocr tesseract-ocr-eng",
    };
    let tesseract = Path::new("tesseract");
    let Some(version) = first_line(tesseract, &["--version"]).await else {
        return vec![Check::wish("tesseract", false, "not there", lack)];
    };
    let languages = output(tesseract, &["--list-langs"])
        .await
        .unwrap_or_default();
    let english = languages.lines().any(|line| line.trim() == "eng");
    let says = if english {
        "eng is there"
    } else {
        "eng is not there"
    };
    vec![
        Check::good("tesseract", version),
        Check::wish("tesseract data", english, says, lack),
    ]
}
