//! Command lines of a scenario's processes: pure, so that `--dry-run` prints what a run would start.

use std::path::{Path, PathBuf};

use settings::Role;

use super::addresses::{Addresses, ListenAddresses};
use crate::reference::Reference;
use crate::scenario::{At, Scenario, Span, Transport};
use result::{Pipeline, RepetitionFolder};

/// Where the programs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// xr-renderer.
    pub renderer: PathBuf,
    /// xr-streamer.
    pub streamer: PathBuf,
    /// xr-client.
    pub client: PathBuf,
}

/// The command line of the process in the streamer's place, program first.
pub fn between(scenario: &Scenario, programs: &Programs, listen: &ListenAddresses) -> Vec<String> {
    if let Some(server) = &scenario.server {
        return server.words(At {
            rtsp: &listen.rtsp,
            http: &listen.http,
        });
    }
    let mut line = vec![display(&programs.streamer)];
    line.extend(streamer(scenario, listen));
    line
}

/// xr-streamer's arguments.
pub fn streamer(scenario: &Scenario, listen: &ListenAddresses) -> Vec<String> {
    let settings = &scenario.streamer;
    let mut args = Vec::new();
    for (flag, address) in [
        ("--http", &listen.http),
        ("--rtsp", &listen.rtsp),
        ("--ops", &listen.ops[&Role::Streamer]),
    ] {
        args.extend([flag.to_owned(), address.clone()]);
    }
    if let Some(ports) = &listen.udp_ports {
        args.extend(["--udp-ports".to_owned(), ports.clone()]);
    }
    args.push(format!("--rtp-sync={}", settings.rtp_sync));
    args.push(format!(
        "--factory-latency-ms={}",
        settings.factory_latency_ms
    ));
    args
}

/// xr-renderer's arguments, as a renderer.
pub fn renderer(
    scenario: &Scenario,
    addresses: &Addresses,
    listen: &ListenAddresses,
) -> Vec<String> {
    let mut args = codec(scenario, &listen.ops[&Role::Renderer]);
    args.extend([
        "--feed".into(),
        addresses.feed_of(scenario),
        format!("--rtp-mtu={}", scenario.renderer.rtp_mtu),
    ]);
    args
}

/// xr-renderer's arguments, as the floor.
pub fn floor(scenario: &Scenario, folder: &RepetitionFolder) -> Vec<String> {
    let mut args = codec(scenario, &ListenAddresses::drawn().ops[&Role::Renderer]);
    let duration = Span(scenario.warmup.0 + scenario.duration.0);
    args.extend([
        "--floor".into(),
        display(&folder.frames_csv()),
        "--duration".into(),
        duration.to_string(),
    ]);
    args
}

/// xr-client's arguments.
pub fn client(
    scenario: &Scenario,
    addresses: &Addresses,
    listen: &ListenAddresses,
    transport: Transport,
    folder: &RepetitionFolder,
) -> Vec<String> {
    let settings = &scenario.client;
    let mut args = words("--sink none --ops");
    args.extend([
        listen.ops[&Role::Client].clone(),
        "--url".into(),
        addresses.stream_of(scenario),
    ]);
    args.extend(["--transport".into(), transport.to_string()]);
    args.extend([
        "--collector".into(),
        format!("http://{}", addresses.collector),
    ]);
    // Started again, it goes on as the same client.
    args.push("--client-id=client".into());
    args.extend([
        format!("--latency-ms={}", settings.latency_ms),
        format!("--buffer-mode={}", settings.buffer_mode),
        format!("--sync={}", settings.sync),
        format!("--decoder-threads={}", settings.decoder_threads),
        format!("--decoder-thread-type={}", settings.decoder_thread_type),
    ]);
    if scenario.ocr.max_frames > 0 {
        args.extend(["--strips".into(), display(&folder.strips())]);
        args.push(format!("--strips-max={}", scenario.ocr.max_frames));
        args.push(format!("--strips-every={}", strips_every(scenario)));
    }
    args
}

/// ffmpeg as the reference's renderer and its player, programs first.
pub fn reference(
    scenario: &Scenario,
    addresses: &Addresses,
    transport: Transport,
    folder: &RepetitionFolder,
) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let transport = transport.to_string();
    let reference = Reference {
        tuned: scenario.pipeline == Pipeline::ReferenceTuned,
        source: &scenario.source,
        width: scenario.size.width,
        height: scenario.size.height,
        fps: scenario.fps,
        bitrate_bps: scenario.bitrate.bps(),
        transport: &transport,
    };
    let [render, play] = progress_files(folder);
    Ok((
        reference.render_command(&addresses.feed(), &render)?,
        reference.play_command(&addresses.stream(), &strips_file(folder), &play),
    ))
}

/// Where ffmpeg writes its progress: the renderer, the player.
pub fn progress_files(folder: &RepetitionFolder) -> [PathBuf; 2] {
    ["renderer", "client"].map(|role| folder.logs().join(format!("{role}.progress")))
}

/// The one file of strips that the reference's player writes.
pub fn strips_file(folder: &RepetitionFolder) -> PathBuf {
    folder.strips().join("strips-00000.pgm")
}

