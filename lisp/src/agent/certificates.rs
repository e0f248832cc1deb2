//! The certificate of the webhook: made here, believed by the API server because its authority is put into the webhook's
//! configuration, and replaced long before it ends. Nothing is written: whoever starts anew makes new ones.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// How far the API server's clock may be behind.
const SKEW: Duration = Duration::from_hours(1);

/// The reason why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoCertificate {
    #[error("a certificate cannot be made: {0}")]
    Made(#[from] rcgen::Error),
    #[error("a certificate that was made cannot be used: {0}")]
    Used(#[from] rustls::Error),
}

/// A certificate, the authority that vouches for it alone, and its time.
#[derive(Clone, Debug)]
struct Made {
    authority: String,
    certified: Arc<CertifiedKey>,
    since: SystemTime,
}

impl Made {
    fn new(names: &[String], life: Duration, now: SystemTime) -> Result<Self, NoCertificate> {
        let valid = |params: &mut CertificateParams, name: &str| {
            (params.not_before, params.not_after) = ((now - SKEW).into(), (now + life).into());
            params.distinguished_name.push(DnType::CommonName, name);
        };
        let mut authority = CertificateParams::default();
        valid(&mut authority, "xr-lisp agent, authority of its webhook");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority_key = KeyPair::generate()?;
        let authority_pem = authority.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(authority, authority_key);

        let mut params = CertificateParams::new(names)?;
        valid(&mut params, "xr-lisp agent, webhook");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        let key: PrivateKeyDer<'_> = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let certified =
            CertifiedKey::new(vec![certificate.der().clone()], any_supported_type(&key)?);
        Ok(Self {
            authority: authority_pem,
            certified: Arc::new(certified),
            since: now,
        })
    }
}

/// The certificate that is shown.
#[derive(Debug)]
pub(crate) struct Shown(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// The certificate that is in use, and the next one while it is being made known. Time is an argument.
#[derive(Debug)]
pub(crate) struct Certificates {
    names: Vec<String>,
    life: Duration,
    shown: Arc<Shown>,
    current: Made,
    next: Option<Made>,
}

impl Certificates {
    /// A certificate for these names and addresses of the webhook, which is replaced when two thirds of its life are over.
    pub(crate) fn new(
        names: Vec<String>,
        life: Duration,
        now: SystemTime,
    ) -> Result<Self, NoCertificate> {
        let current = Made::new(&names, life, now)?;
        let shown = Arc::new(Shown(ArcSwap::new(Arc::clone(&current.certified))));
        Ok(Self {
            names,
            life,
            shown,
            current,
            next: None,
        })
    }

    /// The certificate that the TLS of the webhook shows.
    pub(crate) fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown)
    }

    /// The authorities that the API server is to believe now, in PEM: two while one follows the other.
    pub(crate) fn bundle(&self) -> String {
        let all = [Some(&self.current), self.next.as_ref()];
        all.into_iter()
            .flatten()
            .map(|made| made.authority.as_str())
            .collect()
    }

    /// Makes the next certificate when it is time, also if the clock was set back before the current one began.
    pub(crate) fn on_time(&mut self, now: SystemTime) -> Result<(), NoCertificate> {
        let age = now.duration_since(self.current.since);
        let is_due = age.map_or(true, |age| age >= self.life * 2 / 3);
        if is_due && self.next.is_none() {
            self.next = Some(Made::new(&self.names, self.life, now)?);
        }
        Ok(())
    }

    /// Whether a next certificate waits for being known.
    pub(crate) const fn has_next(&self) -> bool {
        self.next.is_some()
    }

    /// The API server has had [`Certificates::bundle`] for long enough to use it: the next certificate is shown.
    pub(crate) fn made_known(&mut self) {
        if let Some(next) = self.next.take() {
            self.shown.0.store(Arc::clone(&next.certified));
            self.current = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
    use rustls::crypto::ring::default_provider;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, UnixTime};
    use rustls::server::ParsedCertificate;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn believes(bundle: &str, certificates: &Certificates, now: SystemTime) -> bool {
        let mut roots = RootCertStore::empty();
        for one in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
            roots.add(one.unwrap()).unwrap();
        }
        let shown = certificates.shown.0.load();
        let parsed = ParsedCertificate::try_from(&shown.cert[0]).unwrap();
        let name = "xr-lisp-agent.xr-lisp.svc".try_into().unwrap();
        verify_server_name(&parsed, &name).unwrap();
        let now = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap());
        let algorithms = default_provider().signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], now, algorithms).is_ok()
    }

    #[test]
    fn one_follows_the_other_and_each_is_believed_while_it_is_shown() {
        let names = vec![
            "xr-lisp-agent.xr-lisp.svc".to_owned(),
            "10.0.0.1".to_owned(),
        ];
        let begun = SystemTime::UNIX_EPOCH + 20_000 * DAY;
        let mut certificates = Certificates::new(names, 30 * DAY, begun).unwrap();
        let first = certificates.bundle();
        assert!(believes(&first, &certificates, begun));
        certificates.on_time(begun + 19 * DAY).unwrap();
        assert_eq!(certificates.bundle(), first);

        let later = begun + 20 * DAY;
        certificates.on_time(later).unwrap();
        let both = certificates.bundle();
        assert!(both.starts_with(&first) && both.len() > first.len());
        certificates.on_time(later).unwrap();
        assert_eq!(certificates.bundle(), both, "one at a time");
        assert!(believes(&both, &certificates, later), "the first is shown");
        certificates.made_known();
        assert!(believes(&both, &certificates, later), "then the second");
        assert!(!believes(&first, &certificates, later));
        assert!(both.ends_with(&certificates.bundle()));
        assert!(believes(
            &certificates.bundle(),
            &certificates,
            later + 29 * DAY
        ));
        assert!(!believes(
            &certificates.bundle(),
            &certificates,
            later + 31 * DAY
        ));
    }

    #[test]
    fn a_clock_that_goes_back_makes_a_new_one() {
        let begun = SystemTime::UNIX_EPOCH + 20_000 * DAY;
        let mut certificates = Certificates::new(vec!["a".into()], 30 * DAY, begun).unwrap();
        certificates.on_time(begun - 3 * DAY).unwrap();
        assert!(certificates.next.is_some());
    }
}
