//! Command lines of a scenario's processes: pure, so that `--dry-run` prints what a run would start.

use std::path::{Path, PathBuf};

use settings::{Role, Span, Transport, to_args};

use super::addresses::{Addresses, ListenAddresses};
use crate::reference::Reference;
use crate::scenario::{Scenario, ServerAddresses};
use result::{Pipeline, RepetitionFolder};

/// Where the programs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    pub renderer: PathBuf,
    pub streamer: PathBuf,
    pub client: PathBuf,
}

/// The command line of the process in the streamer's place, program first.
pub fn between(scenario: &Scenario, programs: &Programs, listen: &ListenAddresses) -> Vec<String> {
    if let Some(server) = &scenario.server {
        return server.words(ServerAddresses {
            rtsp: &listen.rtsp,
            http: &listen.http,
        });
    }
    let mut line = vec![display(&programs.streamer)];
    line.extend(streamer(scenario, listen));
    line
}

/// The arguments of xr-streamer.
pub fn streamer(scenario: &Scenario, listen: &ListenAddresses) -> Vec<String> {
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
    if scenario.clients > 1 {
        // Behind a node's port they come from one address, and nobody else is to be kept out.
        args.push("--max-viewers-per-peer=256".to_owned());
    }
    if let Some(identity) = &listen.identity {
        args.extend(["--quic".to_owned(), listen.quic.clone()]);
        args.extend(["--quic-cert".to_owned(), display(&identity.certificate)]);
        args.extend(["--quic-key".to_owned(), display(&identity.key)]);
        if scenario.feed.is_quic() {
            args.extend(["--feed-token-file".to_owned(), display(&identity.token)]);
        }
    }
    args.extend(to_args(&scenario.streamer));
    args
}

/// xr-renderer's arguments, as a renderer.
pub fn renderer(
    scenario: &Scenario,
    addresses: &Addresses,
    listen: &ListenAddresses,
) -> Vec<String> {
    let mut args = codec(scenario, &listen.ops[&Role::Renderer]);
    args.extend(["--feed".into(), addresses.feed_of(scenario)]);
    if let Some(identity) = listen.identity.as_ref().filter(|_| scenario.feed.is_quic()) {
        args.push(format!("--feed-transport={}", scenario.feed));
        args.push(format!("--quic-pin={}", identity.pin));
        args.extend(["--token-file".into(), display(&identity.token)]);
    }
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
        format!("--decoder-threads={}", scenario.client.decoder_threads),
        format!(
            "--decoder-thread-type={}",
            scenario.client.decoder_thread_type
        ),
    ]);
    args
}

/// The arguments of xr-client.
pub fn client(
    scenario: &Scenario,
    addresses: &Addresses,
    listen: &ListenAddresses,
    transport: Transport,
    folder: &RepetitionFolder,
) -> Vec<String> {
    let mut args = words("--sink none --ops");
    let url = if transport.is_quic() {
        addresses.quic_stream()
    } else {
        addresses.stream_of(scenario)
    };
    args.extend([listen.ops[&Role::Client].clone(), "--url".into(), url]);
    if let Some(identity) = listen.identity.as_ref().filter(|_| transport.is_quic()) {
        args.push(format!("--quic-pin={}", identity.pin));
    }
    args.extend(["--transport".into(), transport.to_string()]);
    args.extend([
        "--collector".into(),
        format!("http://{}", addresses.collector),
    ]);
    // Started again, it goes on as the same client.
    args.push("--client-id=client".into());
    args.extend(to_args(&scenario.client));
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
    files: &ReferenceFiles,
) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let (source, transport) = (scenario.source.as_written(), transport.to_string());
    let reference = Reference {
        tuned: scenario.pipeline == Pipeline::ReferenceTuned,
        source: &source,
        width: scenario.size.width(),
        height: scenario.size.height(),
        fps: scenario.fps,
        bitrate_bps: scenario.bitrate.bits_per_second().into(),
        transport: &transport,
        start_us: scenario.content.map_or(0, |of| of.start_us),
    };
    Ok((
        reference.render_command(&addresses.feed(), &files.rendered)?,
        reference.play_command(&addresses.stream(), &files.strips, &files.played),
    ))
}

/// The files that ffmpeg writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceFiles {
    /// The renderer's progress.
    pub rendered: PathBuf,
    /// The player's progress.
    pub played: PathBuf,
    /// All of the player's strips.
    pub strips: PathBuf,
}

impl ReferenceFiles {
    /// In the folder of a repetition.
    pub fn of(folder: &RepetitionFolder) -> Self {
        let progress = |role: Role| folder.logs().join(format!("{role}.progress"));
        Self {
            rendered: progress(Role::Renderer),
            played: progress(Role::Client),
            strips: folder.strips().join("strips-00000.pgm"),
        }
    }

    /// Under the same names in one folder of a pod.
    #[must_use]
    pub fn below(&self, folder: &Path) -> Self {
        let moved = |file: &Path| folder.join(file.file_name().unwrap_or_default());
        Self {
            rendered: moved(&self.rendered),
            played: moved(&self.played),
            strips: moved(&self.strips),
        }
    }
}

/// One strip of so many, so that the kept ones are spread over the whole time.
fn strips_every(scenario: &Scenario) -> u64 {
    let most = f64::from(scenario.ocr.max_frames.max(1));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most 10^10 s of 480 frames"
    )]
    let every = (scenario.frames() / most).ceil() as u64;
    // With a factor in common with the distance of key frames it would meet a few places between two of them, and no others.
    let gop = u64::from(scenario.renderer.gop);
    let every = every.max(1);
    (every..=every.saturating_add(gop))
        .find(|every| are_coprime(*every, gop))
        .unwrap_or(every)
}

