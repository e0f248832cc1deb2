//! What a scenario file names of this machine: films that must be there, and what neither this host nor a lab can do. Said before anything
//! is started, by a plan as well as by a run.

use std::fs;
use std::path::Path;

use service::ConfigError;
use settings::SourceSpec;

use super::place;
use crate::scenario::File;

/// Checks that this machine has what the scenarios name.
pub(super) fn check(file: &File) -> Result<(), ConfigError> {
    for scenario in &file.scenario {
        if let SourceSpec::File(path) = &scenario.source
            && let Err(why) = film(path)
        {
            let origin = format!("scenario {}.source", scenario.name);
            let remedy = "Give the path of a video file; `make media` fetches the test video into media/; or write `--set source=test` for a \
                          test pattern.";
            return Err(ConfigError::new(
                origin,
                scenario.source.to_string(),
                why,
                remedy,
            ));
        }
    }
    file.scenario.iter().try_for_each(place::check_here)
}

/// Whether a film can be read; why not, where it cannot.
fn film(path: &Path) -> Result<(), String> {
    let here = std::env::current_dir().unwrap_or_default();
    if !path.exists() {
        return Err(format!(
            "there is no such file, seen from {}",
            here.display()
        ));
    }
    if !path.is_file() {
        return Err("it is no file".to_owned());
    }
    let opened = fs::File::open(path).map(drop);
    opened.map_err(|error| format!("it cannot be read ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Overrides, parse};

    fn said(source: &str) -> Option<String> {
        let text = format!(
            "schema = 1\nname = \"x\"\n[[scenario]]\nname = \"udp\"\nsource = {source:?}\n"
        );
        let file = parse(&text, "x.toml", &Overrides::default()).expect("a scenario file");
        check(&file).err().map(|error| error.to_string())
    }

    #[test]
    fn a_film_that_is_not_there_is_refused_by_key_and_path() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let film = dir.path().join("film.mp4");
        let source = format!("file:{}", film.display());
        let error = said(&source).expect("no film");
        for part in ["scenario udp.source", &source, "no such file", "make media"] {
            assert!(error.contains(part), "{error}");
        }
        fs::write(&film, "a film").expect("written");
        assert_eq!(said(&source), None);
        let folder = said(&format!("file:{}", dir.path().display())).expect("a folder");
        assert!(folder.contains("it is no file"), "{folder}");
        assert_eq!(said("test"), None);
    }
}
