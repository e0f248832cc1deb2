//! The registry of GStreamer's plugins: a file that each program reads at its start, and makes where there is none.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What it costs to have none.
pub const COST: &str = "every start of a program loads all plugins, which takes up to half a second: `first_frame` is that much longer";

/// How to get one.
pub const REMEDY: &str = "set HOME or XDG_CACHE_HOME to a folder that this user may write into";

/// The reason why no registry can be kept; none where one is, or will be.
pub fn lack() -> Option<String> {
    lack_in(|name| env::var_os(name).filter(|value| !value.is_empty()))
}

/// As [`lack`], with the variables of an environment.
fn lack_in(variable: impl Fn(&str) -> Option<OsString>) -> Option<String> {
    let given = ["GST_REGISTRY_1_0", "GST_REGISTRY"];
    if let Some(file) = given.into_iter().find_map(&variable) {
        let file = PathBuf::from(file);
        let folder = file.parent().unwrap_or_else(|| Path::new("/"));
        return (!file.is_file()).then(|| cannot_make(folder)).flatten();
    }
    let cache = match (variable("XDG_CACHE_HOME"), variable("HOME")) {
        (Some(cache), _) => PathBuf::from(cache),
        (None, Some(home)) => Path::new(&home).join(".cache"),
        (None, None) => return Some("neither HOME nor XDG_CACHE_HOME is set".to_owned()),
    };
    let folder = cache.join("gstreamer-1.0");
    let registries = folder.read_dir().into_iter().flatten().flatten();
    let mut names = registries.map(|entry| entry.file_name());
    let is_there = names.any(|name| name.to_string_lossy().starts_with("registry."));
    (!is_there).then(|| cannot_make(&folder)).flatten()
}

/// The reason why nothing can be made in a folder that may not be there yet.
fn cannot_make(folder: &Path) -> Option<String> {
    let there = folder.ancestors().find(|path| path.is_dir())?;
    // A file without a name, which is gone at once.
    let refused = tempfile::tempfile_in(there).err()?;
    let folder = folder.display();
    Some(format!("{folder} cannot be made or written: {refused}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lack(variables: &[(&str, &Path)]) -> Option<String> {
        lack_in(|name| {
            let found = variables.iter().find(|(of, _)| *of == name)?;
            Some(found.1.as_os_str().to_owned())
        })
    }

    #[test]
    fn a_home_that_cannot_be_written_keeps_none() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(lack(&[("HOME", dir.path())]), None);
        // Not even root makes anything there.
        let nowhere = Path::new("/proc/nonexistent");
        let said = lack(&[("HOME", nowhere)]).expect("nothing can be made");
        assert!(said.contains("/proc/nonexistent/.cache"), "{said}");
        let cache = [("HOME", nowhere), ("XDG_CACHE_HOME", dir.path())];
        assert_eq!(lack(&cache), None);
        let file = dir.path().join("registry.bin");
        let given = [("HOME", nowhere), ("GST_REGISTRY", &*file)];
        assert_eq!(lack(&given), None);
        assert!(lack(&[]).expect("nowhere").contains("HOME"));
    }
}
