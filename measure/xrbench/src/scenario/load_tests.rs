//! Tests of: scenario load.

use super::*;
use settings::{FrameRate, Span, Transport};

const TWO: &str = r#"
schema = 1
name = "two"
[defaults]
source = "test"
warmup = "1s"
client.latency_ms = 20
[[scenario]]
name = "udp"
duration = "3s"
floor = { runs = 2 }
[[scenario]]
name = "tcp"
transport = "tcp"
client = { sync = true }
"#;

fn read(text: &str, set: &[&str]) -> Result<File, ConfigError> {
    let set = set.iter().map(ToString::to_string).collect();
    parse(
        text,
        "two.toml",
        &Overrides {
            set,
            ..Overrides::default()
        },
    )
}

fn error(text: &str, set: &[&str]) -> String {
    read(text, set).expect_err("a mistake").to_string()
}

#[test]
fn defaults_reach_every_scenario_and_yield_to_it() {
    let file = read(TWO, &[]).expect("a scenario file");
    let [udp, tcp] = &file.scenario[..] else {
        panic!("two scenarios")
    };
    assert_eq!(
        (udp.warmup, udp.duration, udp.client.latency_ms),
        (Span::seconds(1), Span::seconds(3), 20)
    );
    assert_eq!(
        (tcp.transport, tcp.client.latency_ms, tcp.client.sync),
        (Transport::Tcp, 20, true)
    );
    let floor = udp.floor.expect("a floor");
    assert_eq!((floor.runs, floor.duration), (Some(2), None));
    assert_eq!(tcp.floor, None);
}

#[test]
fn set_reaches_one_all_or_the_file() {
    let file = read(
        TWO,
        &[
            "udp.duration=9s",
            "client.latency_ms=5",
            "seed=7",
            "fps=30",
            "defaults.bitrate=1M",
        ],
    )
    .expect("a scenario file");
    assert_eq!(file.seed, 7);
    assert_eq!(file.scenario[0].duration, Span::seconds(9));
    assert!(file.scenario.iter().all(|s| s.client.latency_ms == 5
        && s.fps.to_string() == "30"
        && s.bitrate.bits_per_second() == 1_000_000));
    assert!(file.scenario[1].client.sync, "what is beside the key stays");
    assert!(
        error(TWO, &["fps"]).contains("--set"),
        "{}",
        error(TWO, &["fps"])
    );
    assert!(error(TWO, &["duratino=5s"]).contains("`duration`"));
}

#[test]
fn set_wins_over_a_value_that_the_scenario_has() {
    let file = read(TWO, &["duration=8s"]).expect("a scenario file");
    assert!(
        file.scenario
            .iter()
            .all(|scenario| scenario.duration == Span::seconds(8))
    );
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    for (wrong, right, place) in [
        ("duraton = \"3s\"", "`duration`", "scenario udp.duraton"),
        (
            "renderer = { presett = \"fast\" }",
            "`preset`",
            "scenario udp.renderer.presett",
        ),
        (
            "ocr = { frames = 3 }",
            "`max_frames`",
            "scenario udp.ocr.frames",
        ),
        ("floor = { run = 3 }", "`runs`", "scenario udp.floor.run"),
    ] {
        let text = format!("schema = 1\nname = \"x\"\n[[scenario]]\nname = \"udp\"\n{wrong}\n");
        let error = error(&text, &[]);
        assert!(
            error.contains(right) && error.contains(place) && error.contains("two.toml"),
            "{error}"
        );
    }
    let top = error(
        "schema = 1\nname = \"x\"\nseeds = 2\n[[scenario]]\nname = \"a\"\n",
        &[],
    );
    assert!(top.contains("`seed`"), "{top}");
    let defaults = error(
        "schema = 1\nname = \"x\"\n[defaults]\nwarm_up = \"1s\"\n[[scenario]]\nname = \"a\"\n",
        &[],
    );
    assert!(
        defaults.contains("`warmup`") && defaults.contains("defaults.warm_up"),
        "{defaults}"
    );
}

