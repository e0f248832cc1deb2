//! How exactly the userspace link keeps its delay: 10 000 packets a second through 5 ms, between two network namespaces of
//! this program's own. It prints what the link says of itself, and what two UDP sockets beyond it see.
//!
//! `cargo run --release -p testbed --example wan_lateness -- [--seconds 10] [--load THREADS] [--both]`; it needs root, or
//! `unshare --user --map-root-user` in front of it. Exit 1 where a bound is missed.

#[path = "../tests/wan/netns.rs"]
mod netns;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeValLike as _;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use testbed::wan::Direction;
use testbed::wan::link::{LinkArgs, SUBCOMMAND, serve};
use timeline::hist::LatencyHistogram;

use netns::{ADDRESSES, Netns, bring_up};

const EVERY: Duration = Duration::from_micros(100);
const DELAY: Duration = Duration::from_millis(5);
const PAYLOAD_BYTES: usize = 1_150;

/// The bounds on how far a packet may be from the delay that was set, in microseconds.
const BOUND_P50_US: u64 = 200;
const BOUND_P99_US: u64 = 1_000;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == SUBCOMMAND) {
        let args = LinkArgs::parse(&args[1]).expect("arguments of ours");
        serve(&args).expect("served");
        return ExitCode::SUCCESS;
    }
    let number = |flag: &str| {
        let at = args.iter().position(|arg| arg == flag)?;
        args.get(at + 1)?.parse::<u64>().ok()
    };
    let seconds = number("--seconds").unwrap_or(10);
    let both = args.iter().any(|arg| arg == "--both");
    if measure(seconds, number("--load").unwrap_or(0), both) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What children that have ended have used, those too that were somebody else's before this program took its process: with
/// `cargo run` they are compilers.
fn children_used_us() -> i64 {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)
        .expect("what they used");
    usage.user_time().num_microseconds() + usage.system_time().num_microseconds()
}

/// Whether the bounds were kept.
fn measure(seconds: u64, load: u64, both: bool) -> bool {
    let namespaces = [Netns::new(), Netns::new()];
    let direction = Direction {
        delay: DELAY,
        ..Direction::default()
    };
    let args = LinkArgs {
        interface: "wan0".into(),
        a: namespaces[0].path(),
        b: namespaces[1].path(),
        mtu: 1_500,
        a_to_b: direction,
        b_to_a: direction,
        seed: 1,
    };
    let program = std::env::current_exe().expect("this program");
    let used_before_us = children_used_us();
    let mut link = Command::new(program);
    link.args([SUBCOMMAND, &args.to_arg()]);
    link.stdout(Stdio::piped());
    let mut link = Killed(link.spawn().expect("the link"));
    let mut lines = BufReader::new(link.0.stdout.take().expect("its output")).lines();
    let ready = lines.next().expect("a line").expect("text");
    say(&ready);
    bring_up(&namespaces, "wan0");

    let load = Load::start(load);
    let packets = seconds * 10_000;
    let (sent, received) = thread::scope(|scope| {
        let flow = |from: usize| {
            let [near, far] = sockets(&namespaces, from);
            let receiver = scope.spawn(move || receive(&far, packets));
            (scope.spawn(move || send(&near, packets)), receiver)
        };
        let mut flows = vec![flow(0)];
        if both {
            flows.push(flow(1));
        }
        let mut sent = LatencyHistogram::new();
        let mut received = Vec::new();
        for (sender, receiver) in flows {
            sent.merge(&sender.join().expect("the sender"))
                .expect("few samples");
            received.push(receiver.join().expect("the receiver"));
        }
        (sent, received)
    });
    let threads = load.threads;
    drop(load);
    let pid = Pid::from_raw(link.0.id().cast_signed());
    kill(pid, Signal::SIGTERM).expect("the link runs");
    let total = lines
        .map(|line| line.expect("text"))
        .find(|line| line.contains("wan-total"))
        .expect("totals");
    assert!(link.0.wait().expect("its end").success());
    let used_us = children_used_us() - used_before_us;

    say(&total);
    say(&format!(
        "link: {:.1} % of one processor; {threads} threads of load",
        used_us as f64 / (seconds as f64 * 1e4)
    ));
    let mut kept = true;
    print("sender behind its schedule", &sent);
    for (kernel, process) in received {
        print("over the delay, kernel", &kernel);
        print("over the delay, process", &process);
        let figures = kernel.figures().expect("packets");
        kept &=
            kernel.count() == packets && figures.p50 <= BOUND_P50_US && figures.p99 <= BOUND_P99_US;
    }
    kept
}

