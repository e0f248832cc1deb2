//! A thread that is woken when it asked to be.

use std::io;

/// Above the timers and services that this project gives a real-time priority, below the kernel's own threads at 50.
const PRIORITY: libc::c_int = 20;

/// How this thread is scheduled now: `SCHED_FIFO 20` where that is allowed, else `SCHED_OTHER`, with timers that are not
/// rounded either way.
pub(super) fn raise() -> io::Result<&'static str> {
    // The kernel joins timers within 50 us of one another to save power, for threads without real-time priority.
    nix::sys::prctl::set_timerslack(1)?;
    let param = libc::sched_param {
        sched_priority: PRIORITY,
    };
    #[expect(unsafe_code, reason = "no safe wrapper in what we use")]
    // SAFETY: the call reads one struct that lives until it returns, and concerns this thread only.
    let answer = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const param) };
    Ok(if answer == 0 {
        "SCHED_FIFO 20"
    } else {
        "SCHED_OTHER"
    })
}
