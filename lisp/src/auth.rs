//! Authentication of Map-Registers, Map-Notifies and their acknowledgements (RFC 9301 section 5.6).

use std::fmt;

use hmac::Hmac;
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// Bytes of such a message before its authentication data.
const HEAD_BYTES: usize = 16;

/// The algorithm by which a message is authenticated.
///
/// A MAC covers the whole message, with the xTR-ID and the Site-ID at its end. RFC 9301 has it end with the last RLOC-Record,
/// which would leave both ids to whoever is on the path; the other implementations cover them too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// HMAC-SHA-1-96, for peers that know nothing else; 20 bytes are sent by all of them, 12 are its name's.
    Sha1,
    /// HMAC-SHA-256-128; 32 bytes are sent by the other implementations, 16 are its name's.
    Sha256,
    /// HMAC-SHA256-128 with a key for each message, from HKDF-SHA256 with an empty info and 32 bytes of output, which
    /// RFC 9301 leaves open.
    Sha256Hkdf,
}

impl Algorithm {
    const ALL: [Self; 3] = [Self::Sha1, Self::Sha256, Self::Sha256Hkdf];

    /// The Algorithm ID (RFC 9301 section 12.5).
    pub const fn id(self) -> u8 {
        match self {
            Self::Sha1 => 1,
            Self::Sha256 => 2,
            Self::Sha256Hkdf => 3,
        }
    }

    /// The lengths that are taken, in bytes; the first is sent.
    const fn lengths(self) -> [usize; 2] {
        match self {
            Self::Sha1 => [20, 12],
            Self::Sha256 | Self::Sha256Hkdf => [32, 16],
        }
    }
}

/// A pre-shared secret. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
struct Psk(Box<[u8]>);

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Psk(***)")
    }
}

/// A key to sign messages with: a secret, its Key ID and its algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    id: u8,
    algorithm: Algorithm,
    mac_bytes: usize,
    secret: Psk,
}

impl Key {
    /// The secret, by the algorithm, with a MAC of the length that other implementations send.
    pub fn new(id: u8, algorithm: Algorithm, secret: &[u8]) -> Self {
        Self {
            id,
            algorithm,
            mac_bytes: algorithm.lengths()[0],
            secret: Psk(secret.into()),
        }
    }

    /// The same, with the short MAC that the algorithm's name speaks of: 12 or 16 bytes.
    #[must_use]
    pub fn short(mut self) -> Self {
        self.mac_bytes = self.algorithm.lengths()[1];
        self
    }

    /// The Key ID.
    pub const fn id(&self) -> u8 {
        self.id
    }

    /// The Algorithm ID.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The bytes of a MAC.
    pub const fn mac_bytes(&self) -> usize {
        self.mac_bytes
    }

    /// Signs a message in place; its authentication data are zero, and as long as [`Key::mac_bytes`].
    pub(crate) fn sign(&self, message: &mut [u8]) {
        let mac = self.mac(&[message]);
        message[HEAD_BYTES..HEAD_BYTES + self.mac_bytes].copy_from_slice(&mac);
    }

    /// The MAC over these parts, one after the other; the first begins with the type.
    fn mac(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut mac = match self.algorithm {
            Algorithm::Sha1 => hmac::<Hmac<Sha1>>(&self.secret.0, parts),
            Algorithm::Sha256 => hmac::<Hmac<Sha256>>(&self.secret.0, parts),
            Algorithm::Sha256Hkdf => hmac::<Hmac<Sha256>>(&self.message_key(parts[0]), parts),
        };
        mac.truncate(self.mac_bytes);
        mac
    }

