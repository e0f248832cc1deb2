//! From `main` to the exit code.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};
use service::{ConfigError, Shutdown, exit};
use testbed::local::isolate::{self, Entered, Terminal};

use crate::cli::{Cli, Command};
use crate::compare::BadInput;
use crate::run::Interrupted;
use crate::{calibrate, collect, doctor, lab, run};

/// As a shell says of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// How long `collect` may drain.
const GRACE: Duration = service::drain::GRACE;

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
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
    service::logs::init(&cli.log, cli.log_format);
    let code = match start(cli.command) {
        Ok(code) => {
            service::logs::finish("");
            code
        }
        Err(error) => {
            let mut text = format!("error: {error}\n");
            for cause in error.chain().skip(1) {
                text.push_str("  because: ");
                text.push_str(&cause.to_string());
                text.push('\n');
            }
            service::logs::finish(&text);
            code_of(&error)
        }
    };
    ExitCode::from(code)
}

fn code_of(error: &anyhow::Error) -> u8 {
    if error.is::<Interrupted>() {
        INTERRUPTED
    } else if error.is::<BadInput>() {
        exit::BAD_INPUT
    } else if error
        .chain()
        .any(<dyn std::error::Error + 'static>::is::<ConfigError>)
    {
        exit::USAGE
    } else {
        exit::START
    }
}

fn start(command: Command) -> anyhow::Result<u8> {
    // These need no runtime, and the worker must not have one: it is one engine on one thread.
    match command {
        Command::OcrWorker(args) => return args.run().map(|()| exit::OK),
        Command::Ocr(args) => return args.run().map(|()| exit::OK),
        Command::Report(args) => return args.run().map(|()| exit::OK),
        Command::WanLink(args) => return args.run().map(|()| exit::OK),
        Command::Compare(args) => return args.run(),
        Command::Completions { shell } => return completions(shell).map(|()| exit::OK),
        Command::Lab(args) if args.print => return lab::cli::show(&args).map(|()| exit::OK),
        _ => {}
    }
    // Before the first thread: whoever needs a lab runs again in namespaces of its own.
    let isolation = match terminal_of(&command)? {
        None => None,
        Some(terminal) => match isolate::enter(terminal)? {
            Entered::Ended(code) => return Ok(code),
            Entered::Inside(isolation) => Some(isolation),
        },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let shutdown = Shutdown::from_signals()?;
        match command {
            Command::Run(args) => run::run(args, isolation, shutdown).await.map(|()| exit::OK),
            Command::Lab(args) => lab::cli::run(args, shutdown).await,
            Command::Calibrate(args) => {
                let holds = calibrate::cli::run(args, isolation, shutdown).await?;
                Ok(if holds { exit::OK } else { exit::START })
            }
            Command::Collect(args) => {
                drained(collect::cli::run(args, shutdown.clone()), &shutdown).await
            }
            Command::Doctor(args) => doctor::run(args).await,
            Command::Ocr(_)
            | Command::OcrWorker(_)
            | Command::Report(_)
            | Command::WanLink(_)
            | Command::Compare(_)
            | Command::Completions { .. } => Ok(exit::OK),
        }
    });
    // Strips that are being read when somebody presses Ctrl-C are left.
    runtime.shutdown_timeout(Duration::from_millis(300));
    result
}

/// Whether the command needs namespaces of its own, and what it does with the terminal.
fn terminal_of(command: &Command) -> anyhow::Result<Option<Terminal>> {
    Ok(match command {
        Command::Run(args) if args.needs_lab()? => Some(Terminal::Shared),
        Command::Lab(args) if args.command.is_empty() => Some(Terminal::Given),
        Command::Lab(_) | Command::Calibrate(_) => Some(Terminal::Shared),
        _ => None,
    })
}

/// Bounds the drain.
async fn drained(
    work: impl Future<Output = anyhow::Result<()>>,
    shutdown: &Shutdown,
) -> anyhow::Result<u8> {
    let late = async {
        shutdown.fired().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        biased;
        done = work => done.map(|()| exit::OK),
        () = late => Err(anyhow::anyhow!("not drained {} s after the signal", GRACE.as_secs())),
    }
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "xrbench", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(())
}