#[test]
fn a_bad_value_names_its_key_and_what_would_be_right() {
    for (wrong, parts) in [
        (
            "transport = \"upd\"",
            ["scenario udp.transport", "did you mean `udp`?", "\"upd\""],
        ),
        (
            "pipeline = \"refernce\"",
            [
                "scenario udp.pipeline",
                "did you mean `reference`?",
                "\"refernce\"",
            ],
        ),
        (
            "renderer = { preset = \"ultrafats\" }",
            ["scenario udp.renderer.preset", "`ultrafast`", "medium"],
        ),
        (
            "client = { buffer_mode = \"non\" }",
            ["scenario udp.client.buffer_mode", "`none`", "slave"],
        ),
        (
            "size = \"320x240\"",
            ["scenario udp.size", "at least 640x360", "320x240"],
        ),
        (
            "duration = \"30\"",
            ["scenario udp.duration", "\"30s\"", "unit"],
        ),
        (
            "bitrate = \"lots\"",
            ["scenario udp.bitrate", "\"6M\"", "lots"],
        ),
        ("fps = -1", ["scenario udp.fps", "-1", "1 to 480"]),
        ("fps = 0", ["scenario udp.fps", "1 to 480", "0"]),
        ("runs = 0", ["scenario udp.runs", "1 to 1000", "0"]),
        ("paper = 6", ["scenario udp.paper", "1 to 5", "6"]),
        (
            "source = \"bbb.mp4\"",
            ["scenario udp.source", "file:PATH", "bbb.mp4"],
        ),
        (
            "pipeline = \"floor\"",
            ["scenario udp.pipeline", "floor = {}", "floor"],
        ),
    ] {
        let text = format!("schema = 1\nname = \"x\"\n[[scenario]]\nname = \"udp\"\n{wrong}\n");
        let error = error(&text, &[]);
        assert!(
            parts.iter().all(|part| error.contains(part)),
            "{wrong}: {error}"
        );
    }
}

#[test]
fn the_file_itself_is_checked() {
    assert!(error("schema = 2\nname = \"x\"", &[]).contains("version 1"));
    assert!(error("name = \"x\"", &[]).contains("schema = 1"));
    assert!(error("schema = 1\nname = \"x\"", &[]).contains("[[scenario]]"));
    assert!(error("schema = = 1", &[]).contains("no TOML"));
    assert!(error("schema = 1\n[[scenario]]\nname = \"a\"", &[]).contains("name"));
    let twice = error(
        "schema = 1\nname = \"x\"\n[[scenario]]\nname = \"a\"\n[[scenario]]\nname = \"a\"",
        &[],
    );
    assert!(twice.contains("two scenarios"), "{twice}");
    let folder = error(
        "schema = 1\nname = \"x\"\n[[scenario]]\nname = \"../a\"",
        &[],
    );
    assert!(folder.contains("names a folder"), "{folder}");
}

#[test]
fn only_selects_by_name() {
    let overrides = Overrides {
        only: vec!["tcp".into()],
        ..Overrides::default()
    };
    let file = parse(TWO, "two.toml", &overrides).expect("a scenario file");
    assert_eq!(
        file.scenario
            .iter()
            .map(|s| s.name.as_str())
            .collect::<Vec<_>>(),
        ["tcp"]
    );
    let overrides = Overrides {
        only: vec!["tpc".into()],
        only_origin: "--scenario",
        ..Overrides::default()
    };
    let error = parse(TWO, "two.toml", &overrides)
        .expect_err("no such scenario")
        .to_string();
    assert!(error.contains("did you mean `tcp`?"), "{error}");
    assert!(error.contains("--scenario"), "{error}");
}

#[test]
fn what_is_written_down_can_be_read_again() {
    let file = read(TWO, &[]).expect("a scenario file");
    let text = toml::to_string(&file).expect("TOML");
    assert_eq!(read(&text, &[]).expect("the same"), file);
}

const LAB: &str = r#"
schema = 1
name = "lab"
[[scenario]]
name = "s4"
fabric = "liqo"
duration = "10s"
wan = { preset = "frankfurt-geneva", loss_percent = 1, a_to_b = { delay = "7ms" } }
fault = [{ at = "2s", what = "outage", lasts = "200ms" }, { at = "5s", what = "kill", who = "gateway-a" }]
"#;

#[test]
fn a_wan_is_its_preset_and_what_differs_from_it() {
    let file = read(LAB, &[]).expect("a scenario file");
    let keys = file.scenario[0].wan.as_ref().expect("a WAN");
    let wan = keys.wan().expect("sound");
    let preset = testbed::wan::Wan::preset("frankfurt-geneva").expect("a preset");
    assert_eq!(wan.a_to_b.delay, std::time::Duration::from_millis(7));
    assert_eq!(wan.b_to_a.delay, preset.b_to_a.delay);
    let lost = Some(testbed::wan::Loss::Random { percent: 1.0 });
    assert_eq!((wan.a_to_b.loss, wan.b_to_a.loss), (lost, lost));
}

