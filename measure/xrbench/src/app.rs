//! From `main` to the exit code.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory as _;
use report::compare::{BadInput, Verdict};
use service::{ConfigError, Shutdown, exit};
use testbed::local::isolate::{self, Entered, Terminal};

use crate::calibrate::cli::CalibrateArgs;
use crate::cli::{Cli, Command};
use crate::doctor::DoctorArgs;
use crate::lab::LabArgs;
use crate::run::place::kube::clean::{self, CleanArgs};
use crate::run::{Entry, Interrupted, RunOptions, page};
use crate::scenario::File;
use crate::{calibrate, doctor, lab, run};
use provision::cli::{ProvisionArgs, Stopped};

/// As a shell says of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match settings::parse_command_line::<Cli>() {
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
    if error.is::<Interrupted>() || error.is::<Stopped>() {
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

/// The commands that need a runtime.
enum Work {
    Run(Box<File>, RunOptions),
    Clean(CleanArgs),
    Lab(LabArgs),
    Calibrate(CalibrateArgs),
    Provision(ProvisionArgs),
    Doctor(DoctorArgs),
}

/// How the later result does, as an exit code.
const fn code_of_comparison(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Equivalent | Verdict::Better => exit::OK,
        Verdict::Regression => exit::START,
        Verdict::Incomparable => exit::BAD_INPUT,
        Verdict::Inconclusive => exit::INCONCLUSIVE,
    }
}

fn start(command: Command) -> anyhow::Result<u8> {
    // Whatever ends here needs no runtime, and the worker must not have one: it is one engine on one thread.
    let work = match command {
        Command::OcrWorker(args) => return args.run().map(|()| exit::OK),
        Command::Ocr(args) => return args.run().map(|()| exit::OK),
        Command::Report(args) => return args.run().map(|()| exit::OK),
        Command::WanLink(args) => return args.run().map(|()| exit::OK),
        Command::LispAgent(args) => return args.run().map(|()| exit::OK),
        Command::Compare(args) => return args.run().map(code_of_comparison),
        Command::Pool(args) => return args.run().map(|()| exit::OK),
        Command::Frames(args) => return args.run().map(|()| exit::OK),
        Command::Completions { shell } => return completions(shell).map(|()| exit::OK),
        Command::Lab(args) if args.print => return lab::show(&args).map(|()| exit::OK),
        Command::Run(args) => {
            let (file, dry_run) = (args.load()?, args.dry_run);
            let options = args.options();
            options.check()?;
            if dry_run {
                return run::print_plan(&file, &options).map(|()| exit::OK);
            }
            Work::Run(Box::new(file), options)
        }
        Command::Clean(args) => Work::Clean(args),
        Command::Lab(args) => Work::Lab(args),
        Command::Calibrate(args) => Work::Calibrate(args),
        Command::Provision(args) => Work::Provision(args),
        Command::Doctor(args) => Work::Doctor(args),
    };
    // Before the first thread: whoever needs a lab runs again in namespaces of its own.
    let page = || page_of(&work).map(page::listen).transpose();
    let entry = match terminal_of(&work) {
        None => Entry {
            isolation: None,
            page: page()?,
        },
        Some(terminal) => match isolate::enter(terminal, page)? {
            Entered::Ended(code) => return Ok(code),
            Entered::Inside(isolation, page) => Entry {
                isolation: Some(isolation),
                page,
            },
        },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let shutdown = Shutdown::from_signals()?;
        match work {
            Work::Run(file, options) => {
                run::run(&file, &options, entry, shutdown).await?;
                Ok(exit::OK)
            }
            Work::Clean(args) => clean::run(args).await.map(|()| exit::OK),
            Work::Lab(args) => lab::run(args, shutdown).await,
            Work::Calibrate(args) => {
                let holds = calibrate::cli::run(args, entry.isolation, shutdown).await?;
                Ok(if holds { exit::OK } else { exit::START })
            }
            Work::Provision(args) => {
                args.run(shutdown).await?;
                Ok(exit::OK)
            }
            Work::Doctor(args) => doctor::run(args).await,
        }
    });
    // Strips that are being read when somebody presses Ctrl-C are left.
    runtime.shutdown_timeout(Duration::from_millis(300));
    result
}

/// The address of the page that shows the work.
const fn page_of(work: &Work) -> Option<SocketAddr> {
    match work {
        Work::Run(_, options) => options.open,
        _ => None,
    }
}

/// What a command that needs namespaces of its own does with the terminal.
fn terminal_of(work: &Work) -> Option<Terminal> {
    match work {
        Work::Run(file, options) if run::needs_lab(file, options) => Some(Terminal::Shared),
        Work::Lab(args) if args.command.is_empty() => Some(Terminal::Given),
        Work::Lab(_) | Work::Calibrate(_) => Some(Terminal::Shared),
        Work::Run(..) | Work::Clean(_) | Work::Provision(_) | Work::Doctor(_) => None,
    }
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "xrbench", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(())
}
