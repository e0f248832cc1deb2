//! Servers that ask who one is: the right user sees the stream, and a wrong one is told so.

use crate::client::{Client, Ended, await_rows};
use crate::server::{Options, Server};

const NAME: &str = "viewer";
const PASSWORD: &str = "correct horse";

fn server(more: &[&str]) -> Server {
    Server::start_with(
        Options::default(),
        &[&["--user", NAME, PASSWORD], more].concat(),
    )
}

fn hides_the_password(ended: &Ended) {
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!said.contains(PASSWORD), "{said}");
}

fn plays(server: &Server, more: &[&str], env: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let frames = folder.path().join("frames.csv");
    let mut args = vec![
        "--user",
        NAME,
        "--log",
        "debug",
        "--frames",
        frames.to_str().unwrap(),
    ];
    args.extend(more);
    let client = Client::start_in(&server.url(), &args, env);
    await_rows(&frames, "frames are shown", |rows| rows.len() > 10);
    let ended = client.terminate();
    assert!(ended.status.success(), "{}", ended.stderr);
    hides_the_password(&ended);
}

#[test]
fn the_right_user_sees_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let from_file = ["--password-file", file.to_str().unwrap()];
    let digest = server(&[]);
    plays(&digest, &from_file, &[]);
    plays(&server(&["--basic"]), &from_file, &[]);
    plays(
        &digest,
        &["--transport", "tcp"],
        &[("XR_PASSWORD", PASSWORD)],
    );
}

/// The error that a measurement ends with names the cause, and not only a log of many lines.
fn refused(server: &Server, more: &[&str], env: &[(&str, &str)], why: &str) -> String {
    let args = [&["--duration", "1s"], more].concat();
    let client = Client::start_in(&server.url(), &args, env);
    client.await_reason(why);
    let ended = client.terminate();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let last = ended.stderr.lines().last().unwrap_or_default().to_owned();
    assert!(
        last.contains("nothing was shown") && last.contains(why),
        "{}",
        ended.stderr
    );
    last
}

#[test]
fn a_wrong_user_is_told_as_such() {
    for kind in [&[][..], &["--basic"]] {
        let server = server(kind);
        for (name, password) in [(NAME, "battery"), ("nobody", PASSWORD)] {
            let why = format!("refuses the user '{name}' or its password (401");
            let env = [("XR_PASSWORD", password)];
            let last = refused(&server, &["--user", name], &env, &why);
            assert!(
                last.contains("--password-file") && !last.contains(password),
                "{last}"
            );
        }
        let last = refused(&server, &[], &[], "asks for a user (401");
        assert!(last.contains("--user"), "{last}");
    }
}