#[test]
fn what_a_lab_cannot_be_is_refused_by_key() {
    for (set, parts) in [
        (
            "wan.preset=frankfurt-genf",
            ["scenario s4.wan.preset", "frankfurt-geneva"],
        ),
        ("wan.a_to_c={delay=\"1ms\"}", ["wan.a_to_c", "a_to_b"]),
        ("wan.b_to_a={dealy=\"1ms\"}", ["wan.b_to_a.dealy", "delay"]),
        ("wan.rate=5M", ["s4.wan.rate", "6000000"]),
        (
            "wan.loss_percent=101",
            [
                "wan.loss_percent in two.toml (changed by --set) is \"101\"",
                "a number without quotes, 0 to 100",
            ],
        ),
        (
            "wan.b_to_a={reorder_percent=-1}",
            ["wan.b_to_a.reorder_percent", "0 to 100"],
        ),
        ("wan.delay=11s", ["s4.wan.delay", "more than 10 s"]),
        (
            "seed=-1",
            [
                "seed in two.toml (changed by --set) is \"-1\"",
                "0 to 9223372036854775807",
            ],
        ),
        ("runs=-1", ["runs in two.toml", "1 to 1000"]),
        ("runs=", ["runs in two.toml", "1 to 1000"]),
        ("runs=abc", ["is \"abc\"", "1 to 1000"]),
        ("clients=many", ["clients in two.toml", "1 to 100"]),
        ("paper=first", ["paper in two.toml", "1 to 5"]),
        ("floor.runs=1e3", ["floor.runs in two.toml", "0 to 1000"]),
        ("renderer.gop=long", ["renderer.gop in", "1 to 100000"]),
        (
            "client.latency_ms=no",
            ["client.latency_ms", "0 to 4294967295"],
        ),
        ("ocr.max_frames=-1", ["ocr.max_frames", "0 to 4294967295"]),
        ("disturbed.late_ms=-1", ["disturbed.late_ms", "0 or more"]),
        ("wan.loss_burst=0.5", ["wan.loss_burst", "1 or more"]),
        ("wan.distribution=pareto", ["s4.wan.distribution", "jitter"]),
        (
            "renderer.cluster=c",
            [
                "renderer.cluster in two.toml (changed by --set)",
                "known are: a, b",
            ],
        ),
        ("fabric=single", ["s4.wan", "no WAN"]),
        (
            "fabric=liquo",
            [
                "fabric in two.toml (changed by --set)",
                "did you mean `liqo`",
            ],
        ),
        ("pipeline=reference", ["s4.fault", "ffmpeg"]),
        (
            "fault=[{at=\"2s\", what=\"move\", who=\"streamer\"}]",
            ["s4.fault.who", "renderer or client"],
        ),
        (
            "fault=[{at=\"2s\", what=\"kill\", whom=\"client\"}]",
            ["fault", "`who`"],
        ),
        (
            "fault=[{at=\"2s\", what=\"kill\", who=\"cluster-c\"}]",
            ["fault", "gateway-a"],
        ),
        (
            "fault=[{at=\"10s\", what=\"outage\", lasts=\"1s\"}]",
            ["fault.at", "ends after 10s"],
        ),
        (
            "fault=[{at=\"2s\", what=\"drain\", lasts=\"1s\", who=\"gateway-a\"}]",
            ["fault.who", "a node is drained under a service"],
        ),
        (
            "fault=[{at=\"2s\", what=\"outage\", lasts=\"1s\", cluster=\"c\"}]",
            ["fault", "`a`"],
        ),
        ("standby=true", ["s4.standby", "fabric = \"lisp\""]),
        (
            "fault=[{at=\"2s\", what=\"fail\", who=\"streamer\"}]",
            ["fault.who", "standby = true"],
        ),
    ] {
        let text = error(LAB, &[set]);
        for part in parts {
            assert!(text.contains(part), "{set}: {text}");
        }
    }
}

