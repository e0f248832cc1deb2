//! The network of an experiment: namespaces of its own on this kernel, gone when it is dropped.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Sender;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::layout::Layout;
use crate::told::Told;

/// Test networks that this process has made.
static MADE: AtomicU32 = AtomicU32::new(0);

/// How long a program may take to listen.
const PATIENCE: Duration = Duration::from_secs(5);

/// A network of namespaces and links, on which an experiment runs.
#[derive(Debug)]
pub struct TestNetwork {
    /// The process, and how many networks it had made before.
    id: (u32, u32),
    layout: &'static Layout,
    program: PathBuf,
}

impl TestNetwork {
    /// Makes namespaces and links; with offloads off, no link of them merges or segments packets. `program` is xr-lisp.
    pub fn make(layout: &'static Layout, offloads: bool, program: PathBuf) -> anyhow::Result<Self> {
        let network = Self {
            id: (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed)),
            layout,
            program,
        };
        network.remove();
        let name = |place: &str| network.name(place);
        let mut lines = String::new();
        for &place in layout.places {
            lines += &format!("netns add {}\n", name(place));
        }
        for &[near, near_link, far, far_link] in layout.links {
            lines += &format!(
                "link add name {near_link} netns {} type veth peer name {far_link} netns {}\n",
                name(near),
                name(far)
            );
        }
        batch(None, &lines)?;
        for &(place, lines) in layout.lines {
            batch(Some(&name(place)), &format!("link set lo up\n{lines}"))?;
        }
        for &place in layout.routers {
            let settings = [
                "net.ipv4.ip_forward=1",
                "net.ipv4.conf.all.rp_filter=0",
                "net.ipv4.conf.default.rp_filter=0",
            ];
            network.call(place, "sysctl", &[["-qw"].as_slice(), &settings].concat())?;
        }
        let switch = if offloads { "on" } else { "off" };
        let ends = layout
            .links
            .iter()
            .flat_map(|&[near, near_link, far, far_link]| [(near, near_link), (far, far_link)]);
        for (place, link) in ends {
            network.call(
                place,
                "ethtool",
                &["-K", link, "tso", switch, "gso", switch, "gro", switch],
            )?;
        }
        Ok(network)
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

    /// Starts xr-lisp in a place and hands over what it says under a name; what it logs goes into `NAME.log` of the folder.
    pub fn start_told(
        &self,
        place: &str,
        name: &'static str,
        args: &[&str],
        folder: &Path,
        told: &Sender<(&'static str, Told)>,
    ) -> anyhow::Result<Running> {
        let log = folder.join(format!("{name}.log"));
        let log = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut child = self
            .command(place, self.program()?)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let stdout = child.stdout.take().context("it has an output")?;
        let told = told.clone();
        // It ends with the program's output.
        std::thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            let all = lines.filter_map(|line| serde_json::from_str(&line).ok());
            for one in all {
                if told.send((name, one)).is_err() {
                    return;
                }
            }
        });
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
        for &place in self.layout.places {
            // One that is not there needs no removing.
            let _ = Command::new("ip")
                .args(["netns", "delete", &self.name(place)])
                .stderr(Stdio::null())
                .status();
        }
    }
}

impl Drop for TestNetwork {
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

    /// The number of the process.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Asks the program to end, and waits until it has.
    pub fn end(mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGTERM)?;
        self.0.wait()?;
        Ok(())
    }

    /// Kills the program.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.0.wait()?;
        Ok(())
    }

    /// Stops the program where it is: it hangs.
    pub fn hang(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        // `ip netns exec` becomes the program, so that this is the program itself.
        kill(Pid::from_raw(i32::try_from(self.0.id())?), signal)?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
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
