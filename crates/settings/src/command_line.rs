//! The command line of a program, read so that what is said of it holds no secret.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue};
use clap::{Command, Error, Parser};

use crate::address::address_without_password;
use crate::launch::{launch_without_secrets, without_secrets};
use crate::variable::name_variable;

/// Reads the command line of this process.
///
/// # Errors
/// The parser's, for `print`. It names the variable that a refused value came from, and has `***` for passwords: it goes where logs go.
/// So does the help, which shows what variables hold.
pub fn parse_command_line<C: Parser>() -> Result<C, Error> {
    parse_from(std::env::args_os(), variable)
}

/// A variable of the environment.
fn variable(name: &OsStr) -> Option<OsString> {
    std::env::var_os(name)
}

fn parse_from<C: Parser>(
    words: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&OsStr) -> Option<OsString> + Copy,
) -> Result<C, Error> {
    let words: Vec<_> = words.into_iter().collect();
    let mut command = hide_values(C::command(), variable);
    let parsed = command.clone().try_get_matches_from(&words);
    let parsed = parsed.and_then(|mut matches| {
        C::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
    });
    parsed.map_err(|mut error| {
        let given = words.iter().skip(1);
        name_variable(&mut error, command, given, |name| variable(name).is_some());
        hide_secrets(error)
    })
}

/// Lets the help show no variable that holds a secret.
fn hide_values(command: Command, variable: impl Fn(&OsStr) -> Option<OsString> + Copy) -> Command {
    let command = command.mut_args(|arg| {
        let value = arg.get_env().and_then(variable);
        let hides = value.is_some_and(|value| {
            let value = value.to_string_lossy();
            shown(&value) != value
        });
        if hides {
            arg.hide_env_values(true)
        } else {
            arg
        }
    });
    command.mut_subcommands(|command| hide_values(command, variable))
}

/// The value of an option, without what is secret in it: a launch line may lack the word that says so.
fn shown(value: &str) -> String {
    let shown = if value.contains(char::is_whitespace) {
        launch_without_secrets(value).into()
    } else {
        without_secrets(value)
    };
    address_without_password(&shown).into_owned()
}

/// The error without the secrets of the values that it repeats, whoever repeats them.
fn hide_secrets(mut error: Error) -> Error {
    if !error.use_stderr() {
        return error;
    }
    let repeated: Vec<(ContextKind, String)> = error
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(value) => Some((kind, value.clone())),
            _ => None,
        })
        .filter(|(_, value)| shown(value) != *value)
        .collect();
    for (kind, value) in &repeated {
        error.insert(*kind, ContextValue::String(shown(value)));
    }
    // A value stands in tips, too, and in what the option's own parser says.
    let text = error.render().to_string();
    let mut said = text.clone();
    for (_, value) in &repeated {
        said = said.replace(value.as_str(), &shown(value));
    }
    let said = without_secrets(&said);
    if said == text {
        return error;
    }
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    Error::raw(error.kind(), said)
}

#[cfg(test)]
mod tests {
    use clap::{Args, CommandFactory as _};

    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "program")]
    enum Program {
        Run(Options),
    }

    #[derive(Debug, Args)]
    struct Options {
        #[arg(long)]
        port: Option<u16>,
        #[arg(long, env = "XR_ODD", value_parser = odd)]
        odd: Option<String>,
        #[arg(long, env = "XR_FEED")]
        feed: Option<String>,
    }

    fn odd(value: &str) -> Result<String, String> {
        Err(format!("'{value}' is odd"))
    }

    fn said(words: &[&str], variables: &[(&str, &str)]) -> String {
        let variable = |name: &OsStr| {
            let found = variables.iter().find(|(one, _)| *one == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let words = ["program"].iter().chain(words).map(OsString::from);
        let error = parse_from::<Program>(words, variable).expect_err("refused");
        error.to_string()
    }

    #[test]
    fn an_error_repeats_no_password() {
        for (words, part) in [
            (&["run", "--port", "http://me:secret@h/a"][..], "***@h/a"),
            (&["run", "--port", "me:secret@h:1"], "***@h:1"),
            (&["run", "--port", "n=me:secret@h:1"], "***@h:1"),
            (
                &["run", "--port", "gst:rtspsrc user-pw=secret"],
                "user-pw=***",
            ),
            (&["run", "--port", "rtspsrc user-pw=secret"], "user-pw=***"),
            // The option's own parser repeats it.
            (&["run", "--odd", "me:secret@h:1"], "'***@h:1' is odd"),
            (
                &["run", "--odd", "gst:x user-pw=secret"],
                "'gst:x user-pw=*** is odd",
            ),
            // No option at all.
            (&["run", "rtsp://me:secret@cam"], "'rtsp://***@cam'"),
            (&["rtsp://me:secret@cam"], "'rtsp://***@cam'"),
            (&["run", "--rtsp://me:secret@cam"], "***@cam"),
        ] {
            let text = said(words, &[]);
            assert!(!text.contains("secret"), "{text}");
            assert!(text.starts_with("error: ") && text.contains(part), "{text}");
            assert!(!text.starts_with("error: error"), "{text}");
        }
        let text = said(&["run", "--port", "x"], &[]);
        assert!(text.contains("'x'") && text.contains("--port"), "{text}");
    }

    /// What the environment gives is the process's, not the parser's: only whether help shows it is seen here.
    #[test]
    fn help_shows_no_variable_with_a_password() {
        let feed = "http://me:secret@h/feeds/a";
        let mut command = hide_values(Program::command(), |name| {
            (name == "XR_FEED").then(|| OsString::from(feed))
        });
        let run = command.find_subcommand_mut("run").expect("there");
        let hides = |name: &str| {
            let args = run.get_arguments();
            args.filter(|arg| arg.get_id() == name)
                .any(clap::Arg::is_hide_env_values_set)
        };
        assert!(hides("feed") && !hides("odd"));
        assert!(run.render_help().to_string().contains("XR_FEED"));
    }
}
