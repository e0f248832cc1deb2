//! File descriptors: as many as the system gives, and no promise of more connections than they allow.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::ConfigError;

/// What a service opens beside its connections: logs, runtimes, pipelines, libraries, files.
const RESERVE: u64 = 192;

/// Raises this process's limit of open files to what it may be raised to without asking anybody.
///
/// The soft limit is 1024 on most systems for the sake of programs that use `select`, which none of ours does.
pub(crate) fn raise() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    if soft < hard {
        // The lower limit remains, and is what `check` looks at.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Checks that `connections`, which came from `origin`, can be open at the same time if each takes `each` descriptors.
///
/// # Errors
///
/// When the limit of open files does not allow that many.
pub fn check(origin: &str, connections: usize, each: u64) -> Result<(), ConfigError> {
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((u64::MAX, u64::MAX));
    fits(limit, origin, connections, each)
}

fn fits(limit: u64, origin: &str, connections: usize, each: u64) -> Result<(), ConfigError> {
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX);
    let needed = wanted.saturating_mul(each).saturating_add(RESERVE);
    if needed <= limit {
        return Ok(());
    }
    let most = limit.saturating_sub(RESERVE) / each.max(1);
    let remedy = if most == 0 {
        format!("Raise the limit with `ulimit -n {needed}`.")
    } else {
        format!("Use at most {most}, or raise the limit with `ulimit -n {needed}`.")
    };
    let why = format!("this process may open {limit} files, and that many take {needed}");
    Err(ConfigError::new(
        origin,
        connections.to_string(),
        why,
        remedy,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_is_one_that_fits() {
        let refused =
            |limit| fits(limit, "--max-connections", 512, 3).map_err(|error| error.to_string());
        assert_eq!(refused(512 * 3 + RESERVE), Ok(()));
        let text = refused(1024).expect_err("too few");
        assert!(
            text.contains("Use at most 277, or") && text.contains("ulimit -n 1728"),
            "{text}"
        );
        assert_eq!(fits(1024, "x", 277, 3), Ok(()));
        let text = refused(64).expect_err("far too few");
        assert!(
            !text.contains("at most 0") && text.contains("may open 64 files"),
            "{text}"
        );
    }
}
