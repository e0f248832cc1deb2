//! How a thread is scheduled beside others.

use nix::libc;

/// Puts the calling thread before every ordinary one, with this priority (1 to 99) among the real-time ones; false where
/// that is not allowed.
pub fn schedule(priority: i32) -> bool {
    set(libc::SCHED_FIFO, priority)
}

/// Gives the calling thread its fair share of time, and no part in it before others: it interrupts nobody when it wakes, and
/// whoever else wakes interrupts it. False where that is not allowed.
pub fn give_way() -> bool {
    set(libc::SCHED_BATCH, 0)
}

fn set(policy: libc::c_int, priority: i32) -> bool {
    let param = libc::sched_param {
        sched_priority: priority,
    };
    #[expect(unsafe_code, reason = "neither nix nor rustix has the call")]
    // SAFETY: the call reads one struct that lives until it returns, and concerns this thread only.
    let answer = unsafe { libc::sched_setscheduler(0, policy, &raw const param) };
    answer == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_gives_way_is_of_the_class_that_does() {
        // A thread of its own, which no other test has.
        let policy = std::thread::spawn(|| {
            assert!(give_way(), "every user may");
            #[expect(unsafe_code, reason = "neither nix nor rustix has the call")]
            // SAFETY: it reads what the kernel knows of this thread.
            unsafe {
                libc::sched_getscheduler(0)
            }
        });
        assert_eq!(policy.join().expect("no panic"), libc::SCHED_BATCH);
    }
}
