//! Logs: lines on stderr, so that stdout stays for what was asked for.

use std::fmt;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;

/// Which events are logged: `info`, or directives such as `info,xr_streamer=debug`. Checked when it is parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(String);

impl Default for Filter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        EnvFilter::try_new(text).map_err(|error| {
            format!("{error}; use error, warn, info, debug, trace or off, or directives such as info,streamer=debug")
        })?;
        Ok(Self(text.to_owned()))
    }
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// Sends events to stderr from now on. Only the first call has an effect.
pub fn init(filter: &Filter, format: Format) {
    use std::io::IsTerminal as _;

    let filter = EnvFilter::new(&filter.0);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second call finds the first one's subscriber, which is the one that is wanted.
    let _ = match format {
        Format::Text => builder.try_init(),
        Format::Json => builder.json().try_init(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_checked_early() {
        assert_eq!(
            "info,streamer=debug".parse::<Filter>().unwrap().to_string(),
            "info,streamer=debug"
        );
        assert!(
            "streamer=loud"
                .parse::<Filter>()
                .unwrap_err()
                .contains("use error, warn")
        );
    }
}