const fn are_coprime(mut one: u64, mut two: u64) -> bool {
    while two > 0 {
        (one, two) = (two, one % two);
    }
    one == 1
}

fn codec(scenario: &Scenario, ops: &str) -> Vec<String> {
    let mut args = vec!["--ops".to_owned(), ops.to_owned()];
    args.extend(to_args(&scenario.video()));
    args.extend(to_args(&scenario.renderer));
    args
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(ToOwned::to_owned).collect()
}

fn display(path: &Path) -> String {
    path.display().to_string()
}

/// A command line as a shell would take it. No command line has a NUL, which no shell could be given.
pub fn shell(command: &[String]) -> String {
    shlex::try_join(command.iter().map(String::as_str)).unwrap_or_else(|_| command.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::addresses::IdentityFiles;
    use crate::scenario::{Overrides, parse};

    fn scenario(rest: &str) -> Scenario {
        let text = format!("schema = 1\nname = \"x\"\n[[scenario]]\nname = \"s\"\n{rest}");
        parse(&text, "x.toml", &Overrides::default())
            .expect("a scenario")
            .scenario
            .remove(0)
    }

    /// One strip in fifteen would meet four of the sixty places between two key frames.
    #[test]
    fn strips_are_of_every_place_between_two_key_frames() {
        for (gop, most) in [(60, 20), (60, 7), (30, 100), (1, 100), (25, 100_000)] {
            let scenario = scenario(&format!(
                "duration = \"4s\"\nwarmup = \"1s\"\nrenderer = {{ gop = {gop} }}\nocr = {{ max_frames = {most} }}"
            ));
            let every = strips_every(&scenario);
            let met: std::collections::BTreeSet<_> =
                (0..gop).map(|strip| strip * every % gop).collect();
            assert_eq!(met.len() as u64, gop, "one in {every}");
            assert!(every * most >= 300, "no more than {most} of 300");
        }
    }

    #[test]
    fn every_option_of_a_scenario_reaches_its_program() {
        let scenario = scenario(
            "fps = \"30000/1001\"\nduration = \"8s\"\nwarmup = \"2s\"\nsize = \"640x360\"\ntransport = \"tcp\"\n\
             renderer = { gop = 30, rtp_mtu = 900 }\nclient = { latency_ms = 2000, sync = true, decoder_threads = 3, decoder_thread_type = \"frame\" }\n\
             streamer = { rtp_sync = true, factory_latency_ms = 200 }\nocr = { max_frames = 100 }",
        );
        let folder = RepetitionFolder::new("/out/s/run-1");
        let addresses = Addresses {
            http: "h:1".into(),
            rtsp: "h:2".into(),
            quic: "h:4".into(),
            collector: "h:3".into(),
        };
        let listen = ListenAddresses::drawn();
        // What these say is read back by the programs' own parsers in the tests of `settings`.
        let all = |line: &[String], options: &[String]| {
            assert!(options.iter().all(|one| line.contains(one)), "{line:?}");
        };
        let line = client(&scenario, &addresses, &listen, scenario.transport, &folder);
        all(&line, &to_args(&scenario.client));
        for part in [
            "--url rtsp://h:2/xr --transport tcp --collector http://h:3 --client-id=client",
            "--strips /out/s/run-1/strips --strips-max=100 --strips-every=7",
        ] {
            assert!(line.join(" ").contains(part), "{line:?}");
        }
        all(&streamer(&scenario, &listen), &to_args(&scenario.streamer));
        let bounds_a_peer = |clients: u32| {
            let scenario = Scenario {
                clients,
                ..scenario.clone()
            };
            let line = streamer(&scenario, &listen);
            line.iter().any(|word| word.contains("per-peer"))
        };
        assert!(bounds_a_peer(100) && !bounds_a_peer(1));
        for line in [
            renderer(&scenario, &addresses, &listen),
            floor(&scenario, &folder),
        ] {
            all(&line, &to_args(&scenario.video()));
            all(&line, &to_args(&scenario.renderer));
            assert!(line.contains(&"--fps=30000/1001".to_owned()), "{line:?}");
        }
        let line = renderer(&scenario, &addresses, &listen).join(" ");
        assert!(line.contains("--feed http://h:1/feeds/xr"), "{line}");
        let line = floor(&scenario, &folder).join(" ");
        assert!(
            line.ends_with(
                "--floor /out/s/run-1/frames.csv --duration 10s --decoder-threads=3 --decoder-thread-type=frame"
            ),
            "{line}"
        );
    }

    #[test]
    fn a_feed_over_quic_has_a_pin_and_a_token_and_the_client_needs_neither() {
        let scenario = scenario("feed = \"quic-datagram\"");
        let addresses = Addresses {
            http: "h:1".into(),
            rtsp: "h:2".into(),
            quic: "h:4".into(),
            collector: "h:3".into(),
        };
        let listen = ListenAddresses {
            identity: Some(IdentityFiles::unknown()),
            ..ListenAddresses::drawn()
        };
        let line = renderer(&scenario, &addresses, &listen).join(" ");
        let feed = "--feed roq://h:4/xr --feed-transport=quic-datagram --quic-pin=<pin> --token-file <token>";
        assert!(line.ends_with(feed), "{line}");
        let line = streamer(&scenario, &listen).join(" ");
        assert!(line.contains("--feed-token-file <token>"), "{line}");
        let folder = RepetitionFolder::new("/out/s/run-1");
        let line = client(&scenario, &addresses, &listen, scenario.transport, &folder).join(" ");
        assert!(line.contains("--url rtsp://h:2/xr"), "{line}");
        assert!(
            !line.contains("<pin>") && !line.contains("<token>"),
            "{line}"
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
            quic: "h:4".into(),
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