    /// RFC 9301 section 5.6: "per-msg-key=KDF(nonce+PSK\[Key ID\],s)"; HKDF is RFC 5869's, one block long.
    fn message_key(&self, head: &[u8]) -> Vec<u8> {
        let salt: &[u8] = match head[0] >> 4 {
            3 => b"Map-Register Authentication",
            4 => b"Map-Notify Authentication",
            _ => b"Map-Notify-Ack Authentication",
        };
        let extracted = hmac::<Hmac<Sha256>>(salt, &[&head[4..12], &self.secret.0]);
        hmac::<Hmac<Sha256>>(&extracted, &[&[1]])
    }
}

fn hmac<H: hmac::Mac + hmac::KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = <H as hmac::KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// The secrets that a peer may sign with, by Key ID: two or more while they are rotated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRing {
    secrets: Vec<(u8, Psk)>,
    sha1: bool,
}

/// A reason for which a message is not taken for its sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAuthentic {
    /// The message has no authentication at all.
    #[error("it is not signed")]
    None,
    /// A Key ID that the ring does not have.
    #[error("key id {0} is unknown")]
    Key(u8),
    /// An algorithm that is unknown here, or that is not allowed for this peer.
    #[error("algorithm {0} is unknown or not allowed")]
    Algorithm(u8),
    /// A MAC that has not one of the lengths of its algorithm.
    #[error("{0} bytes are no length of its MAC")]
    Length(usize),
    /// The MAC is not the one that the key gives.
    #[error("its MAC is wrong")]
    Mac,
}

impl KeyRing {
    /// A ring without secrets, which nobody can sign for.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a secret, or replaces the one with that id.
    #[must_use]
    pub fn with(mut self, id: u8, secret: &[u8]) -> Self {
        self.secrets.retain(|(known, _)| *known != id);
        self.secrets.push((id, Psk(secret.into())));
        self
    }

    /// Takes HMAC-SHA-1-96 too, which RFC 9301 section 1.1 forbids on the public Internet.
    #[must_use]
    pub const fn with_sha1(mut self) -> Self {
        self.sha1 = true;
        self
    }

    /// The key that signed the message, which then is its sender's.
    ///
    /// The message is one that [`crate::wire::Signed::parse`] has read.
    pub fn verify(&self, message: &[u8]) -> Result<Key, NotAuthentic> {
        let head = message.get(..HEAD_BYTES).ok_or(NotAuthentic::None)?;
        let (id, algorithm_id) = (head[12], head[13]);
        let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
        if algorithm_id == 0 || length == 0 {
            return Err(NotAuthentic::None);
        }
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|one| one.id() == algorithm_id && (self.sha1 || *one != Algorithm::Sha1))
            .ok_or(NotAuthentic::Algorithm(algorithm_id))?;
        if !algorithm.lengths().contains(&length) {
            return Err(NotAuthentic::Length(length));
        }
        let (given, rest) = message[HEAD_BYTES..]
            .split_at_checked(length)
            .ok_or(NotAuthentic::Length(length))?;
        let (_, secret) = self
            .secrets
            .iter()
            .find(|(known, _)| *known == id)
            .ok_or(NotAuthentic::Key(id))?;
        let key = Key {
            id,
            algorithm,
            mac_bytes: length,
            secret: secret.clone(),
        };
        let right = key.mac(&[head, &[0; 32][..length], rest]);
        if bool::from(right.ct_eq(given)) {
            Ok(key)
        } else {
            Err(NotAuthentic::Mac)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value is of an independent implementation, Python's `cryptography`.
    #[test]
    fn the_key_of_a_message_is_derived_from_nonce_and_secret() {
        let key = Key::new(1, Algorithm::Sha256Hkdf, b"secretS");
        let mut head = [0; HEAD_BYTES];
        (head[0], head[11]) = (0x3a, 7);
        let hex: String = key
            .message_key(&head)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            "aa3518eb97fc993eca0c1a5d2ddd0522751c1df6ca91f2dbf0dfcb15da3a1216"
        );
        head[0] = 0x40;
        assert_ne!(key.message_key(&head), key.message_key(&[0x30; HEAD_BYTES]));
    }
}