/// A process that does not outlive this.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Threads that use what processor time they get.
struct Load {
    threads: u64,
    stop: Arc<AtomicBool>,
}

impl Load {
    fn start(threads: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..threads {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::black_box((0..1_000_u64).sum::<u64>());
                }
            });
        }
        Self { threads, stop }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn sockets(namespaces: &[Netns; 2], from: usize) -> [UdpSocket; 2] {
    let port = 7_000 + u16::try_from(from).expect("0 or 1");
    let [near, far] = [from, 1 - from].map(|end| {
        let address = (Ipv4Addr::from(ADDRESSES[end]), port);
        namespaces[end]
            .enter(|| UdpSocket::bind(address))
            .expect("a socket")
    });
    near.connect(far.local_addr().expect("bound"))
        .expect("connected");
    setsockopt(&far, sockopt::ReceiveTimestampns, &true).expect("time stamps");
    // As much as the kernel allows; what it does not hold is missing from the count.
    setsockopt(&far, sockopt::RcvBuf, &(4 << 20)).expect("a buffer");
    far.set_read_timeout(Some(Duration::from_secs(1)))
        .expect("a timeout");
    [near, far]
}

/// Before ordinary threads, behind the link.
fn raise() {
    let param = libc::sched_param { sched_priority: 5 };
    #[expect(unsafe_code, reason = "no safe wrapper in what we use")]
    // SAFETY: the call reads one struct that lives until it returns, and concerns this thread only.
    unsafe {
        libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const param);
    }
    nix::sys::prctl::set_timerslack(1).expect("one nanosecond");
}

fn wall() -> Duration {
    clock_gettime(ClockId::CLOCK_REALTIME)
        .expect("the clock")
        .into()
}

/// Sends by a fixed schedule; how late each packet was sent.
fn send(near: &UdpSocket, packets: u64) -> LatencyHistogram {
    raise();
    let mut late = LatencyHistogram::new();
    let mut payload = [0; PAYLOAD_BYTES];
    let began = Instant::now();
    let mut due = Duration::ZERO;
    for _ in 0..packets {
        due += EVERY;
        thread::sleep(due.saturating_sub(began.elapsed()));
        record(&mut late, began.elapsed().saturating_sub(due));
        let now = u64::try_from(wall().as_nanos()).expect("before 2554");
        payload[..8].copy_from_slice(&now.to_le_bytes());
        near.send(&payload).expect("sent");
    }
    late
}

/// How much longer than the delay each packet took, until the kernel had it and until this process had it.
fn receive(far: &UdpSocket, packets: u64) -> (LatencyHistogram, LatencyHistogram) {
    use std::os::fd::AsRawFd as _;
    raise();
    let (mut kernel, mut process) = (LatencyHistogram::new(), LatencyHistogram::new());
    let mut buffer = [0; 2_048];
    let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
    while kernel.count() < packets {
        let mut parts = [std::io::IoSliceMut::new(&mut buffer)];
        let fd = far.as_raw_fd();
        let message = match recvmsg::<()>(fd, &mut parts, Some(&mut control), MsgFlags::empty()) {
            Ok(message) => message,
            Err(Errno::EINTR) => continue,
            // Nothing for a second: the rest is lost, and the count says so.
            Err(_) => break,
        };
        let now = wall();
        let stamp = message.cmsgs().expect("room for it").find_map(|cmsg| {
            if let ControlMessageOwned::ScmTimestampns(at) = cmsg {
                Some(Duration::from(at))
            } else {
                None
            }
        });
        let sent = u64::from_le_bytes(buffer[..8].try_into().expect("eight bytes"));
        let due = Duration::from_nanos(sent) + DELAY;
        let stamp = stamp.expect("a time stamp");
        let over = stamp.checked_sub(due);
        record(&mut kernel, over.expect("no packet comes before its time"));
        record(&mut process, now.saturating_sub(due));
    }
    (kernel, process)
}

fn record(into: &mut LatencyHistogram, time: Duration) {
    into.record(i64::try_from(time.as_micros()).expect("short"));
}

fn print(what: &str, of: &LatencyHistogram) {
    let Some(figures) = of.figures() else {
        return say(&format!("{what}: none"));
    };
    say(&format!(
        "{what}: {} packets, p50 {} us, p99 {} us, max {} us",
        figures.count, figures.p50, figures.p99, figures.max
    ));
}

fn say(line: &str) {
    writeln!(std::io::stdout().lock(), "{line}").expect("somebody reads it");
}
