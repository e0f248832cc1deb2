//! What a run was made of, by digest: a version says little of a program that is being worked on, and a film's name nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use super::commands::Programs;
use super::programs;
use result::{Machine, MachineState, RunInfo};

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

/// What would go on with a result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here<'a> {
    /// Digests of programs and films.
    pub(super) digests: &'a BTreeMap<String, String>,
    /// Versions of programs and codecs.
    pub(super) versions: &'a BTreeMap<String, String>,
    /// The machine.
    pub(super) machine: &'a Machine,
    /// How the machine is set now.
    pub(super) state: &'a MachineState,
}

/// The first thing in which the programs, films, codecs or machine of an earlier part of a result differ from those here; none
/// where what is added may stand beside it. What an earlier version did not write is not compared.
pub(super) fn unlike(earlier: &RunInfo, here: Here<'_>) -> Option<String> {
    let short = |digest: &str| format!("{digest:.12}");
    let whole = |text: &str| format!("{text:?}");
    let set_before = earlier.states.first();
    let digest = differs(&earlier.digests, here.digests)
        .map(|(name, of)| told(&format!("{name}'s SHA-256"), of.map(short)));
    digest
        .or_else(|| {
            let version = differs(&earlier.versions, here.versions);
            version.map(|(name, of)| told(&format!("the version of {name}"), of.map(whole)))
        })
        .or_else(|| {
            let [before, now] = [&earlier.machine, here.machine].map(kind);
            let kind = differs(&before, &now);
            kind.map(|(name, of)| told(&format!("its {name}"), of.map(whole)))
        })
        .or_else(|| {
            let setting = differs(&set_before?.settings, &here.state.settings);
            setting.map(|(name, of)| told(&format!("its setting of {name}"), of.map(whole)))
        })
}

fn told(what: &str, [before, now]: [String; 2]) -> String {
    format!("{what} was {before}, and is {now}")
}

/// The first value that both have and that is not the same, before and now.
fn differs<'a>(
    before: &'a BTreeMap<String, String>,
    now: &'a BTreeMap<String, String>,
) -> Option<(&'a str, [&'a str; 2])> {
    now.iter().find_map(|(name, now)| {
        let before = before.get(name).filter(|before| *before != now)?;
        Some((name.as_str(), [before.as_str(), now.as_str()]))
    })
}

/// What makes a machine another one.
fn kind(machine: &Machine) -> BTreeMap<String, String> {
    let of = [
        ("host", machine.host.clone()),
        ("kernel", machine.kernel.clone()),
        ("processor", machine.cpu.clone()),
        ("number of processors", machine.cores.to_string()),
        ("memory in bytes", machine.memory_bytes.to_string()),
    ];
    of.map(|(name, value)| (name.to_owned(), value)).into()
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
        let of = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let set = |thp: &str| MachineState {
            settings: of("transparent huge pages", thp),
            ..MachineState::default()
        };
        let earlier = RunInfo {
            digests: of("xr-client", "aa"),
            versions: of("x264enc", "plugin 1.22.0"),
            states: vec![set("madvise"), set("always")],
            ..RunInfo::default()
        };
        let machine = Machine::default();
        let other = Machine {
            kernel: "6.1".into(),
            ..Machine::default()
        };
        let same = Here {
            digests: &earlier.digests,
            versions: &earlier.versions,
            machine: &machine,
            state: &earlier.states[0],
        };
        assert_eq!(unlike(&earlier, same), None);
        let (digests, versions) = (of("xr-client", "bb"), of("x264enc", "plugin 1.24.0"));
        for (here, expected) in [
            (
                Here {
                    digests: &digests,
                    ..same
                },
                "xr-client's SHA-256 was aa, and is bb",
            ),
            (
                Here {
                    versions: &versions,
                    ..same
                },
                "the version of x264enc was \"plugin 1.22.0\", and is \"plugin 1.24.0\"",
            ),
            (
                Here {
                    machine: &other,
                    ..same
                },
                "its kernel was \"\", and is \"6.1\"",
            ),
            (
                Here {
                    state: &set("never"),
                    ..same
                },
                "its setting of transparent huge pages was \"madvise\", and is \"never\"",
            ),
        ] {
            assert_eq!(unlike(&earlier, here).as_deref(), Some(expected));
        }
        let of_an_old_version = RunInfo::default();
        assert_eq!(unlike(&of_an_old_version, same), None);
    }
}
