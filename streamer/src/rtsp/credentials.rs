//! Who may watch: names and passwords out of a file, and what the RTSP server's Digest is told of them.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use gstreamer::glib::object::IsA;
use gstreamer_rtsp::RTSPAuthMethod;
use gstreamer_rtsp_server::prelude::*;
use gstreamer_rtsp_server::{RTSPAuth, RTSPToken};
use service::{ConfigError, Secret};

/// The most bytes of the file: each connection that shows a password has a copy.
const MAX_BYTES: u64 = 16 * 1024;

/// The most bytes of one line.
const MAX_LINE_BYTES: usize = 256;

/// What players show to whoever is asked for a password.
const REALM: &str = "xr-streamer";

/// The viewers who may watch. Clones are the same ones.
#[derive(Clone, Debug)]
pub struct Credentials(Arc<[Viewer]>);

#[derive(Debug)]
struct Viewer {
    name: String,
    password: Secret,
}

impl Credentials {
    /// Reads lines of `name:password` from a file; blank ones and those that begin with `#` are for readers only.
    ///
    /// # Errors
    /// A file that cannot be read, names nobody, or has a line that is none, of which the error tells the number alone.
    pub fn from_file(path: &Path, origin: &str) -> Result<Self, ConfigError> {
        let wrong = |why: String| {
            ConfigError::new(
                origin,
                path.display().to_string(),
                why,
                "Name a readable text file with a line NAME:PASSWORD for each viewer.",
            )
        };
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
            .map_err(|error| wrong(error.to_string()))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(wrong(format!("it has more than {MAX_BYTES} bytes")));
        }
        parse(&text).map_err(wrong).map(Self)
    }

    /// Has `auth` ask by Digest alone.
    pub(super) fn ask(auth: &impl IsA<RTSPAuth>) {
        auth.set_supported_methods(RTSPAuthMethod::Digest);
        auth.set_realm(Some(REALM));
    }

    /// Tells `auth` who may watch.
    pub(super) fn teach(&self, auth: &impl IsA<RTSPAuth>) {
        let token = RTSPToken::new_empty();
        for viewer in &*self.0 {
            auth.add_digest(&viewer.name, viewer.password.expose(), &token);
        }
    }
}

/// The viewers of a file's text, or what is wrong with it, without any of its words.
fn parse(text: &str) -> Result<Arc<[Viewer]>, String> {
    let mut viewers = Vec::new();
    let mut lines = HashMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let viewer = viewer(line).map_err(|why| format!("line {number} {why}"))?;
        if let Some(before) = lines.insert(viewer.name.clone(), number) {
            return Err(format!("line {number} has the name of line {before} again"));
        }
        viewers.push(viewer);
    }
    if viewers.is_empty() {
        return Err("it names no viewer, so that nobody could watch".to_owned());
    }
    Ok(viewers.into())
}

fn viewer(line: &str) -> Result<Viewer, String> {
    if line.len() > MAX_LINE_BYTES {
        return Err(format!("is longer than {MAX_LINE_BYTES} bytes"));
    }
    let (name, password) = line
        .split_once(':')
        .ok_or("has no colon between a name and a password")?;
    // The name stands in quotes in a header, and in addresses; what players make of other letters differs.
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_plain) {
        return Err(
            "needs a name of visible ASCII characters without quotes and backslashes".to_owned(),
        );
    }
    if password.is_empty() || !password.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("needs a password of visible ASCII characters, without spaces".to_owned());
    }
    Ok(Viewer {
        name: name.to_owned(),
        password: Secret::new(password),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_name_viewers() {
        let text = "# who may watch\n\nann:swordfish\r\n  bob:a:b#c \n";
        let viewers = parse(text).unwrap();
        let known = viewers
            .iter()
            .map(|viewer| (viewer.name.as_str(), viewer.password.expose()));
        let known: Vec<_> = known.collect();
        assert_eq!(known, [("ann", "swordfish"), ("bob", "a:b#c")]);
        assert!(!format!("{viewers:?}").contains("swordfish"));
    }

    #[test]
    fn what_is_wrong_is_told_by_its_line_and_not_by_its_words() {
        let long = format!("ann:{}", "herring".repeat(50));
        for (text, why) in [
            ("", "names no viewer"),
            ("# ann:herring\n\n", "names no viewer"),
            ("bob:x\n\nherring\n", "line 3 has no colon"),
            (":herring", "line 1 needs a name"),
            ("herr ing:x", "line 1 needs a name"),
            ("herr\"ing:x", "line 1 needs a name"),
            ("herring:", "line 1 needs a password"),
            ("ann:herr ing", "line 1 needs a password"),
            ("ann:herr\u{fc}ing", "line 1 needs a password"),
            (long.as_str(), "line 1 is longer than 256 bytes"),
            ("herring:a\nb:c\nherring:d", "line 3 has the name of line 1"),
        ] {
            let told = parse(text).unwrap_err();
            assert!(told.contains(why), "{told} has no {why}");
            assert!(!told.contains("herr"), "{told}");
        }
    }

    #[test]
    fn a_file_is_bounded_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("viewers");
        let why = |path: &Path| {
            let read = Credentials::from_file(path, "--viewers-file");
            read.unwrap_err().to_string()
        };
        let missing = why(&path);
        assert!(
            missing.contains("--viewers-file") && missing.contains("No such file"),
            "{missing}"
        );
        std::fs::write(&path, "#\n".repeat(10_000)).unwrap();
        assert!(why(&path).contains("more than 16384 bytes"));
        std::fs::write(&path, [b'a', b':', 0xff]).unwrap();
        assert!(why(&path).contains("UTF-8"), "{}", why(&path));
        assert!(why(Path::new("/dev/zero")).contains("more than"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "([a-c:# \t\"]{0,6}\r?\n){0,6}") {
            if let Ok(viewers) = parse(&text) {
                prop_assert!(!viewers.is_empty());
                let plain = viewers.iter().all(|viewer| !viewer.name.contains([':', '"', ' ']));
                prop_assert!(plain);
            }
        }
    }
}
