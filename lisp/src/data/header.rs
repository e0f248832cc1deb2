//! The eight bytes between the outer UDP header and the inner packet (RFC 9300, 5.3).

/// Length of the header.
pub const HEADER_BYTES: usize = 8;

/// The largest instance id, nonce, or 24-bit field of any kind.
pub const MAX_24: u32 = (1 << 24) - 1;

const N: u8 = 0x80;
const L: u8 = 0x40;
const E: u8 = 0x20;
const V: u8 = 0x10;
const I: u8 = 0x08;
const KK: u8 = 0x03;

/// The meaning of the 24 bits after the flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tag {
    /// The bits mean nothing: they are sent as zero and ignored.
    #[default]
    None,
    /// A nonce of 24 bits, which the receiver sends back when `echo` asks for that.
    Nonce {
        /// The nonce.
        value: u32,
        /// Whether the receiver is asked to send the nonce back.
        echo: bool,
    },
    /// Versions, of 12 bits each, of the mappings of both sides (RFC 9302).
    Versions {
        /// The Map-Version of the mapping of the packet's source.
        source: u16,
        /// The Map-Version of the mapping of the packet's destination.
        destination: u16,
    },
}

/// A LISP data header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The meaning of the first word, and its value.
    pub tag: Tag,
    /// The instance id, of 24 bits, when there is one.
    pub instance: Option<u32>,
    /// Which of the source's locators are up, bit 0 for the first: 32 bits, or 8 beside an instance id.
    pub locator_status: Option<u32>,
}

/// A header that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Fewer bytes than a header has.
    #[error("{0} bytes are no LISP header, which has {HEADER_BYTES}")]
    Short(usize),
    /// The inner packet is encrypted with this key (RFC 8061).
    #[error("the packet is encrypted with key {0}, and no keys are agreed")]
    Encrypted(u8),
}

impl Header {
    /// A header with this instance id; zero is the instance that needs none.
    pub fn of_instance(instance: u32) -> Self {
        Self {
            instance: (instance != 0).then_some(instance & MAX_24),
            ..Self::default()
        }
    }

    /// The instance that the packet is of: zero without an instance id.
    pub fn instance(&self) -> u32 {
        self.instance.unwrap_or(0)
    }

    /// Reads the header at the start of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let Some(&[flags, a, b, c, word @ ..]) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(HeaderError::Short(bytes.len()));
        };
        if flags & KK != 0 {
            return Err(HeaderError::Encrypted(flags & KK));
        }
        let first = u32::from_be_bytes([0, a, b, c]);
        let second = u32::from_be_bytes(word);
        // RFC 9300, 5.3: "If the N- and V-bits are both set, the receiver MUST treat the field as a nonce."
        let tag = if flags & N != 0 {
            let echo = flags & E != 0;
            Tag::Nonce { value: first, echo }
        } else if flags & V != 0 {
            Tag::Versions {
                source: low_12(first >> 12),
                destination: low_12(first),
            }
        } else {
            Tag::None
        };
        let instance = (flags & I != 0).then_some(second >> 8);
        // "When the I-bit is set, the locator-status-bits are reduced to 8 bits."
        let status = if instance.is_some() {
            second & 0xff
        } else {
            second
        };
        Ok(Self {
            tag,
            instance,
            locator_status: (flags & L != 0).then_some(status),
        })
    }

    /// The header as bytes. Values that are wider than their fields lose their high bits.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let (mut flags, first) = match self.tag {
            Tag::None => (0, 0),
            Tag::Nonce { value, echo } => (if echo { N | E } else { N }, value & MAX_24),
            Tag::Versions {
                source,
                destination,
            } => (
                V,
                u32::from(source & 0xfff) << 12 | u32::from(destination & 0xfff),
            ),
        };
        let status = self.locator_status.unwrap_or(0);
        let second = match self.instance {
            Some(instance) => (instance & MAX_24) << 8 | status & 0xff,
            None => status,
        };
        if self.instance.is_some() {
            flags |= I;
        }
        if self.locator_status.is_some() {
            flags |= L;
        }
        let word = (u64::from(flags) << 24 | u64::from(first)) << 32 | u64::from(second);
        word.to_be_bytes()
    }
}

fn low_12(word: u32) -> u16 {
    u16::try_from(word & 0xfff).expect("twelve bits are fewer than sixteen")
}
