//! Why isolation in namespaces failed, and how to fix it.

use std::fs;
use std::io;

use nix::errno::Errno;
use thiserror::Error;

/// Isolation in namespaces failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EnterError {
    /// The caller has more than one thread already.
    #[error(
        "cannot enter namespaces from a program of {threads} threads; call isolate::enter first thing in main"
    )]
    Threads {
        /// How many there are.
        threads: usize,
    },
    /// The kernel refused namespaces.
    #[error("cannot make namespaces of our own: {step}: {source}; {remedy}")]
    Refused {
        step: Step,
        source: Errno,
        remedy: String,
    },
    /// The runner's own network could not be set up.
    #[error("cannot set up the network inside: {0}")]
    Network(String),
    /// A directory or mount inside could not be made.
    #[error("cannot set up {what} inside: {source}")]
    Mount {
        /// The directory or mount.
        what: &'static str,
        source: io::Error,
    },
    /// The port outside could not be opened; the error says why in full.
    #[error(transparent)]
    Outside(io::Error),
    /// Something that works on any machine did not.
    #[error("cannot start the guard's processes: {0}")]
    Guard(#[from] io::Error),
}

/// A step on the way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Namespaces,
    /// Mapping the caller to root in its user namespace.
    Map,
    /// Cutting the mounts off from the host's.
    Private,
    /// A `/proc` for the new process numbers.
    Proc,
    Start,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Namespaces => "making them",
            Self::Map => "mapping this user to root in its user namespace",
            Self::Private => "making mounts private",
            Self::Proc => "mounting /proc",
            Self::Start => "running this program again",
        })
    }
}

/// The kernel's settings that can forbid user namespaces; none where the kernel does not know one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings {
    /// Debian's sysctl `kernel.unprivileged_userns_clone`.
    pub(crate) debian_clone: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`, Ubuntu's since 24.04.
    pub(crate) apparmor: Option<u64>,
    /// The sysctl `user.max_user_namespaces`.
    pub(crate) max: Option<u64>,
    /// A limit on namespaces of another kind that is 0, which the kernel tells by `ENOSPC`.
    pub(crate) none_of: Option<&'static str>,
}

/// The limits on the other kinds of namespaces that are made here.
const LIMITS: [&str; 3] = [
    "user.max_net_namespaces",
    "user.max_mnt_namespaces",
    "user.max_pid_namespaces",
];

impl Settings {
    pub(crate) fn read() -> Self {
        let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse().ok();
        Self {
            debian_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            max: number("/proc/sys/user/max_user_namespaces"),
            none_of: LIMITS
                .into_iter()
                .find(|limit| number(&format!("/proc/sys/{}", limit.replace('.', "/"))) == Some(0)),
        }
    }

    /// What lets this user make namespaces, as far as the settings and what the kernel answered tell.
    pub(crate) fn remedy(self, refused: Errno) -> &'static str {
        if refused == Errno::ENOSPC {
            return match self.none_of {
                Some("user.max_net_namespaces") => {
                    "allow network namespaces: sudo sysctl -w user.max_net_namespaces=15000"
                }
                Some("user.max_mnt_namespaces") => {
                    "allow mount namespaces: sudo sysctl -w user.max_mnt_namespaces=15000"
                }
                Some(_) => "allow process namespaces: sudo sysctl -w user.max_pid_namespaces=15000",
                None if self.max == Some(0) => {
                    "run as root, or allow user namespaces: sudo sysctl -w user.max_user_namespaces=15000"
                }
                None => {
                    "a limit on namespaces is reached, which is no matter of disks: end what else makes them, or raise the limits \
                     that `sysctl user` shows"
                }
            };
        }
        if self.debian_clone == Some(0) {
            "run as root, or allow user namespaces: sudo sysctl -w kernel.unprivileged_userns_clone=1"
        } else if self.max == Some(0) {
            "run as root, or allow user namespaces: sudo sysctl -w user.max_user_namespaces=15000"
        } else if self.apparmor == Some(1) {
            "run as root, or lift AppArmor's restriction: \
             sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        } else {
            "run as root; in a container, give it CAP_SYS_ADMIN or a seccomp profile that lets clone and unshare make \
             user namespaces"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_is_that_of_the_setting_that_forbids() {
        let open = Settings {
            debian_clone: Some(1),
            apparmor: Some(0),
            max: Some(1000),
            none_of: None,
        };
        let cases = [
            (
                Settings {
                    debian_clone: Some(0),
                    ..open
                },
                "unprivileged_userns_clone=1",
            ),
            (
                Settings {
                    max: Some(0),
                    ..open
                },
                "max_user_namespaces",
            ),
            (
                Settings {
                    apparmor: Some(1),
                    ..open
                },
                "apparmor_restrict",
            ),
            (open, "container"),
            (Settings::default(), "container"),
        ];
        for (settings, word) in cases {
            let said = settings.remedy(Errno::EPERM);
            assert!(said.contains(word), "{settings:?}");
        }
    }

    #[test]
    fn a_limit_that_is_reached_is_named_and_not_taken_for_a_full_disk() {
        for limit in LIMITS {
            let settings = Settings {
                none_of: Some(limit),
                ..Settings::default()
            };
            let remedy = settings.remedy(Errno::ENOSPC);
            assert!(remedy.contains(&format!("{limit}=15000")), "{remedy}");
        }
        let forbidden = Settings {
            max: Some(0),
            ..Settings::default()
        };
        assert!(
            forbidden
                .remedy(Errno::ENOSPC)
                .contains("max_user_namespaces")
        );
        let used_up = Settings::default().remedy(Errno::ENOSPC);
        assert!(used_up.contains("no matter of disks"), "{used_up}");
    }
}
