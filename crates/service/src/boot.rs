//! From `main` to the exit code: parse, logs up, configuration checked, runtime, run, drain.

use std::ffi::OsString;
use std::future::Future;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum as _;
use clap_complete::Shell;

use crate::args::Common;
use crate::drain::{GRACE, grace};
use crate::{ConfigError, Shutdown, clock, descriptors, exit, logs};

/// How long tasks that block a thread may hold up the exit once everything else is done.
const BLOCKING_GRACE: Duration = Duration::from_millis(300);

/// Runs a program: `service::boot::run(|args: &Args| &args.common, app::run)`.
///
/// `app` gets the parsed arguments and the [`Shutdown`] that SIGTERM and SIGINT fire. It checks its configuration before
/// it binds a port, and returns a [`ConfigError`] for what is wrong there. After the signal it has [`GRACE`].
pub fn run<C, F, Fut>(common: fn(&C) -> &Common, app: F) -> ExitCode
where
    C: clap::Parser,
    F: FnOnce(C, Shutdown) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    run_with_grace(GRACE, common, app)
}

/// As [`run`], for a program that needs longer than [`GRACE`] to drain, because it first stops others.
pub fn run_with_grace<C, F, Fut>(limit: Duration, common: fn(&C) -> &Common, app: F) -> ExitCode
where
    C: clap::Parser,
    F: FnOnce(C, Shutdown) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    if let Some(shell) = completions_asked(std::env::args_os().skip(1)) {
        return print_completions::<C>(shell);
    }
    let args = match settings::parse_command_line::<C>() {
        Ok(args) => args,
        Err(error) => {
            // There is nowhere left to say that stderr is closed.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() {
                exit::USAGE
            } else {
                exit::OK
            });
        }
    };
    logs::init(&common(&args).log, common(&args).log_format);
    if let Some(skew) = common(&args).clock_skew {
        clock::set_skew(skew);
        tracing::warn!(
            "this program's clock is wrong by {skew}, as --clock-skew (XR_CLOCK_SKEW) asks"
        );
    }
    forget_proxies();
    descriptors::raise();
    let code = match start(limit, args, app) {
        Ok(()) => {
            logs::finish("");
            exit::OK
        }
        Err(error) => {
            logs::finish(&describe(&error));
            exit_code(&error)
        }
    };
    ExitCode::from(code)
}

/// Takes the proxies out of the environment: a program speaks with whom it is told to, and `GLib` would send RTSP elsewhere.
fn forget_proxies() {
    let is_proxy = |name: &OsString| {
        let name = name.to_string_lossy().to_ascii_lowercase();
        name.ends_with("_proxy")
    };
    let names: Vec<_> = std::env::vars_os()
        .map(|(name, _)| name)
        .filter(is_proxy)
        .collect();
    for name in names {
        #[expect(unsafe_code, reason = "the environment has no other way out of it")]
        // SAFETY: the only other thread is the log's, which reads no variable; the runtime and C libraries start later.
        unsafe {
            std::env::remove_var(&name);
        }
    }
}

fn start<C, F, Fut>(limit: Duration, args: C, app: F) -> anyhow::Result<()>
where
    F: FnOnce(C, Shutdown) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let shutdown = Shutdown::from_signals()?;
        supervise(limit, app(args, shutdown.clone()), &shutdown).await
    });
    runtime.shutdown_timeout(BLOCKING_GRACE);
    result
}

/// Runs `work` to its end, which must come within `limit` of the shutdown.
async fn supervise(
    limit: Duration,
    work: impl Future<Output = anyhow::Result<()>>,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        biased;
        result = work.as_mut() => return result,
        () = shutdown.fired() => {}
    }
    grace("program", limit, work).await.unwrap_or_else(|| {
        Err(anyhow::anyhow!(
            "not drained {} ms after the signal: what was still in flight is lost",
            limit.as_millis()
        ))
    })
}

/// [`exit::USAGE`] when a configuration is the cause, else [`exit::START`].
fn exit_code(error: &anyhow::Error) -> u8 {
    if error
        .chain()
        .any(<dyn std::error::Error>::is::<ConfigError>)
    {
        exit::USAGE
    } else {
        exit::START
    }
}

/// The error, and each cause on a line of its own.
fn describe(error: &anyhow::Error) -> String {
    let causes: Vec<_> = error.chain().map(ToString::to_string).collect();
    format!("error: {}\n", causes.join("\n  because: "))
}

/// The shell of `--completions SHELL`, wherever it stands. Looked for before the parser, which would ask for the
/// program's required arguments first. A shell that is unknown is left to the parser, whose error lists those there are.
fn completions_asked(mut args: impl Iterator<Item = OsString>) -> Option<Shell> {
    while let Some(arg) = args.next() {
        let arg = arg.to_str()?;
        if arg == "--" {
            return None;
        }
        if arg == "--completions" {
            return Shell::from_str(args.next()?.to_str()?, true).ok();
        }
        if let Some(name) = arg.strip_prefix("--completions=") {
            return Shell::from_str(name, true).ok();
        }
    }
    None
}

fn print_completions<C: clap::Parser>(shell: Shell) -> ExitCode {
    let mut command = C::command();
    let name = command
        .get_bin_name()
        .unwrap_or_else(|| command.get_name())
        .to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    match std::io::stdout().lock().write_all(&script) {
        Ok(()) => ExitCode::from(exit::OK),
        Err(_) => ExitCode::from(exit::START),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    fn asked(args: &[&str]) -> Option<Shell> {
        completions_asked(args.iter().map(OsString::from))
    }

    #[test]
    fn completions_need_nothing_else() {
        assert_eq!(asked(&["--completions", "bash"]), Some(Shell::Bash));
        assert_eq!(asked(&["run", "--completions=zsh"]), Some(Shell::Zsh));
        for other in [
            &[][..],
            &["--completions"],
            &["--completions", "tcsh"],
            &["--", "--completions", "bash"],
        ] {
            assert_eq!(asked(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_wrong_configuration_is_told_from_a_failed_start() {
        let wrong = Err::<(), _>(ConfigError::new("--x", "1", "no", "Yes."))
            .context("reading")
            .unwrap_err();
        assert_eq!(exit_code(&wrong), exit::USAGE);
        assert_eq!(
            describe(&wrong),
            "error: reading\n  because: --x is \"1\": no. Yes.\n"
        );
        assert_eq!(exit_code(&anyhow::anyhow!("port")), exit::START);
    }

    #[tokio::test(start_paused = true)]
    async fn the_grace_ends_what_does_not_end() {
        let shutdown = Shutdown::new();
        assert!(supervise(GRACE, async { Ok(()) }, &shutdown).await.is_ok());
        shutdown.begin();
        let drained = async {
            tokio::time::sleep(GRACE / 2).await;
            Ok(())
        };
        assert!(supervise(GRACE, drained, &shutdown).await.is_ok());
        let error = supervise(GRACE, std::future::pending(), &shutdown)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("3000 ms"), "{error}");
    }
}
