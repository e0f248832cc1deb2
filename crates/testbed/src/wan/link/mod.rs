//! The userspace link: a process that carries packets between two TUN devices, late and lossy as a WAN, where the kernel
//! has no netem.
//!
//! It says on its standard output, in lines of JSON, that it is ready (`"event":"ready","program":"wan-link"`, with
//! `scheduling` as `SCHED_FIFO 20` or `SCHED_OTHER`), what it carried in each second (`"event":"wan"`), and all that it
//! carried when SIGTERM or SIGINT ends it (`"event":"wan-total"`). `a_to_b` and `b_to_a` each hold `packets` and `bytes`
//! handed to the far kernel, `lost`, `queue_dropped`, `outage_dropped`, `refused` by the far kernel, `kernel_dropped` before
//! the link could read them, `received`, and `late_us`: how long after its instant the far kernel had a packet, as `p50`,
//! `p99` and `max` in microseconds, or null where none was carried.
//!
//! SIGUSR1 begins an outage of both directions and SIGUSR2 ends it.

mod args;
mod carry;
mod chance;
mod model;
mod queue;
mod report;

use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::Process;
use crate::real_time;
use crate::tun::Tun;
use crate::wan::Direction;
use carry::{Intervals, Lane, Orders};
use report::Line;

pub use args::{ArgsError, LinkArgs, SUBCOMMAND};
pub use model::{Link, Pushed};
pub use queue::Limits;

/// Makes the two devices and carries packets until SIGTERM or SIGINT. It must not be called from an async runtime: it
/// makes its own.
pub fn serve(args: &LinkArgs) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(args))
}

/// Begins or ends an outage of a running link: it carries nothing meanwhile.
pub fn set_outage(link: &Process, begins: bool) {
    link.signal(if begins {
        Signal::SIGUSR1
    } else {
        Signal::SIGUSR2
    });
}

async fn run(args: &LinkArgs) -> io::Result<()> {
    // Before anybody can know that this process is there to be signalled.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut begin_outage = signal(SignalKind::user_defined1())?;
    let mut end_outage = signal(SignalKind::user_defined2())?;

    let a = Arc::new(Tun::make(&args.a, &args.interface, args.mtu)?);
    let b = Arc::new(Tun::make(&args.b, &args.interface, args.mtu)?);
    let link = |direction: Direction, salt| {
        // The two directions have nothing in common, though their seeds do.
        Link::new(
            direction,
            Limits::default(),
            args.seed.wrapping_mul(2) + salt,
        )
    };
    let lanes = [
        Lane::new(Arc::clone(&a), Arc::clone(&b), link(args.a_to_b, 0)),
        Lane::new(b, a, link(args.b_to_a, 1)),
    ];
    let orders = Arc::new(Orders::default());
    let (alarm, wake) = UnixStream::pair()?;
    alarm.set_nonblocking(true)?;
    wake.set_nonblocking(true)?;
    let (send_report, mut reports) = mpsc::channel(2);
    let (give_back, mut spare) = mpsc::channel(2);
    for _ in 0..2 {
        give_back
            .try_send(Box::<Intervals>::default())
            .expect("it holds two");
    }
    let (tell, told) = oneshot::channel();
    let carrier = {
        let orders = Arc::clone(&orders);
        thread::Builder::new()
            .name("wan-link".into())
            .spawn(move || {
                let scheduling = raise()?;
                // Whoever started it waits for this.
                let _ = tell.send(scheduling);
                carry::carry(lanes, &orders, &wake, &send_report, &mut spare)
            })?
    };
    if let Ok(scheduling) = told.await {
        say(&Line::Ready {
            program: SUBCOMMAND,
            interface: &args.interface,
            scheduling,
        });
    }
    let mut total = Intervals::default();
    loop {
        tokio::select! {
            report = reports.recv() => {
                // It has ended, because it was told to or because it failed.
                let Some(mut report) = report else { break };
                let [a_to_b, b_to_a] = &*report;
                say(&Line::Second { a_to_b, b_to_a });
                for (sum, part) in total.iter_mut().zip(report.iter_mut()) {
                    sum.take(part);
                }
                // Nobody takes it back at the end.
                let _ = give_back.try_send(report);
                continue;
            }
            _ = terminate.recv() => orders.stop.store(true, Ordering::Release),
            _ = interrupt.recv() => orders.stop.store(true, Ordering::Release),
            _ = begin_outage.recv() => orders.outage.store(true, Ordering::Release),
            _ = end_outage.recv() => orders.outage.store(false, Ordering::Release),
        }
        // Where it is full, the thread is about to wake anyway.
        let _ = (&alarm).write(&[1]);
    }
    let ended = carrier
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the thread that carries packets failed")));
    let [a_to_b, b_to_a] = &total;
    say(&Line::Total { a_to_b, b_to_a });
    ended
}

/// Whoever closed our standard output does not want the line.
fn say(line: &Line<'_>) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(line.text().as_bytes());
    let _ = stdout.flush();
}

/// Above the timers and services that this project gives a real-time priority, below the kernel's own threads at 50.
const PRIORITY: i32 = 20;

/// How this thread is scheduled from now on: `SCHED_FIFO 20` where that is allowed, else `SCHED_OTHER`, with timers that are
/// not rounded either way.
fn raise() -> io::Result<&'static str> {
    // The kernel joins timers within 50 us of one another to save power, for threads without real-time priority.
    nix::sys::prctl::set_timerslack(1)?;
    Ok(if real_time::schedule(PRIORITY) {
        "SCHED_FIFO 20"
    } else {
        "SCHED_OTHER"
    })
}
