//! Where the last calibration of this machine is kept, so that every report can print it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use super::folder::{read_json, write_json};
use super::machine::Machine;

/// The file of the last calibration.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    /// Host name, processor and kernel: another of them is another machine.
    machine: [String; 3],
    calibration: Calibration,
}

fn key(machine: &Machine) -> [String; 3] {
    [&machine.host, &machine.cpu, &machine.kernel].map(Clone::clone)
}

/// `$XDG_STATE_HOME/xrbench/calibration.json`, by default under `~/.local/state`; none without a home.
pub fn path() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let state = set("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(set("HOME")?).join(".local/state")))?;
    Some(state.join("xrbench/calibration.json"))
}

/// Keeps it for this machine.
pub fn keep(machine: &Machine, calibration: &Calibration) -> anyhow::Result<PathBuf> {
    let path = path().ok_or_else(|| anyhow::anyhow!("neither XDG_STATE_HOME nor HOME is set"))?;
    keep_at(&path, machine, calibration)?;
    Ok(path)
}

/// The last calibration of this machine; none where there is none, or it is another machine's.
pub fn kept(machine: &Machine) -> Option<Calibration> {
    kept_at(&path()?, machine)
}

fn keep_at(path: &Path, machine: &Machine, calibration: &Calibration) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let kept = Kept {
        machine: key(machine),
        calibration: calibration.clone(),
    };
    write_json(path, &kept)
}

fn kept_at(path: &Path, machine: &Machine) -> Option<Calibration> {
    let kept: Kept = read_json(path).ok()?;
    (kept.machine == key(machine)).then_some(kept.calibration)
}

#[cfg(test)]
mod tests {
    use timeline::UnixMicros;

    use super::*;
    use crate::Fit;

    #[test]
    fn a_calibration_is_of_one_machine() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("xrbench/calibration.json");
        let machine = Machine {
            host: "one".into(),
            kernel: "6.1".into(),
            ..Machine::default()
        };
        assert_eq!(kept_at(&path, &machine), None);
        let calibration = Calibration {
            at_us: UnixMicros(1),
            wan_backend: "userspace".into(),
            folder: "results/calibration".into(),
            programs: [("xr-client".to_owned(), "aa".to_owned())].into(),
            fit: Fit {
                slope: 1.0007,
                slope_error: 0.002,
                own_us: 4_000.0,
                worst_residual_us: 170.0,
                residual_margin_us: 60.0,
                slope_margin: 0.0035,
                steps: Vec::new(),
            },
            holds: Vec::new(),
        };
        keep_at(&path, &machine, &calibration).expect("kept");
        assert_eq!(kept_at(&path, &machine), Some(calibration));
        for other in [
            Machine {
                kernel: "6.2".into(),
                ..machine.clone()
            },
            Machine {
                host: "two".into(),
                ..machine
            },
        ] {
            assert_eq!(kept_at(&path, &other), None, "{other:?}");
        }
        std::fs::write(&path, "{").expect("written");
        assert_eq!(kept_at(&path, &Machine::default()), None);
    }
}
