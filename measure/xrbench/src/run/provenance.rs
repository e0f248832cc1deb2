//! What a run was made of, by digest: a version says little of a program that is being worked on, and a film's name nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use super::commands::Programs;
use super::programs;
use result::{Machine, RunInfo};

/// SHA-256 digests of the programs, where they run from this machine, and of the films, by program or path.
///
/// # Errors
/// Names the file that cannot be read.
pub(super) async fn digests(
    programs: Option<&Programs>,
    films: impl Iterator<Item = &Path>,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files: Vec<(String, PathBuf)> = films
        .map(|film| (film.display().to_string(), film.to_owned()))
        .collect();
    if let Some(programs) = programs {
        let ours = [
            ("xrbench", programs::own()?),
            ("xr-renderer", programs.renderer.clone()),
            ("xr-streamer", programs.streamer.clone()),
            ("xr-client", programs.client.clone()),
        ];
        files.extend(ours.map(|(name, path)| (name.to_owned(), path)));
    }
    let all = tokio::task::spawn_blocking(move || {
        let digests = files
            .into_iter()
            .map(|(name, path)| Ok((name, digest(&path)?)));
        digests.collect::<anyhow::Result<_>>()
    });
    all.await.context("a digest was not finished")?
}

fn digest(path: &Path) -> anyhow::Result<String> {
    let read = || -> io::Result<_> {
        let (mut file, mut hash) = (File::open(path)?, Sha256::new());
        let mut piece = vec![0; 1 << 20];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(hash.finalize()),
                count => hash.update(&piece[..count]),
            }
        }
    };
    let digest =
        read().with_context(|| format!("cannot read {} for its digest", path.display()))?;
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The first thing in which the programs, films or machine of an earlier part of a result differ from those here; none where
/// what is added may stand beside it.
pub(super) fn unlike(
    earlier: &RunInfo,
    digests: &BTreeMap<String, String>,
    machine: &Machine,
) -> Option<String> {
    let differs = digests.iter().find(|(name, digest)| {
        // Earlier versions kept none.
        let before = earlier.digests.get(*name);
        before.is_some_and(|before| before != *digest)
    });
    if let Some((name, digest)) = differs {
        let before = &earlier.digests[name];
        return Some(format!(
            "{name} had the SHA-256 {before:.12}, and has {digest:.12}"
        ));
    }
    let of = |machine: &Machine| {
        [
            ("host", machine.host.clone()),
            ("kernel", machine.kernel.clone()),
            ("processor", machine.cpu.clone()),
            ("number of processors", machine.cores.to_string()),
            ("memory", format!("{} bytes", machine.memory_bytes)),
        ]
    };
    of(&earlier.machine)
        .into_iter()
        .zip(of(machine))
        .find(|(before, here)| before != here)
        .map(|((what, before), (_, here))| format!("its {what} was {before:?}, and is {here:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_has_its_digest() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let film = dir.path().join("film.mp4");
        std::fs::write(&film, "abc").expect("written");
        let of = digests(None, [film.as_path()].into_iter())
            .await
            .expect("read");
        // FIPS 180-2, B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of[&film.display().to_string()], abc);
        let gone = dir.path().join("gone.mp4");
        let error = digests(None, [gone.as_path()].into_iter()).await;
        let error = format!("{:#}", error.expect_err("it is not there"));
        assert!(error.contains("gone.mp4"), "{error}");
    }

    #[test]
    fn another_build_and_another_machine_are_told() {
        let of = |digest: &str| BTreeMap::from([("xr-client".to_owned(), digest.to_owned())]);
        let earlier = RunInfo {
            digests: of("aa"),
            ..RunInfo::default()
        };
        let machine = Machine::default();
        assert_eq!(unlike(&earlier, &of("aa"), &machine), None);
        let said = unlike(&earlier, &of("bb"), &machine).expect("another build");
        assert!(
            said.contains("xr-client had the SHA-256 aa, and has bb"),
            "{said}"
        );
        let other = Machine {
            kernel: "6.1".into(),
            ..Machine::default()
        };
        let said = unlike(&earlier, &of("aa"), &other).expect("another kernel");
        assert!(
            said.contains("its kernel was \"\", and is \"6.1\""),
            "{said}"
        );
        let of_an_old_version = RunInfo::default();
        assert_eq!(unlike(&of_an_old_version, &of("bb"), &machine), None);
    }
}