/// What a service refuses is refused in the file, with the line.
#[test]
fn nothing_that_a_service_refuses_is_taken() {
    for (wrong, parts) in [
        ("bitrate = \"20k\"", ["scenario udp.bitrate", "50k to 400M"]),
        ("bitrate = \"1e6\"", ["scenario udp.bitrate", "1e6"]),
        ("size = \"9000x9000\"", ["scenario udp.size", "8192"]),
        ("fps = 481", ["scenario udp.fps", "1 to 480"]),
        ("fps = 29.97", ["scenario udp.fps", "30000/1001"]),
        ("source = \"gst:\"", ["scenario udp.source", "gst:LAUNCH"]),
        (
            "source = \"gst:rtspsrc location=rtsp://me:secret@cam/a\"",
            ["scenario udp.source", "rtsp://***@cam"],
        ),
        ("source = \"file:\"", ["scenario udp.source", "file:PATH"]),
        (
            "renderer.gop = 0",
            ["scenario udp.renderer.gop", "1 to 100000"],
        ),
        (
            "renderer.rtp_mtu = 100",
            ["scenario udp.renderer.rtp_mtu", "256 to 9000"],
        ),
        (
            "renderer.threads = 65",
            ["scenario udp.renderer.threads", "0 to 64"],
        ),
        (
            "client.decoder_threads = 65",
            ["scenario udp.client.decoder_threads", "0 to 64"],
        ),
    ] {
        let text = format!("schema = 1\nname = \"x\"\n[[scenario]]\nname = \"udp\"\n{wrong}\n");
        let error = error(&text, &[]);
        for part in parts.into_iter().chain(["two.toml, line 5"]) {
            assert!(error.contains(part), "{wrong}: {error}");
        }
    }
}

/// A value of the wrong kind is refused with one of the right kind, whether the file has it or the command line.
#[test]
fn a_value_of_another_kind_is_answered_with_what_to_write() {
    for (key, value, right) in [
        ("bitrate", "1e6", "\"6M\""),
        ("bitrate", "4000000", "\"6M\""),
        ("duration", "5", "\"30s\""),
        ("warmup", "0.5", "\"500ms\""),
        ("first_frame", "20", "\"30s\""),
        ("size", "720", "\"1280x720\""),
        ("source", "true", "\"file:media/film.mp4\""),
        ("wan.rate", "1e9", "\"1M\""),
        ("wan.delay", "10", "\"500ms\""),
        ("wan.preset", "4", "text in quotes"),
        (
            "wan.loss_percent",
            "\"1\"",
            "a number without quotes, 0 to 100",
        ),
        ("transport", "1", "udp, tcp"),
        ("fabric", "false", "host, single, nodeport"),
        ("fps", "true", "1 to 480"),
        ("runs", "\"3\"", "a whole number without quotes, 1 to 1000"),
        ("limits", "\"yes\"", "true or false"),
        ("client.sync", "1", "true or false"),
        ("floor", "3", "a table"),
        ("fault", "\"outage\"", "a list in square brackets"),
        ("floor.duration", "8", "\"30s\""),
        (
            "renderer.gop",
            "1.5",
            "a whole number without quotes, 1 to 100000",
        ),
    ] {
        let head = "schema = 1\nname = \"x\"\n[[scenario]]\nname = \"udp\"\n";
        let in_file = error(&format!("{head}{key} = {value}\n"), &[]);
        let set = error(head, &[&format!("{key}={value}")]);
        for (text, place) in [(in_file, "two.toml, line 5"), (set, "changed by --set")] {
            for part in [key, right, place] {
                assert!(text.contains(part), "{key} = {value}: {text}");
            }
        }
    }
}

#[test]
fn a_mistake_in_the_defaults_has_their_line_and_one_of_the_command_line_none() {
    let text =
        "schema = 1\nname = \"x\"\n[defaults]\nrenderer.gop = 0\n[[scenario]]\nname = \"a\"\n";
    let in_file = error(text, &[]);
    assert!(
        in_file.contains("defaults.renderer.gop in two.toml, line 4"),
        "{in_file}"
    );
    let set = error(&text.replace("gop = 0", "gop = 30"), &["renderer.gop=0"]);
    assert!(set.contains("two.toml (changed by --set)"), "{set}");
}

#[test]
fn fractions_of_frames_are_exact() {
    let text = "schema = 1\nname = \"x\"\n[[scenario]]\nname = \"a\"\nfps = \"60000/1001\"\n";
    let file = read(text, &[]).expect("a scenario file");
    assert_eq!(Ok(file.scenario[0].fps), FrameRate::new(60_000, 1_001));
    let text = toml::to_string(&file).expect("TOML");
    assert_eq!(read(&text, &[]).expect("the same"), file);
}
