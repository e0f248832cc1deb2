//! Finds the programs that a run starts.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use service::ConfigError;

use super::commands::Programs;

/// Where they would be, for who only wants to print it.
pub fn expected(bin_dir: Option<&Path>) -> Programs {
    find(bin_dir).unwrap_or_else(|_| {
        let at = |name: &str| bin_dir.map_or_else(|| PathBuf::from(name), |dir| dir.join(name));
        Programs {
            renderer: at("xr-renderer"),
            streamer: at("xr-streamer"),
            client: at("xr-client"),
        }
    })
}

/// The file of this program.
pub fn own() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot tell where this program is")
}

/// Where `xr-lisp` is to be, which only labs of LISP need: beside the others.
pub fn lisp(bin_dir: Option<&Path>) -> anyhow::Result<PathBuf> {
    let own = own()?;
    let path = match bin_dir {
        Some(dir) => dir.join("xr-lisp"),
        None => own.with_file_name("xr-lisp"),
    };
    std::path::absolute(&path).with_context(|| format!("cannot find {}", path.display()))
}

/// Finds them in `bin_dir` if one is given, else beside this program.
pub fn find(bin_dir: Option<&Path>) -> anyhow::Result<Programs> {
    let own = own()?;
    let dir = bin_dir
        .or_else(|| own.parent())
        .unwrap_or_else(|| Path::new("."));
    let find = |name: &str| -> anyhow::Result<PathBuf> {
        let path = dir.join(name);
        if path.is_file() {
            return std::path::absolute(&path)
                .with_context(|| format!("cannot find {}", path.display()));
        }
        let (origin, value) = match bin_dir {
            Some(dir) => ("--bin-dir (XR_BIN_DIR)", dir.display().to_string()),
            None => ("the folder of xrbench", dir.display().to_string()),
        };
        let why = format!("there is no {name} in it");
        let remedy = "Build all of them (`make build`, or cargo build --workspace --bins), or name their folder with --bin-dir.";
        Err(ConfigError::new(origin, value, why, remedy).into())
    };
    Ok(Programs {
        renderer: find("xr-renderer")?,
        streamer: find("xr-streamer")?,
        client: find("xr-client")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_folder_and_the_remedy() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("xr-renderer"), "").expect("written");
        let error = find(Some(dir.path()))
            .expect_err("two are missing")
            .to_string();
        assert!(
            error.contains("xr-streamer")
                && error.contains("--bin-dir")
                && error.contains("make build"),
            "{error}"
        );
        for name in ["xr-streamer", "xr-client"] {
            std::fs::write(dir.path().join(name), "").expect("written");
        }
        assert_eq!(
            find(Some(dir.path())).expect("found").client,
            dir.path().join("xr-client")
        );
    }
}
