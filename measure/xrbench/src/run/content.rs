//! Which stretch of a film a round shows: drawn from the file's seed, the same for every scenario and floor of the round, and another
//! one in each round. What a codec takes depends on the picture more than on anything else, so a result over one stretch is a result
//! about that stretch.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde::Deserialize;
use service::ConfigError;
use settings::SourceSpec;

use super::plan::FloorRun;
use crate::scenario::{File, Scenario};
use result::{ContentMeta, PlannedRepetition};

/// Pictures among which the first one is drawn: all that come before it are decoded before a repetition begins.
const MAX_START: u64 = 3_000;

/// The films of a scenario file.
#[derive(Debug)]
pub(super) struct Contents {
    seed: u64,
    films: BTreeMap<PathBuf, Film>,
}

#[derive(Clone, Copy, Debug)]
struct Film {
    pictures: u64,
    /// Pictures a second, as a fraction.
    rate: (u64, u64),
}

impl Contents {
    /// The files of the films.
    pub(super) fn films(&self) -> impl Iterator<Item = &Path> {
        self.films.keys().map(PathBuf::as_path)
    }

    /// Counts the pictures of each film. One that cannot be counted is shown from its start in every round, which is said.
    ///
    /// # Errors
    /// A film of several videos: renderer and ffmpeg might take different ones.
    pub(super) fn of_file(file: &File) -> Result<Self, ConfigError> {
        let mut films = BTreeMap::new();
        for scenario in &file.scenario {
            let SourceSpec::File(path) = &scenario.source else {
                continue;
            };
            if films.contains_key(path) || !path.is_file() {
                continue;
            }
            match Film::count(path) {
                Ok(Counted::Film(film)) => {
                    films.insert(path.clone(), film);
                }
                Ok(Counted::Several(streams)) => {
                    let why = format!("it has several video streams: {}", streams.join(", "));
                    let remedy =
                        "Keep the one that is the film: ffmpeg -i FILE -map 0:v:1 -c copy film.mkv";
                    let origin = format!("scenario {}.source", scenario.name);
                    let source = scenario.source.to_string();
                    return Err(ConfigError::new(origin, source, why, remedy));
                }
                Err(error) => tracing::warn!(
                    film = %path.display(),
                    error = format!("{error:#}"),
                    "its pictures cannot be counted: every round shows it from its start"
                ),
            }
        }
        Ok(Self {
            seed: file.seed,
            films,
        })
    }

    /// The settings of a repetition, with what its round shows.
    pub(super) fn round(&self, settings: &Scenario, slot: &PlannedRepetition) -> FloorRun {
        FloorRun {
            name: slot.scenario.clone(),
            like: Scenario {
                content: self.of(settings, slot.run),
                ..settings.clone()
            },
        }
    }

    /// What the round `run` shows; none of a source that is no film.
    pub(super) fn of(&self, scenario: &Scenario, run: u32) -> Option<ContentMeta> {
        let SourceSpec::File(path) = &scenario.source else {
            return None;
        };
        let film = self.films.get(path)?;
        let mut random = fastrand::Rng::with_seed(self.seed);
        let among = film.pictures.clamp(1, MAX_START);
        let start = (0..run).map(|_| random.u64(..among)).last()?;
        let (numerator, denominator) = film.rate;
        Some(ContentMeta {
            start,
            start_us: start * 1_000_000 * denominator / numerator,
            pictures: Some(film.pictures),
        })
    }
}

/// What ffprobe prints.
#[derive(Deserialize)]
struct Probed {
    streams: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    codec_name: String,
    width: u32,
    height: u32,
    avg_frame_rate: String,
    nb_read_packets: String,
}

/// What a file turned out to be.
#[derive(Debug)]
enum Counted {
    Film(Film),
    /// Several videos, described.
    Several(Vec<String>),
}

