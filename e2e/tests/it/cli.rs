//! Command lines: help that teaches, variables for every flag, exit codes, completions.

use std::time::Duration;

use e2e::{Finished, binary, run, run_in};

const PATIENCE: Duration = Duration::from_mins(1);

/// Every command line that takes flags.
const COMMANDS: &[&[&str]] = &[
    &["xr-renderer"],
    &["xr-streamer"],
    &["xr-client"],
    &["xrbench", "run"],
    &["xr-collector"],
    &["xrbench", "ocr"],
    &["xrbench", "report"],
    &["xrbench", "doctor"],
];

/// Flags that act once and have no meaning as a variable.
const ACTIONS: &[&str] = &["--help", "--version", "--completions"];

async fn say(command: &[&str], args: &[&str]) -> Finished {
    let all: Vec<&str> = command[1..].iter().chain(args).copied().collect();
    run(binary(command[0]), &all, PATIENCE).await
}

/// The options of a help text: the flag, and what is said of it.
fn options(help: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let flags = help.split("\nExample").next().unwrap_or_default();
    for line in flags.lines() {
        let trimmed = line.trim_start();
        let begins = trimmed.starts_with('-') && line.len() - trimmed.len() <= 6;
        if begins && let Some(at) = trimmed.find("--") {
            let flag = trimmed[at..]
                .split([' ', '=', ',', '.', '['])
                .next()
                .unwrap_or_default();
            found.push((flag.to_owned(), String::new()));
        }
        if (line.is_empty() || line.starts_with(' '))
            && let Some((_, said)) = found.last_mut()
        {
            said.push_str(trimmed);
            said.push('\n');
        }
    }
    found
}

#[tokio::test]
async fn help_teaches() {
    for command in COMMANDS {
        let help = say(command, &["--help"]).await.well();
        assert!(
            help.contains("Example"),
            "{command:?} shows no example:\n{help}"
        );
        let options = options(&help);
        assert!(options.len() > 2, "{command:?}: {options:?}");
        for (flag, said) in options {
            let is_action = ACTIONS.contains(&flag.as_str());
            assert!(
                is_action || said.contains("[env: XR_"),
                "{command:?} names no variable for {flag}:\n{said}"
            );
            let words = said.split_whitespace().count();
            assert!(
                is_action || words > 4,
                "{command:?} says too little of {flag}: {said}"
            );
        }
    }
    let help = run(binary("xrbench"), &["--help"], PATIENCE).await.well();
    for (command, sub) in COMMANDS
        .iter()
        .filter_map(|command| Some((command, command.get(1)?)))
    {
        assert!(help.contains(sub), "{command:?} is not in:\n{help}");
    }
}

#[tokio::test]
async fn what_is_unknown_is_wrong_usage() {
    for command in COMMANDS {
        say(command, &["--surely-no-flag"])
            .await
            .refused(64, &["--surely-no-flag"]);
    }
    run(binary("xrbench"), &["fly"], PATIENCE)
        .await
        .refused(64, &["fly"]);
    run(
        binary("xr-client"),
        &["--url", "rtsp://h/n", "--transport", "pigeon"],
        PATIENCE,
    )
    .await
    .refused(64, &["pigeon", "--transport", "udp", "tcp"]);
    run(binary("xr-client"), &[] as &[&str], PATIENCE)
        .await
        .refused(64, &["--url"]);
}

#[tokio::test]
async fn variables_count_like_flags() {
    run_in(
        binary("xr-client"),
        &[] as &[&str],
        &[("XR_URL", "http://h/n")],
        PATIENCE,
    )
    .await
    .refused(64, &["http://h/n", "--url", "XR_URL", "rtsp"]);
    run_in(
        binary("xr-streamer"),
        &[] as &[&str],
        &[("XR_HTTP", "nowhere")],
        PATIENCE,
    )
    .await
    .refused(64, &["nowhere", "--http", "127.0.0.1"]);
    let renderer = [
        "--source",
        "test",
        "--feed",
        "http://127.0.0.1:1/feeds/f",
        "--fps",
        "30",
        "--bitrate",
        "2M",
    ];
    run_in(
        binary("xr-renderer"),
        &renderer,
        &[("XR_SIZE", "320x180")],
        PATIENCE,
    )
    .await
    .refused(64, &["320x180", "--size", "640x360"]);
}

#[tokio::test]
async fn versions_and_completions() {
    for program in ["xr-renderer", "xr-streamer", "xr-client", "xrbench"] {
        let version = run(binary(program), &["--version"], PATIENCE).await.well();
        assert!(
            version.starts_with(program) && version.contains(env!("CARGO_PKG_VERSION")),
            "{version}"
        );
        for shell in ["bash", "zsh", "fish"] {
            let args = ["--completions", shell];
            let script = run(binary(program), &args, PATIENCE).await;
            let script = if script.code == Some(0) {
                script.well()
            } else {
                run(binary(program), &["completions", shell], PATIENCE)
                    .await
                    .well()
            };
            assert!(
                script.contains(program) && script.contains("help"),
                "{program} for {shell}: {script}"
            );
        }
    }
    // What bash gets is a script that bash takes.
    let script = run(binary("xr-client"), &["--completions", "bash"], PATIENCE)
        .await
        .well();
    run("bash", &["-n", "-c", &script], PATIENCE).await.well();
}
