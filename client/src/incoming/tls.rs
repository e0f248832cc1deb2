//! RTSP over TLS. rtspsrc has it from GIO, and so has the probe: what the one believes, the other does.

use std::path::{Path, PathBuf};

use gio::prelude::*;
use gstreamer as gst;
use gstreamer::glib;

/// A reason for which no stream can be taken over TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// GIO loads TLS at run time, and has found nothing to load.
    #[error(
        "GIO has no TLS on this machine, which an rtsps:// address needs; install it: apt-get install glib-networking"
    )]
    Missing,
    /// The authorities cannot be used.
    #[error("{} of --tls-ca (XR_TLS_CA): {why}", path.display())]
    Authorities {
        path: PathBuf,
        /// What GIO or the system said.
        why: String,
    },
}

/// Makes this process believe the authorities in the PEM file `ca`, and no others; without a file, those of the system.
pub fn believe(ca: Option<&Path>) -> Result<(), Error> {
    let backend = gio::TlsBackend::default();
    if !backend.supports_tls() {
        return Err(Error::Missing);
    }
    let Some(path) = ca else { return Ok(()) };
    let failed = |why: String| Error::Authorities {
        path: path.to_owned(),
        why,
    };
    // GIO takes no other path.
    let absolute = std::path::absolute(path).map_err(|error| failed(error.to_string()))?;
    let authorities =
        gio::TlsFileDatabase::new(absolute).map_err(|error| failed(error.to_string()))?;
    // rtspsrc's own property `tls-database` would be asked second, after the authorities of the system.
    backend.set_default_database(Some(&authorities));
    Ok(())
}

/// Has `refuse` told why a certificate is not believed, of which rtspsrc itself says that there was a "Generic error".
pub(super) fn explain(source: &gst::Element, refuse: impl Fn(String) + Send + Sync + 'static) {
    source.connect("accept-certificate", false, move |values| {
        let wrong = values
            .get(3)
            .map(glib::Value::get::<gio::TlsCertificateFlags>);
        if let Some(Ok(wrong)) = wrong {
            refuse(distrust(wrong));
        }
        // Nobody may overrule it.
        Some(false.to_value())
    });
}

/// What is wrong with a certificate, and what to do about it.
fn distrust(wrong: gio::TlsCertificateFlags) -> String {
    use gio::TlsCertificateFlags as Flags;

    let told = [
        (
            Flags::UNKNOWN_CA,
            "no authority that is believed has signed it; name the file of the one that has with --tls-ca (XR_TLS_CA)",
        ),
        (
            Flags::BAD_IDENTITY,
            "it is not for the host of the address; use a name of the certificate, or give the server one whose subjectAltName has this name",
        ),
        (
            Flags::NOT_ACTIVATED,
            "it is not valid yet; set this host's clock, or that of the host where it was made",
        ),
        (
            Flags::EXPIRED,
            "it has expired; renew it, or set this host's clock",
        ),
        (
            Flags::REVOKED,
            "it was revoked; give the server another one",
        ),
        (
            Flags::INSECURE,
            "it is made with an algorithm that is too weak; give the server another one",
        ),
        (
            Flags::GENERIC_ERROR,
            "it is unsound; docs/security.md shows how one is made",
        ),
    ];
    let reasons = told.iter().filter(|(flag, _)| wrong.contains(*flag));
    let reasons: Vec<_> = reasons.map(|(_, why)| *why).collect();
    format!(
        "the server's certificate is not trusted: {}",
        reasons.join("; ")
    )
}

/// How many bytes of an answer are enough to know it.
pub(super) const HEAD: usize = 5;

/// Sends `request` to a server over TLS, and gives the beginning of what it answers. Whoever drops the future ends the connection.
pub(super) async fn exchange(
    host: &str,
    port: u16,
    request: String,
) -> Result<[u8; HEAD], glib::Error> {
    let given_up = gio::Cancellable::new();
    let guard = Guard(given_up.clone());
    let host = host.to_owned();
    // GIO's own way not to block is a main loop.
    let asked = tokio::task::spawn_blocking(move || ask(&host, port, &request, &given_up));
    let answer = asked.await;
    drop(guard);
    answer.unwrap_or_else(|error| {
        Err(glib::Error::new(
            gio::IOErrorEnum::Failed,
            &error.to_string(),
        ))
    })
}

fn ask(
    host: &str,
    port: u16,
    request: &str,
    given_up: &gio::Cancellable,
) -> Result<[u8; HEAD], glib::Error> {
    let client = gio::SocketClient::new();
    client.set_tls(true);
    client.set_enable_proxy(false);
    let connection = SocketClientExt::connect(
        &client,
        &gio::NetworkAddress::new(host, port),
        Some(given_up),
    )?;
    let sent = connection
        .output_stream()
        .write_all(request.as_bytes(), Some(given_up))?;
    let mut head = [0; HEAD];
    let read = connection
        .input_stream()
        .read_all(&mut head, Some(given_up))?;
    if let Some(error) = sent.1.or(read.1) {
        return Err(error);
    }
    Ok(head)
}

/// Ends what is under way where nobody waits for it any more.
struct Guard(gio::Cancellable);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

#[cfg(test)]
mod tests {
    use gio::TlsCertificateFlags as Flags;

    use super::*;

    #[test]
    fn every_fault_of_a_certificate_has_words() {
        for flag in Flags::VALIDATE_ALL.iter() {
            let why = distrust(flag);
            assert!(
                why.contains("not trusted: it ") || why.contains("no authority"),
                "{flag:?}: {why}"
            );
        }
        let both = distrust(Flags::UNKNOWN_CA | Flags::EXPIRED);
        assert!(
            both.contains("--tls-ca") && both.contains("expired"),
            "{both}"
        );
    }
}
