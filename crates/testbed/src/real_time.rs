//! Real-time scheduling of a thread.

use nix::libc;

/// Puts the calling thread before every ordinary one, with this priority (1 to 99) among the real-time ones; false where
/// that is not allowed.
pub fn schedule(priority: i32) -> bool {
    let param = libc::sched_param {
        sched_priority: priority,
    };
    #[expect(unsafe_code, reason = "neither nix nor rustix has the call")]
    // SAFETY: the call reads one struct that lives until it returns, and concerns this thread only.
    let answer = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const param) };
    answer == 0
}
