//! How wrong the instrument is, in a sentence.

use crate::{summary::Summary, text::ms};

/// What the last calibration of the machine found, without a full stop.
pub(super) fn line(summary: &Summary) -> String {
    let Some(one) = &summary.calibration else {
        return "not calibrated on this machine: xrbench calibrate".into();
    };
    let bounds = if one.holds {
        ""
    } else {
        ", which is beyond its bounds"
    };
    let build = match &one.other_programs[..] {
        [] => String::new(),
        others => format!(
            ", in another build of {}: xrbench calibrate",
            others.join(", ")
        ),
    };
    format!(
        "slope {:.4} \u{b1} {:.4}, residual at most {}{} ms{}{bounds} (calibrated on {}{build})",
        one.slope,
        one.slope_error,
        ms(one.worst_residual_us),
        margin(one.residual_margin_us),
        one.hold_error_us.map(holds).unwrap_or_default(),
        result::date::to_the_minute(one.at_us)
    )
}

/// How far a residual may be from the true one; nothing where nobody asked.
fn margin(us: f64) -> String {
    if us > 0.0 {
        format!(" \u{b1} {}", ms(us))
    } else {
        String::new()
    }
}

/// How well known waits at the stamps came back.
fn holds(error_us: f64) -> String {
    format!(", known waits at the stamps found to {} ms", ms(error_us))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use timeline::UnixMicros;

    use crate::{terminal, write};
    use result::{Calibration, Fit, Hold, RunFolder, write_json};
    use settings::Role;

    fn reports(folder: &RunFolder) -> [String; 2] {
        let summary = write(folder).expect("a result");
        let page = std::fs::read_to_string(folder.report_html()).expect("a page");
        [terminal(&summary, Some(200)), page]
    }

    #[test]
    fn every_report_says_how_wrong_the_instrument_is() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = crate::summary::tests::result(dir.path());
        for text in reports(&folder) {
            assert!(
                text.contains("not calibrated on this machine: xrbench calibrate"),
                "{text}"
            );
        }
        let fit = Fit {
            slope: 1.0007,
            slope_error: 0.002,
            own_us: 4_000.0,
            worst_residual_us: 170.0,
            residual_margin_us: 60.0,
            slope_margin: 0.0035,
            steps: Vec::new(),
        };
        let program = |digest: &str| BTreeMap::from([("xr-client".to_owned(), digest.to_owned())]);
        let mut info = folder.info().expect("run.json");
        info.digests = program("aa");
        info.calibration = Some(Calibration {
            at_us: UnixMicros(1_795_315_541_000_000),
            wan_backend: "userspace".into(),
            folder: "results/calibration".into(),
            programs: program("aa"),
            fit,
            holds: Vec::new(),
        });
        write_json(&folder.run_json(), &info).expect("run.json");
        let said = "slope 1.0007 \u{b1} 0.0020, residual at most 0.17 \u{b1} 0.06 ms \
                    (calibrated on 2026-11-22 02:45 UTC)";
        let [terminal, page] = reports(&folder);
        assert!(
            terminal.contains(&format!("\ninstrument: {said}\n")),
            "{terminal}"
        );
        assert!(page.contains(said), "{page}");

        info.digests = program("bb");
        write_json(&folder.run_json(), &info).expect("run.json");
        let other = "02:45 UTC, in another build of xr-client: xrbench calibrate)";
        for text in reports(&folder) {
            assert!(text.contains(other), "{text}");
        }
        info.digests.clear();
        write_json(&folder.run_json(), &info).expect("run.json");
        for text in reports(&folder) {
            assert!(text.contains(said), "nobody knows: {text}");
        }

        let hold = |found_us| Hold {
            role: Role::Client,
            set_us: 2_000.0,
            found_us,
            margin_us: 50.0,
            runs: 3,
        };
        let set = info.calibration.as_mut().expect("set");
        set.holds = vec![hold(1_960.0), hold(2_010.0)];
        write_json(&folder.run_json(), &info).expect("run.json");
        for text in reports(&folder) {
            let said = "0.06 ms, known waits at the stamps found to 0.09 ms (calibrated";
            assert!(text.contains(said), "{text}");
        }
        let set = info.calibration.as_mut().expect("set");
        set.holds = vec![hold(1_700.0)];
        write_json(&folder.run_json(), &info).expect("run.json");
        for text in reports(&folder) {
            assert!(
                text.contains("found to 0.35 ms, which is beyond its bounds"),
                "{text}"
            );
        }
        info.calibration.as_mut().expect("set").holds.clear();

        info.calibration.as_mut().expect("set").fit.slope = 1.02;
        write_json(&folder.run_json(), &info).expect("run.json");
        for text in reports(&folder) {
            assert!(text.contains("beyond its bounds"), "{text}");
        }
    }
}
