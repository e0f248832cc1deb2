//! The ground that is measured on: namespaces of one's own on this kernel, gone when it is dropped.
//!
//! ```text
//! client 192.168.1.2 -- 192.168.1.1 [a] 10.0.0.1 -- core 10.0.0.254 -- 10.0.0.2 [b] 10.96.0.1 -- pod 10.96.0.10
//! ```

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Grounds that this process has made.
static MADE: AtomicU32 = AtomicU32::new(0);

/// How long a program may take to listen.
const PATIENCE: Duration = Duration::from_secs(5);

/// The places, in the order in which they are made.
pub const PLACES: [&str; 5] = ["client", "a", "core", "b", "pod"];

/// Every interface, with its place. `ip` takes the short names `a` and `br` for words of its own.
const INTERFACES: [(&str, &str); 8] = [
    ("client", "site"),
    ("a", "site"),
    ("a", "wan"),
    ("core", "to-a"),
    ("core", "to-b"),
    ("b", "wan"),
    ("b", "site"),
    ("pod", "site"),
];

/// Namespaces and links.
#[derive(Debug)]
pub struct Ground {
    /// The process, and how many grounds it had made before.
    id: (u32, u32),
    program: PathBuf,
}

impl Ground {
    /// Makes namespaces and links; with offloads off, no link of them merges or segments packets. `program` is xr-lisp.
    pub fn make(offloads: bool, program: PathBuf) -> anyhow::Result<Self> {
        let ground = Self {
            id: (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed)),
            program,
        };
        ground.remove();
        let name = |place: &str| ground.name(place);
        let mut lines = String::new();
        for place in PLACES {
            lines += &format!("netns add {}\n", name(place));
        }
        for (near, near_link, far, far_link) in [
            ("client", "site", "a", "site"),
            ("a", "wan", "core", "to-a"),
            ("core", "to-b", "b", "wan"),
            ("b", "site", "pod", "site"),
        ] {
            lines += &format!(
                "link add name {near_link} netns {} type veth peer name {far_link} netns {}\n",
                name(near),
                name(far)
            );
        }
        batch(None, &lines)?;
        for (place, lines) in [
            (
                "client",
                "address add 192.168.1.2/24 dev site\nlink set site up\nroute add default via 192.168.1.1\n",
            ),
            (
                "a",
                "address add 192.168.1.1/24 dev site\nlink set site up\naddress add 10.0.0.1/24 dev wan\nlink set wan up\n\
                 route add default via 10.0.0.254\n",
            ),
            (
                "core",
                "link add name lan type bridge\nlink set to-a master lan up\nlink set to-b master lan up\n\
                 address add 10.0.0.254/24 dev lan\nlink set lan up\n",
            ),
            (
                "b",
                "address add 10.0.0.2/24 dev wan\nlink set wan up\naddress add 10.96.0.1/24 dev site\nlink set site up\n\
                 route add default via 10.0.0.254\n",
            ),
            (
                "pod",
                "address add 10.96.0.10/24 dev site\nlink set site up\nroute add default via 10.96.0.1\n",
            ),
        ] {
            batch(Some(&name(place)), &format!("link set lo up\n{lines}"))?;
        }
        for place in ["a", "core", "b"] {
            for key in [
                "ip_forward=1",
                "conf.all.rp_filter=0",
                "conf.default.rp_filter=0",
            ] {
                ground.call(place, "sysctl", &["-qw", &format!("net.ipv4.{key}")])?;
            }
        }
        let switch = if offloads { "on" } else { "off" };
        for (place, link) in INTERFACES {
            ground.call(
                place,
                "ethtool",
                &["-K", link, "tso", switch, "gso", switch, "gro", switch],
            )?;
        }
        Ok(ground)
    }

    fn name(&self, place: &str) -> String {
        let (process, number) = self.id;
        format!("xrlisp{process}-{number}-{place}")
    }

    /// The path of xr-lisp.
    pub fn program(&self) -> anyhow::Result<&str> {
        self.program.to_str().context("the path of xr-lisp is text")
    }

    /// A program that will run in a place.
    pub fn command(&self, place: &str, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(place), program]);
        command
    }

    /// Runs a program in a place and returns what it printed.
    pub fn call(&self, place: &str, program: &str, args: &[&str]) -> anyhow::Result<String> {
        let output = self
            .command(place, program)
            .args(args)
            .stdin(Stdio::null())
            .output();
        let output = output.with_context(|| format!("cannot start ip netns exec ... {program}"))?;
        if !output.status.success() {
            bail!(
                "{program} {} in {place}: {}: {}{}",
                args.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim(),
                String::from_utf8_lossy(&output.stdout).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts a program in a place; it ends with what is returned.
    pub fn start(&self, place: &str, program: &str, args: &[&str]) -> anyhow::Result<Running> {
        let mut command = self.command(place, program);
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        Ok(Running(child))
    }

    /// Waits until somebody listens on a port in a place; `protocol` is the option of `ss`: `-t` or `-u`.
    pub fn await_listener(&self, place: &str, protocol: &str, port: &str) -> anyhow::Result<()> {
        let start = Instant::now();
        let filter = format!("sport = :{port}");
        while self
            .call(place, "ss", &["-Hln", protocol, &filter])?
            .is_empty()
        {
            if start.elapsed() > PATIENCE {
                bail!("nobody listens on port {port} in {place}");
            }
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Adds what `ip -batch` reads, in a place.
    pub fn configure(&self, place: &str, lines: &str) -> anyhow::Result<()> {
        batch(Some(&self.name(place)), lines)
    }

    fn remove(&self) {
        for place in PLACES {
            // One that is not there needs no removing.
            let _ = Command::new("ip")
                .args(["netns", "delete", &self.name(place)])
                .stderr(Stdio::null())
                .status();
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A program that ends with this value.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Whether the program has ended already.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Running {
    /// Asks the program to end, and waits until it has.
    pub fn end(mut self) -> anyhow::Result<()> {
        let process = nix::unistd::Pid::from_raw(i32::try_from(self.0.id())?);
        nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGTERM)?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // `ip netns exec` becomes the program, so that this is the program itself. One that has ended cannot be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn batch(namespace: Option<&str>, lines: &str) -> anyhow::Result<()> {
    let mut command = Command::new("ip");
    if let Some(namespace) = namespace {
        command.args(["-netns", namespace]);
    }
    let mut ip = command
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start ip, of the package iproute2")?;
    ip.stdin
        .take()
        .context("ip has an input")?
        .write_all(lines.as_bytes())?;
    let output = ip.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "ip refused a line of\n{lines}  because: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