/// One strip of so many, so that the kept ones are spread over the whole time.
fn strips_every(scenario: &Scenario) -> u64 {
    let seconds = scenario.warmup.as_secs_f64() + scenario.duration.as_secs_f64();
    let frames = seconds * f64::from(scenario.fps);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most 10^6 s of 240 frames"
    )]
    let every = (frames / f64::from(scenario.ocr.max_frames.max(1))).ceil() as u64;
    every.max(1)
}

fn codec(scenario: &Scenario, ops: &str) -> Vec<String> {
    let settings = &scenario.renderer;
    let mut args = vec!["--ops".to_owned(), ops.to_owned(), "--source".into()];
    args.extend([
        scenario.source.clone(),
        format!("--size={}", scenario.size),
        format!("--fps={}", scenario.fps),
        format!("--bitrate={}", scenario.bitrate),
        format!("--preset={}", settings.preset),
        format!("--tune={}", settings.tune),
        format!("--gop={}", settings.gop),
    ]);
    args
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(ToOwned::to_owned).collect()
}

fn display(path: &Path) -> String {
    path.display().to_string()
}

/// A command line as a shell would take it.
pub fn shell(command: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%<>".contains(c);
    let quoted = command.iter().map(|word| {
        if !word.is_empty() && word.chars().all(plain) && !word.contains(['<', '>']) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Overrides, parse};

    fn scenario(rest: &str) -> Scenario {
        let text = format!("schema = 1\nname = \"x\"\n[[scenario]]\nname = \"s\"\n{rest}");
        parse(&text, "x.toml", &Overrides::default())
            .expect("a scenario")
            .scenario
            .remove(0)
    }

    #[test]
    fn settings_become_flags() {
        let scenario = scenario(
            "fps = 30\nduration = \"8s\"\nwarmup = \"2s\"\nsize = \"640x360\"\ntransport = \"tcp\"\n\
             client = { latency_ms = 2000, sync = true, buffer_mode = \"slave\", decoder_threads = 2 }\n\
             streamer = { rtp_sync = true, factory_latency_ms = 200 }\nocr = { max_frames = 100 }",
        );
        let folder = RepetitionFolder::new("/out/s/run-1");
        let addresses = Addresses {
            http: "h:1".into(),
            rtsp: "h:2".into(),
            collector: "h:3".into(),
        };
        let listen = ListenAddresses::drawn();
        let client = shell(&client(
            &scenario,
            &addresses,
            &listen,
            scenario.transport,
            &folder,
        ));
        for part in [
            "--url rtsp://h:2/xr --transport tcp --collector http://h:3 --client-id=client",
            "--latency-ms=2000 --buffer-mode=slave --sync=true --decoder-threads=2",
            "--strips /out/s/run-1/strips --strips-max=100 --strips-every=3",
        ] {
            assert!(client.contains(part), "{client}");
        }
        assert!(
            shell(&streamer(&scenario, &listen))
                .ends_with("--rtp-sync=true --factory-latency-ms=200")
        );
        let renderer = shell(&renderer(&scenario, &addresses, &listen));
        assert!(
            renderer.contains("--source test --size=640x360 --fps=30 --bitrate=6M"),
            "{renderer}"
        );
        assert!(
            renderer.contains("--feed http://h:1/feeds/xr"),
            "{renderer}"
        );
        assert!(
            shell(&floor(&scenario, &folder))
                .ends_with("--floor /out/s/run-1/frames.csv --duration 10s")
        );
    }

    #[test]
    fn another_server_is_told_where_to_listen_and_the_others_where_it_is() {
        let scenario = scenario(
            "server = { command = \"other --rtsp {rtsp}\", feed = \"rtsp://{rtsp}/in\", stream = \"rtsp://{rtsp}/out\" }",
        );
        let listen = ListenAddresses {
            rtsp: "0.0.0.0:8554".into(),
            ..ListenAddresses::drawn()
        };
        let addresses = Addresses {
            http: "h:1".into(),
            rtsp: "h:2".into(),
            collector: "h:3".into(),
        };
        let programs = Programs {
            renderer: "xr-renderer".into(),
            streamer: "xr-streamer".into(),
            client: "xr-client".into(),
        };
        assert_eq!(
            between(&scenario, &programs, &listen),
            ["other", "--rtsp", "0.0.0.0:8554"]
        );
        let folder = RepetitionFolder::new("/out/s/run-1");
        let renderer = shell(&renderer(&scenario, &addresses, &listen));
        assert!(renderer.contains("--feed rtsp://h:2/in"), "{renderer}");
        let client = client(&scenario, &addresses, &listen, scenario.transport, &folder);
        let client = shell(&client);
        assert!(client.contains("--url rtsp://h:2/out"), "{client}");
    }

    #[test]
    fn shells_take_what_is_printed() {
        let words = ["echo", "it's", "a b", "", "$HOME", "--x=<y>"].map(ToOwned::to_owned);
        let line = shell(&words);
        let output = std::process::Command::new("sh")
            .arg("-c")
            .arg(&line)
            .output()
            .expect("a shell");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "it's a b  $HOME --x=<y>\n",
            "{line}"
        );
    }
}
