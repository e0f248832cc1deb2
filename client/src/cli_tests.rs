//! Every flag's default and the answers to wrong values.

use clap::{CommandFactory as _, Parser as _};

use super::*;

fn parse(more: &[&str]) -> Result<Args, clap::Error> {
    let base = ["xr-client", "--url", "rtsp://127.0.0.1:8554/demo"];
    Args::try_parse_from(base.iter().chain(more))
}

#[test]
fn defaults_are_those_of_least_latency() {
    let args = parse(&[]).unwrap();
    assert_eq!(args.tuning, ClientSettings::default());
    assert_eq!(args.sink, SinkChoice::None);
    assert_eq!(args.transport, link::Choice::Auto);
    assert_eq!(args.common.ops.unwrap().port(), 9093);
    assert_eq!((args.strips_max, args.strips_every), (10_000, 1));
    args.check().unwrap();
}

/// A longer line is cut in two where nobody knows the terminal's width, and cannot be pasted.
#[test]
fn examples_can_be_pasted_and_flags_stand_under_their_headings() {
    let command = Args::command();
    command.clone().debug_assert();
    let help = command.get_after_help().map(ToString::to_string);
    let help = help.expect("examples");
    let long = help
        .lines()
        .find(|line| line.starts_with(' ') && line.len() > 100);
    assert_eq!(long, None);
    for (heading, begins) in [
        ("TLS", ["tls_"; 2]),
        ("QUIC", ["quic_"; 2]),
        ("User", ["user", "password_"]),
    ] {
        let under = command
            .get_arguments()
            .filter(|arg| arg.get_help_heading() == Some(heading));
        let stray: Vec<_> = under
            .map(|arg| arg.get_id().as_str())
            .filter(|id| !begins.iter().any(|begins| id.starts_with(begins)))
            .collect();
        assert_eq!(stray, [""; 0], "under {heading}");
    }
}

#[test]
fn flags_take_their_documented_forms() {
    let args = parse(&[
        "--duration",
        "30s",
        "--sync",
        "true",
        "--sink",
        "record:a/b.mkv",
        "--buffer-mode",
        "auto",
    ])
    .unwrap();
    assert_eq!(args.duration, Some(Duration::from_secs(30)));
    assert!(args.tuning.sync);
    assert_eq!(args.sink, SinkChoice::Record("a/b.mkv".into()));
    assert!(!parse(&["--sync", "false"]).unwrap().tuning.sync);
    assert!(parse(&["--sync"]).unwrap().tuning.sync);
}

#[test]
fn wrong_values_say_what_is_right() {
    for (flags, says) in [
        (["--sink", "screen"], "record:PATH"),
        (["--sink", "record:a.avi"], ".mkv or .mp4"),
        (["--transport", "quic"], "auto"),
        (["--duration", "soon"], "30s"),
        (["--strips-every", "0"], "a whole number, 1 to"),
        (["--decoder-thread-type", "both"], "slice, frame"),
    ] {
        let error = parse(&flags).unwrap_err().to_string();
        assert!(error.contains(says), "{flags:?}: {error}");
    }
}

#[test]
fn urls_are_checked_before_anything_is_opened() {
    for (url, says) in [
        (
            "http://127.0.0.1:8554/demo",
            "speaks rtsp, rtsps and roq, not http",
        ),
        ("127.0.0.1:8554/demo", "no URL"),
        ("rtsp:///demo", ""),
        ("rtsp://127.0.0.1:8554/", "name of the stream"),
        ("rtsp://127.0.0.1:99999/demo", "between 1 and 65535"),
        ("roq://127.0.0.1/demo", "the port is missing"),
        ("not a url", "no URL"),
    ] {
        let error = check_stream(url).unwrap_err().to_string();
        assert!(
            error.contains(says) && error.contains("--url (XR_URL)"),
            "{url}: {error}"
        );
    }
    check_stream("rtsp://streamer.default.svc/demo").unwrap();
    check_stream("rtsp://[::1]:8554/demo?x=1").unwrap();
    for (url, says) in [
        ("ftp://a:1", "http and https, not ftp"),
        ("a b", "no URL"),
        ("/frames", "scheme"),
    ] {
        let error = check_collector(url).unwrap_err().to_string();
        assert!(error.contains(says), "{url}: {error}");
    }
    check_collector("http://127.0.0.1:9094").unwrap();
}

#[test]
fn one_document_is_all_of_stdout_where_nobody_asks_for_more() {
    assert!(parse(&[]).unwrap().says_ready());
    assert!(!parse(&["--json"]).unwrap().says_ready());
    assert!(
        !parse(&["--json", "--ops", "127.0.0.1:9000"])
            .unwrap()
            .says_ready()
    );
    let free = parse(&["--json", "--ops", "127.0.0.1:0"]).unwrap();
    assert!(free.says_ready(), "or nobody learns the port");
}

#[test]
fn client_ids_are_path_segments() {
    for id in ["a/b", "", "ü", "a b"] {
        assert!(
            parse(&["--client-id", id]).unwrap().check().is_err(),
            "{id:?}"
        );
    }
    parse(&["--client-id", "client-1"])
        .unwrap()
        .check()
        .unwrap();
}

