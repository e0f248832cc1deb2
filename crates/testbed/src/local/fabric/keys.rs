//! The secrets of a lab: WireGuard's keys, and what the parts of a LISP network share.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

/// The secrets that a lab's programs share: keys of WireGuard's tunnels and of a LISP network.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The keys of cluster A's gateway.
    pub a: KeyPair,
    /// The keys of cluster B's gateway.
    pub b: KeyPair,
    /// The secrets of a LISP network.
    pub lisp: LispSecrets,
}

/// What the control plane of LISP shares with each of those that speak to it.
#[derive(Clone, Debug)]
pub struct LispSecrets {
    /// What cluster A's tunnel router signs with.
    pub a: Shared,
    /// What cluster B's tunnel router signs with.
    pub b: Shared,
    /// What the tunnel router of a second streamer's cluster signs with.
    pub c: Shared,
    /// The token that an agent shows to the control plane.
    pub token: Shared,
}

/// A secret text. It never prints itself.
#[derive(Clone)]
pub struct Shared(String);

impl Shared {
    /// Draws a new secret from the system's random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(STANDARD.encode(bytes)))
    }

    /// Takes a text that is known already for a secret.
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text: for a file that only the lab's processes can read.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Keys {
    /// Makes new keys; the error is the kernel's, where it gives no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        Ok(Self {
            a: KeyPair::generate()?,
            b: KeyPair::generate()?,
            lisp: LispSecrets {
                a: Shared::generate()?,
                b: Shared::generate()?,
                c: Shared::generate()?,
                token: Shared::generate()?,
            },
        })
    }
}

/// A private key and what belongs to it, base64 as `wg` takes them. It never prints the private one.
#[derive(Clone)]
pub struct KeyPair {
    private: String,
    public: String,
}

impl KeyPair {
    /// Makes a new key pair.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self::from_bytes(bytes))
    }

    /// The pair of these bytes, clamped as X25519 wants them.
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        // What `wg genkey` does, so that the key is the same one to every reader.
        bytes[0] &= 0xf8;
        bytes[31] = (bytes[31] & 0x7f) | 0x40;
        Self {
            private: STANDARD.encode(bytes),
            public: STANDARD.encode(x25519(bytes, X25519_BASEPOINT_BYTES)),
        }
    }

    /// The private key: for `wg` and nobody else.
    pub fn private(&self) -> &str {
        &self.private
    }

    pub fn public(&self) -> &str {
        &self.public
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_key_is_the_one_that_wg_computes() {
        // From `wg pubkey`.
        let pair = KeyPair::from_bytes([1; 32]);
        assert_eq!(
            pair.private(),
            "AAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAUE="
        );
        assert_eq!(
            pair.public(),
            "pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk="
        );
    }

    #[test]
    fn keys_are_fresh_and_private_ones_are_not_printed() {
        let keys = Keys::generate().expect("random numbers");
        assert_ne!(keys.a.private(), keys.b.private());
        let printed = format!("{keys:?}");
        assert!(printed.contains(keys.a.public()), "{printed}");
        assert!(!printed.contains(keys.a.private()) && !printed.contains(keys.b.private()));
        let LispSecrets { a, b, c, token } = &keys.lisp;
        for secret in [a, b, c, token] {
            assert!(!printed.contains(secret.expose()));
        }
        assert_ne!(a.expose(), b.expose());
    }
}