impl Film {
    fn count(path: &Path) -> anyhow::Result<Counted> {
        let output = Command::new("ffprobe")
            .args(["-v", "error", "-select_streams", "V", "-count_packets"])
            .args([
                "-show_entries",
                "stream=codec_name,width,height,nb_read_packets,avg_frame_rate",
                "-of",
                "json",
            ])
            .arg(ocr::ffmpeg_file(path))
            .output()
            .context("cannot start ffprobe, which the package ffmpeg has")?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "ffprobe failed: {}", said.trim());
        Self::parse(&output.stdout)
    }

    fn parse(json: &[u8]) -> anyhow::Result<Counted> {
        let probed: Probed = serde_json::from_slice(json).context("ffprobe prints no JSON")?;
        let stream = probed.streams.first().context("it has no video")?;
        if probed.streams.len() > 1 {
            let streams = probed.streams.iter().map(|one| {
                let (codec, pictures) = (&one.codec_name, &one.nb_read_packets);
                format!(
                    "{codec} {}x{} of {pictures} pictures",
                    one.width, one.height
                )
            });
            return Ok(Counted::Several(streams.collect()));
        }
        let rate = stream.avg_frame_rate.split_once('/');
        let rate = rate.and_then(|(of, each)| Some((of.parse().ok()?, each.parse().ok()?)));
        let pictures = stream.nb_read_packets.parse().ok();
        match (pictures, rate) {
            (Some(pictures), Some((of, each))) if pictures > 0 && of > 0 && each > 0 => {
                let rate = (of, each);
                Ok(Counted::Film(Self { pictures, rate }))
            }
            _ => anyhow::bail!(
                "ffprobe says {} pictures at {} a second",
                stream.nb_read_packets,
                stream.avg_frame_rate
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = r#"{"programs": [], "streams": [{"codec_name": "h264", "width": 1280, "height": 720,
        "avg_frame_rate": "25/1", "nb_read_packets": "132"}]}"#;

    fn contents(seed: u64) -> Contents {
        let film = Film::parse(STREAM.as_bytes());
        let Ok(Counted::Film(film)) = film else {
            panic!("{film:?}");
        };
        let films = [("film.mp4".into(), film)].into();
        Contents { seed, films }
    }

    fn scenario(source: &str) -> Scenario {
        Scenario {
            source: source.parse().expect("a source"),
            ..Scenario::default()
        }
    }

    #[test]
    fn every_scenario_of_a_round_shows_the_same_and_each_round_another() {
        let of = contents(7);
        let (one, other) = (scenario("file:film.mp4"), scenario("file:film.mp4"));
        let starts: Vec<u64> = (1..=12)
            .map(|run| {
                let shown = of.of(&one, run).expect("a film");
                assert_eq!(of.of(&other, run), Some(shown));
                assert_eq!(shown.start_us, shown.start * 40_000);
                shown.start
            })
            .collect();
        let mut distinct = starts.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert!(
            distinct.len() > 8 && distinct.iter().all(|start| *start < 132),
            "{starts:?}"
        );
        let again: Vec<_> = (1..=12)
            .filter_map(|run| contents(7).of(&one, run))
            .collect();
        assert!(
            again.iter().map(|of| of.start).eq(starts),
            "from the seed alone"
        );
        assert_eq!(of.of(&scenario("test"), 1), None);
        assert_eq!(
            of.of(&scenario("file:other.mp4"), 1),
            None,
            "nobody counted it"
        );
    }

    #[test]
    fn a_still_before_the_film_is_told_from_it() {
        let still = r#"{"codec_name": "mjpeg", "width": 320, "height": 240, "avg_frame_rate": "25/1", "nb_read_packets": "1"}, "#;
        let both = STREAM.replace("[{\"codec", &format!("[{still}{{\"codec"));
        let Ok(Counted::Several(streams)) = Film::parse(both.as_bytes()) else {
            panic!("two of them");
        };
        assert_eq!(
            streams,
            [
                "mjpeg 320x240 of 1 pictures",
                "h264 1280x720 of 132 pictures"
            ]
        );
    }

    #[test]
    fn a_film_without_a_count_is_none() {
        for wrong in [
            "{",
            r#"{"streams": []}"#,
            &STREAM.replace("25/1", "0/0"),
            &STREAM.replace("132", "N/A"),
        ] {
            assert!(Film::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
