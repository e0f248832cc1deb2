//! The shell in a lab, and the function by which it reaches every other place of it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitStatus};

use anyhow::Context as _;
use service::{ConfigError, Shutdown};
use testbed::local::lab::Lab;
use tokio::process::Child;

use super::cli::LabArgs;
use crate::run::place::lab_plan::LabPlan;
use settings::hint;

/// Runs the shell, or the command, and says how it ended.
pub(super) async fn open(
    args: &LabArgs,
    planned: &LabPlan,
    lab: &Lab,
    shutdown: &Shutdown,
) -> anyhow::Result<u8> {
    let names: Vec<&str> = lab
        .topology()
        .namespaces
        .iter()
        .map(|namespace| namespace.name.as_str())
        .collect();
    let Ok(netns) = lab.namespace(&args.place) else {
        let why = format!("the lab has no such place; {}", hint(&args.place, &names));
        return Err(ConfigError::new("--in (XR_IN)", &args.place, why, "Name one of them.").into());
    };
    let mut captures = Vec::new();
    for asked in &args.pcap {
        captures.push(capture(asked, planned, lab).await?);
    }
    let mut rc = tempfile::NamedTempFile::new().context("cannot make a file for the shell")?;
    rc.write_all(functions(lab, &args.place, &names)?.as_bytes())?;
    rc.flush()?;

    let mut words = args.command.iter();
    let program = args.command.first().map_or("bash", String::as_str);
    let command = if let Some(program) = words.next() {
        let mut command = netns.command(program);
        command.args(words);
        command
    } else {
        let reach = &planned.built.reach;
        let text = format!(
            "in {} of {}: {}. Feeds go to {}, viewers to rtsp://{}.\n`lab-in NAME COMMAND` runs elsewhere: {}\n",
            args.place,
            reach.name,
            reach.backend,
            reach.feed,
            reach.rtsp,
            names.join(", ")
        );
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
        let mut command = netns.command("bash");
        command.arg("--rcfile").arg(rc.path()).arg("-i");
        command
    };
    let mut child = start(command, program, &args.place)?;
    let status = tokio::select! {
        status = child.wait() => status.context("cannot wait for the shell")?,
        // Ctrl-C is none of it once an interactive shell has the terminal: it goes to what runs in the foreground there.
        () = shutdown.fired() => {
            child.kill().await.context("cannot end the shell")?;
            child.wait().await?
        }
    };
    for capture in captures {
        let path = capture.path().to_owned();
        let captured = capture.end().await?;
        tell(&path, captured.packets, captured.dropped);
    }
    Ok(code(status))
}

/// Starts `command`, which runs `program` in a place of the lab.
fn start(command: Command, program: &str, place: &str) -> anyhow::Result<Child> {
    tokio::process::Command::from(command)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| {
            format!("cannot start {program} in {place}: name a program of this machine, by its path where PATH has it not")
        })
}

fn tell(path: &Path, packets: u64, dropped: u64) {
    let text = format!(
        "{}: {packets} packets, {dropped} dropped by the kernel\n",
        path.display()
    );
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

async fn capture(
    asked: &str,
    planned: &LabPlan,
    lab: &Lab,
) -> anyhow::Result<testbed::local::capture::Capture> {
    let wrong = |why: String| ConfigError::new("--pcap (XR_PCAP)", asked, why, "Write POINT=FILE.");
    let (point, file) = asked
        .split_once('=')
        .ok_or_else(|| wrong("it has no `=`".to_owned()))?;
    let points = &planned.built.reach.captures;
    let known: Vec<&str> = points.keys().map(String::as_str).collect();
    let end = points.get(point).ok_or_else(|| {
        wrong(format!(
            "the lab has no such point; {}",
            hint(point, &known)
        ))
    })?;
    Ok(lab
        .capture(&end.namespace, &end.interface, Path::new(file), None)
        .await?)
}

/// What the shell reads at its start.
fn functions(lab: &Lab, place: &str, names: &[&str]) -> anyhow::Result<String> {
    let mut cases = String::new();
    for name in names {
        let path = lab.namespace(name)?.path_for_others();
        cases.push_str(&format!("        {name}) ns={} ;;\n", path.display()));
    }
    Ok(format!(
        "[ -r ~/.bashrc ] && . ~/.bashrc\n\
         PS1='(lab {place}) \\w \\$ '\n\
         lab-in() {{\n    local ns\n    case \"$1\" in\n{cases}        *) echo \"lab-in: no place $1; there are: {}\" >&2; return 64 ;;\n    esac\n    \
         shift\n    nsenter --net=\"$ns\" -- \"$@\"\n}}\n\
         complete -W '{}' lab-in\n",
        names.join(" "),
        names.join(" "),
    ))
}

fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let signal = || status.signal().map_or(1, |signal| 128 + signal);
    u8::try_from(status.code().unwrap_or_else(signal)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_that_does_not_exist_is_named_with_its_place() {
        let absent = Command::new("/nowhere/command");
        let error = start(absent, "/nowhere/command", "client").expect_err("absent");
        let said = format!("{error:#}");
        for part in ["/nowhere/command in client", "PATH", "No such file"] {
            assert!(said.contains(part), "{said}");
        }
    }
}
