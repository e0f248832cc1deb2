//! Rights that are only needed to open things are given up before anyone else's bytes are read.

use anyhow::Context as _;
use nix::unistd::{Gid, Uid, geteuid, setgroups, setresgid, setresuid};

/// Becomes this user, with a group of the same number and no others, on every thread of the process; with that go all
/// capabilities. Whoever is not root has nothing to give up, and stays.
pub(crate) fn give_up(user: u32) -> anyhow::Result<()> {
    if user == 0 || !geteuid().is_root() {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
    // glibc carries each of these to all threads, which the system calls themselves do not.
    let become_user = || {
        setgroups(&[])?;
        setresgid(gid, gid, gid)?;
        setresuid(uid, uid, uid)
    };
    become_user().with_context(|| {
        format!("cannot become user {user}, from --user (XR_USER): that takes CAP_SETUID and CAP_SETGID; --user 0 stays root")
    })?;
    // The ops port counts the process's own descriptors, which the change of user has closed to it.
    nix::sys::prctl::set_dumpable(true).context("cannot open /proc/self to this process again")
}
