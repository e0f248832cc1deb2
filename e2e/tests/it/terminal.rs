//! The shell of `xrbench lab` on a terminal: what is typed reaches it, Ctrl-C and Ctrl-Z are for what runs in it, and the
//! terminal comes back.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use e2e::{Sandbox, binary};
use nix::fcntl::{FcntlArg, FdFlag};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_mins(1);

/// What the program under test has written to its terminal.
type Written = Arc<(Mutex<String>, Condvar)>;

struct Terminal {
    keyboard: File,
    written: Written,
    child: Child,
}

impl Terminal {
    /// Starts a program whose terminal this is.
    fn start(args: &[&str]) -> Self {
        let pty = nix::pty::openpty(None, None).expect("a terminal");
        let end = || Stdio::from(pty.slave.try_clone().expect("a descriptor"));
        let child = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .arg(binary("xrbench"))
            .args(args)
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("setsid of util-linux");
        drop(pty.slave);
        // Else it would be inherited by what is started from now on, and the terminal outlive this end of it.
        nix::fcntl::fcntl(&pty.master, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("a flag");
        let keyboard = File::from(pty.master);
        let mut screen = keyboard.try_clone().expect("a descriptor");
        let written = Written::default();
        let note = Arc::clone(&written);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // An error is how a terminal ends that nobody has open any more.
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                let (text, changed) = &*note;
                let mut text = text.lock().expect("no panic");
                text.push_str(&String::from_utf8_lossy(&bytes[..count]));
                changed.notify_all();
            }
        });
        Self {
            keyboard,
            written,
            child,
        }
    }

    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("typed");
    }

    /// Waits until `word` was written so many times.
    fn shows(&self, word: &str, times: usize) {
        let (text, changed) = &*self.written;
        let text = text.lock().expect("no panic");
        let (text, timeout) = changed
            .wait_timeout_while(text, PATIENCE, |text| text.matches(word).count() < times)
            .expect("no panic");
        assert!(
            !timeout.timed_out(),
            "{word:?} is not there {times} times:\n{text}"
        );
    }

    /// How often `word` was written.
    fn count(&self, word: &str) -> usize {
        self.written
            .0
            .lock()
            .expect("no panic")
            .matches(word)
            .count()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Where a test fails it still runs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_shell_in_a_lab_has_the_terminal_to_itself() {
    const PROMPT: &str = "(lab client) ";
    let sandbox = Sandbox::shared();
    let file = sandbox.path("lab.toml");
    let scenario = "schema = 1\nname = \"t\"\n[[scenario]]\nname = \"s1\"\nfabric = \"single\"\n";
    std::fs::write(&file, scenario).expect("written");
    let file = file.to_string_lossy().into_owned();
    let mut terminal = Terminal::start(&["lab", &file, "--in", "client"]);
    terminal.shows(PROMPT, 1);

    terminal.types("echo made-$((20 + 3)); ip -brief address show eth0\n");
    terminal.shows("made-23", 1);
    terminal.shows("10.1.", 1);

    // What is typed ahead of a program would be the shell's to edit: so each says first that it runs. What is typed then is
    // shown once by the terminal, and once by cat.
    terminal.types("echo first-\"\"cat; cat\n");
    terminal.shows("first-cat", 1);
    terminal.types("until-interrupted\n");
    terminal.shows("until-interrupted", 2);
    let prompts = terminal.count(PROMPT);
    terminal.types("\x03");
    terminal.shows(PROMPT, prompts + 1);

    terminal.types("echo second-\"\"cat; cat\n");
    terminal.shows("second-cat", 1);
    terminal.types("until-stopped\n");
    terminal.shows("until-stopped", 2);
    let prompts = terminal.count(PROMPT);
    terminal.types("\x1a");
    terminal.shows("Stopped", 1);
    terminal.shows(PROMPT, prompts + 1);
    terminal.types("exit 7\n");
    terminal.shows("There are stopped jobs", 1);
    terminal.types("exit 7\n");
    let code = terminal.child.wait().expect("it ends").code();
    assert_eq!(code, Some(7), "the shell's own code is the lab's");

    let mut terminal = Terminal::start(&["lab", &file, "--in", "client"]);
    terminal.shows(PROMPT, 1);
    let pid = Pid::from_raw(terminal.child.id().cast_signed());
    kill(pid, Signal::SIGTERM).expect("it runs");
    assert!(!terminal.child.wait().expect("it ends").success());
}
