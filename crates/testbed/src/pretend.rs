//! Programs of root that give their rights up, run by a root who is the only user of its namespace.
//!
//! An ordinary user's namespace holds one user and no right to change groups. tcpdump, which gives root up before it writes
//! its file, would fail there. In such a namespace the calls by which a program becomes another user succeed without effect.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::libc;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

/// The calls that change the user or the groups of a process.
const CALLS: [i64; 9] = [
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
];

/// Is this a namespace of one user, who may not change groups?
pub fn is_needed() -> bool {
    fs::read_to_string("/proc/self/setgroups").is_ok_and(|says| says.trim() == "deny")
}

/// Lets the command believe that it becomes another user, where it cannot. Elsewhere this does nothing.
pub fn apply(command: &mut Command) {
    let hook = hook();
    #[expect(unsafe_code, reason = "the one way to run code between fork and exec")]
    // SAFETY: the hook makes two system calls, and allocates nothing.
    unsafe {
        command.pre_exec(hook);
    }
}

/// What the child does between fork and exec.
pub(crate) fn hook() -> impl FnMut() -> io::Result<()> + Send + Sync + 'static {
    let filter = if is_needed() { filter() } else { None };
    move || match &filter {
        None => Ok(()),
        Some(filter) => seccompiler::apply_filter(filter).map_err(|_| io::Error::last_os_error()),
    }
}

/// None on a processor that the crate does not know: the program then fails by itself, and says so.
fn filter() -> Option<BpfProgram> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).ok()?;
    let calls: BTreeMap<i64, Vec<_>> = CALLS.iter().map(|&call| (call, Vec::new())).collect();
    // An error of number 0 is success.
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, SeccompAction::Errno(0), arch);
    filter.ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_one() {
        let filter = filter().expect("a processor that is known");
        assert!(filter.len() > CALLS.len(), "{}", filter.len());
    }
}