#[test]
fn quic_needs_somebody_to_believe_and_its_own_transports() {
    let pin = "ab".repeat(32);
    let parse_quic = |flags: &[&str]| {
        let base = ["xr-client", "--url", "roq://127.0.0.1:8555/demo"];
        Args::try_parse_from(base.iter().chain(flags))
    };
    let check = |args: Result<Args, clap::Error>| args.unwrap().check().map_err(|e| e.to_string());
    let why = check(parse_quic(&[])).unwrap_err();
    assert!(why.contains("--quic-pin"), "{why}");
    check(parse_quic(&["--quic-pin", &pin])).unwrap();
    check(parse_quic(&[
        "--quic-pin",
        &pin,
        "--transport",
        "quic-stream",
    ]))
    .unwrap();
    let why = check(parse_quic(&["--quic-pin", &pin, "--transport", "udp"])).unwrap_err();
    assert!(why.contains("quic-datagram"), "{why}");
    let why = check(parse(&["--transport", "quic-stream"])).unwrap_err();
    assert!(why.contains("roq://"), "{why}");
    let why = check(parse_quic(&["--quic-ca", "/absent.pem"])).unwrap_err();
    assert!(why.contains("/absent.pem"), "{why}");
    let why = parse_quic(&["--quic-pin", "abc"]).unwrap_err();
    assert!(why.to_string().contains("64 hexadecimal digits"), "{why}");
}

#[test]
fn a_collector_over_tls_says_whom_it_believes() {
    let tls = |more: &[&str]| {
        parse(more)
            .unwrap()
            .check()
            .map_err(|error| error.to_string())
    };
    for (flags, says) in [
        (
            &["--collector", "https://h:1", "--tls-ca", "/nowhere"][..],
            "/nowhere",
        ),
        (
            &["--collector", "http://h:1", "--tls-ca", "/nowhere"],
            "https://",
        ),
        (&["--tls-ca", "/nowhere"], "https://"),
        (
            &["--collector", "http://h:1", "--tls-ca", "/nowhere"],
            "neither --url nor --collector",
        ),
        (&["--collector", "ftp://h:1"], "http and https"),
    ] {
        let error = tls(flags).unwrap_err();
        assert!(error.contains(says), "{flags:?}: {error}");
    }
    tls(&["--collector", "http://h:1"]).unwrap();
}

#[test]
fn a_user_has_a_name_a_password_and_a_server_that_asks() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "swordfish\n").unwrap();
    let file = file.to_str().unwrap();
    let with = ["--password-file", file];
    let pin = "ab".repeat(32);
    let at = |url: &str, more: &[&str]| {
        let base = ["xr-client", "--quic-pin", &pin, "--url", url];
        let args = Args::try_parse_from(base.iter().chain(more)).unwrap();
        args.check()
            .and_then(|()| args.user())
            .map_err(|error| error.to_string())
    };
    let (rtsp, roq) = ("rtsp://h/demo", "roq://h:8555/demo");
    let user = at(rtsp, &[&["--user", "me"], &with[..]].concat());
    let user = user.unwrap().unwrap();
    assert_eq!(
        (user.name.as_str(), user.password.expose()),
        ("me", "swordfish")
    );
    assert!(!format!("{user:?}").contains("swordfish"));
    assert_eq!(at(rtsp, &[]).unwrap(), None);
    for (url, flags, says) in [
        (rtsp, &["--user", "me"][..], "set XR_PASSWORD"),
        (rtsp, &with, "Give its name with --user"),
        (rtsp, &["--user", "a:b", with[0], with[1]], "another user"),
        (rtsp, &["--user", "", with[0], with[1]], "another user"),
        (rtsp, &["--user", "me", with[0], "/absent"], "/absent"),
        (
            roq,
            &["--user", "me", with[0], with[1]],
            "Leave user and password out",
        ),
        (roq, &with, "Leave user and password out"),
    ] {
        let why = at(url, flags).unwrap_err();
        assert!(
            why.contains(says) && !why.contains("swordfish"),
            "{flags:?}: {why}"
        );
    }
}

#[test]
fn a_stream_over_tls_comes_over_tcp_and_says_whom_it_believes() {
    let check = |more: &[&str]| {
        let base = ["xr-client", "--url", "rtsps://h/demo"];
        let args = Args::try_parse_from(base.iter().chain(more)).unwrap();
        let checked = args.check().and_then(|()| args.transports());
        checked.map_err(|error| error.to_string())
    };
    for flags in [
        &[][..],
        &["--transport", "tcp"],
        &["--collector", "http://h:1"],
    ] {
        assert_eq!(check(flags).unwrap(), [Transport::Tcp], "{flags:?}");
    }
    for (flags, says) in [
        (&["--transport", "udp"][..], "would not be encrypted"),
        (&["--transport", "quic-stream"], "over tcp"),
        (&["--tls-ca", "/nowhere"], "No such file"),
        (
            &["--tls-ca", "/nowhere", "--collector", "http://h:1"],
            "No such file",
        ),
        (&["--tls-ca", "/dev/null"], "no certificate"),
    ] {
        let why = check(flags).unwrap_err();
        assert!(why.contains(says), "{flags:?}: {why}");
    }
}

#[test]
fn addresses_hold_no_password_and_errors_repeat_none() {
    let error = check_stream("rtsp://me:secret@h/demo").unwrap_err();
    let collector = check_collector("https://me:secret@h:9094").unwrap_err();
    let no_url = check_collector("me:secret@h/x").unwrap_err();
    for (error, says) in [
        (error, "--password-file (XR_PASSWORD_FILE)"),
        (collector, "--token-file"),
        (no_url, "***@h"),
    ] {
        let error = error.to_string();
        assert!(error.contains(says) && !error.contains("secret"), "{error}");
    }
}
