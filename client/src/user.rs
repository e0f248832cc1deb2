//! Who the client says it is to a server that asks.

use service::{ConfigError, PasswordArgs, Secret};
use settings::QUIC_SCHEME;

const ORIGIN: &str = "--user (XR_RTSP_USER)";

const NOBODY_ASKS: &str = "a roq:// server asks nobody who one is";
const LEAVE_OUT: &str = "Leave user and password out, or play from an rtsp:// or rtsps:// address.";

/// The user's name and where its password comes from; flatten it into the program's own arguments.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "User")]
pub struct UserArgs {
    /// Name for an RTSP server that asks who one is. The password goes as the server asks for it: by Digest hidden, by Basic readable for
    /// whoever is on the way, unless the address is rtsps://.
    #[arg(long, env = "XR_RTSP_USER", value_name = "NAME")]
    pub user: Option<String>,

    #[command(flatten)]
    pub password: PasswordArgs,
}

/// A user of RTSP servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub password: Secret,
}

impl UserArgs {
    /// The user for an address of this scheme; none where none is given.
    ///
    /// # Errors
    /// A name without a password or the other way round, one that cannot be read or sent, and either where nobody asks.
    pub fn load(&self, scheme: &str) -> Result<Option<User>, ConfigError> {
        let password = self.password.load()?;
        let Some(name) = &self.user else {
            return match password {
                None => Ok(None),
                Some(_) if scheme == QUIC_SCHEME => {
                    Err(self.password.wrong(NOBODY_ASKS, LEAVE_OUT))
                }
                Some(_) => Err(self.password.wrong(
                    "it is the password of a user, and no user is given",
                    "Give its name with --user (XR_RTSP_USER), or leave this out.",
                )),
            };
        };
        let wrong = |why, remedy| ConfigError::new(ORIGIN, name, why, remedy);
        if scheme == QUIC_SCHEME {
            return Err(wrong(NOBODY_ASKS, LEAVE_OUT));
        }
        // Basic ends the name at a colon; Digest puts it between quotes, of which rtspsrc escapes none.
        if name.is_empty() || name.contains([':', '"', '\\']) || name.chars().any(char::is_control)
        {
            return Err(wrong(
                "a name is not empty and has no colon, quote, backslash or control character, which RTSP cannot carry",
                "Use another user of the server.",
            ));
        }
        let password = password.ok_or_else(|| {
            wrong(
                "it has no password",
                "Name the file that holds it with --password-file (XR_PASSWORD_FILE), or set XR_PASSWORD.",
            )
        })?;
        Ok(Some(User {
            name: name.clone(),
            password,
        }))
    }
}
