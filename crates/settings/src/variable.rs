//! The variable of the environment that a refused value came from.

use std::ffi::OsStr;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, Error};

/// Names in a parser's error the variable that the refused value came from, where no word of the command line gave it.
///
/// The parser itself names the flag alone, and whoever gave none looks for it in vain. `words` are those of the command line behind the
/// program's name, `is_set` says whether a variable is in the environment.
pub(crate) fn name_variable<W: AsRef<OsStr>>(
    error: &mut Error,
    mut command: Command,
    words: impl IntoIterator<Item = W>,
    is_set: impl Fn(&OsStr) -> bool,
) {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
        return;
    };
    let words: Vec<String> = words
        .into_iter()
        .map(|word| word.as_ref().to_string_lossy().into_owned())
        .collect();
    command.build();
    let mut command = &command;
    for word in &words {
        command = command.find_subcommand(word).unwrap_or(command);
    }
    let refused = command
        .get_arguments()
        .find(|arg| arg.to_string() == *shown);
    let variable = refused.and_then(|arg| {
        let variable = arg.get_env().filter(|name| is_set(name))?;
        (!words.iter().any(|word| gives(word, arg))).then_some(variable)
    });
    if let Some(variable) = variable {
        let shown = format!("{}, the variable for {shown}", variable.to_string_lossy());
        error.insert(ContextKind::InvalidArg, ContextValue::String(shown));
    }
}

/// Whether a word of the command line gives the argument. One without a flag is taken to be given.
fn gives(word: &str, arg: &Arg) -> bool {
    let name = word.split('=').next().unwrap_or(word);
    let short = arg.get_short().is_some_and(|short| {
        word.strip_prefix('-')
            .is_some_and(|rest| !rest.starts_with('-') && rest.contains(short))
    });
    short
        || match arg.get_long() {
            Some(long) => name.strip_prefix("--") == Some(long),
            None => arg.get_short().is_none(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        let fps = Arg::new("fps").long("fps").env("XR_FPS");
        let fps = fps.value_parser(clap::value_parser!(u32).range(1..=480));
        Command::new("program").subcommand(Command::new("run").arg(fps))
    }

    /// The error of a bad value, with these words and this environment.
    fn said(words: &[&str], variables: &[&str]) -> String {
        let parsed = ["program", "run", "--fps=abc"];
        let mut error = command().try_get_matches_from(parsed).unwrap_err();
        let is_set = |name: &OsStr| variables.iter().any(|one| *one == name);
        name_variable(&mut error, command(), words, is_set);
        error.to_string()
    }

    #[test]
    fn a_value_of_the_environment_is_laid_to_its_variable() {
        let of_variable = said(&["run"], &["XR_FPS"]);
        for part in ["'abc'", "XR_FPS, the variable for --fps <fps>", "--help"] {
            assert!(of_variable.contains(part), "{of_variable}");
        }
        for words in [&["run", "--fps=abc"][..], &["run", "--fps", "abc"]] {
            assert!(!said(words, &["XR_FPS"]).contains("XR_FPS"), "{words:?}");
        }
        assert!(!said(&["run"], &[]).contains("XR_FPS"));
    }
}
