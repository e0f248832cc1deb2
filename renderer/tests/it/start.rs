//! Starts that fail: each says what is wrong and what would be right, and with which exit code.

use crate::process::command;

fn refusal(arguments: &[&str]) -> (i32, String) {
    let output = command(arguments).output().unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_wrong_command_line_exits_64() {
    let feed = ["--feed", "http://127.0.0.1:9/feeds/a"];
    for (arguments, words) in [
        (vec!["--source", "test", "--size", "320x180"], "640x360"),
        (vec!["--source", "test", "--fast"], "--fast"),
        (vec!["--source", "film.mp4"], "file:PATH"),
        (
            vec!["--source", "test", "--token-file", "/nonexistent"],
            "XR_TOKEN_FILE",
        ),
    ] {
        let mut all = arguments;
        all.extend(feed);
        let (code, said) = refusal(&all);
        assert_eq!(code, 64, "{all:?}: {said}");
        assert!(said.contains(words), "{all:?}: {said}");
    }
    let (code, said) = refusal(&["--source", "test", "--feed", "http://h/wrong/a"]);
    assert_eq!(code, 64, "{said}");
    assert!(
        said.contains("--feed (XR_FEED)") && said.contains("/feeds/NAME"),
        "{said}"
    );
}

#[test]
fn a_source_that_cannot_be_opened_exits_1() {
    let folder = tempfile::tempdir().unwrap();
    let noise = folder.path().join("noise.mp4");
    std::fs::write(&noise, vec![0x3c; 9000]).unwrap();
    for (source, words) in [
        ("file:/nonexistent/film.mp4".to_owned(), "No such file"),
        (format!("file:{}", noise.display()), "ffprobe"),
        ("gst:nosuchelement".to_owned(), "nosuchelement"),
    ] {
        let (code, said) = refusal(&["--source", &source, "--feed", "http://127.0.0.1:9/feeds/a"]);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(words) && said.contains(&source), "{said}");
    }
}

/// A source may hold a password, and no log repeats it.
#[test]
fn no_refusal_repeats_a_password() {
    let feed = "http://127.0.0.1:9/feeds/a";
    let nobody = "rtspsrc location=rtsp://me:secret@127.0.0.1:9/a user-pw=secret";
    for (source, code) in [
        (format!("gst:{nobody} ! nosuchelement"), 1),
        (format!("gst:{nobody} ! decodebin"), 1),
        (nobody.to_owned(), 64),
    ] {
        let (got, said) = refusal(&["--source", &source, "--feed", feed]);
        assert_eq!(got, code, "{said}");
        assert!(!said.contains("secret"), "{said}");
        assert!(said.contains("***@127.0.0.1:9/a user-pw=***"), "{said}");
    }
}

#[test]
fn a_taken_ops_port_exits_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_xr-renderer"))
        .args([
            "--source",
            "test",
            "--feed",
            "http://127.0.0.1:9/feeds/a",
            "--ops",
            &address,
        ])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&address) && said.contains("--ops"), "{said}");
}

/// A source that gives nothing holds up the start for ten seconds, and not the end.
#[test]
fn a_source_that_does_not_open_ends_at_once() {
    use nix::sys::signal::{Signal, kill};

    let feed = "http://127.0.0.1:9/feeds/a";
    let source = "gst:appsrc name=rtsp://me:secret@cam";
    let mut child = command(&["--source", source, "--feed", feed])
        .spawn()
        .unwrap();
    let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
    // Its signals are its own once its ops port is there.
    let begin = std::time::Instant::now();
    while !has_socket(child.id()) {
        assert!(begin.elapsed() < crate::process::PATIENCE);
        std::thread::yield_now();
    }
    let begin = std::time::Instant::now();
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    kill(pid, Signal::SIGTERM).unwrap();
    let status = child.wait().unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut said, &mut text).unwrap();
    assert!(begin.elapsed().as_secs() < 7, "{text}");
    assert_eq!(status.code(), Some(0), "{text}");
    assert!(text.contains("gst:appsrc name=rtsp://***@cam"), "{text}");
}

/// Whether the process has a socket that listens.
fn has_socket(pid: u32) -> bool {
    let listens = |line: &str| line.split_whitespace().nth(3) == Some("0A");
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
    let inodes: Vec<_> = table
        .lines()
        .filter(|line| listens(line))
        .filter_map(|line| line.split_whitespace().nth(9))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"));
    open.into_iter().flatten().flatten().any(|file| {
        let to = std::fs::read_link(file.path()).unwrap_or_default();
        inodes.iter().any(|inode| to.as_os_str() == inode.as_str())
    })
}
