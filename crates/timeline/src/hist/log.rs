//! `latency.hlog`: an HdrHistogram interval log, version 1.3, as the tools of hdrhistogram.org read it. A crash may cut the
//! last line off; the reader leaves it out.

use std::io::{self, Read as _, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::ZlibDecoder;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};

use super::histogram::{DIGITS, LatencyHistogram, MAX_COUNT, MAX_US, TooMany};
use crate::UnixMicros;

/// Magic numbers of the encoding: of a histogram, and of a compressed one.
const V2_COOKIE: u32 = 0x1c84_9313;
const V2_DEFLATED_COOKIE: u32 = 0x1c84_9314;
/// Cookie, length, offset, digits, lowest, highest, ratio.
const HEADER_BYTES: usize = 40;
/// No encoded histogram of ours is longer: each of its 18 thousand counts takes at most nine bytes.
const MAX_ENCODED_BYTES: usize = 256 * 1024;

/// A writer of interval logs. Flushing is the caller's.
pub struct LogWriter<W> {
    to: W,
    started: UnixMicros,
    encoder: V2DeflateSerializer,
    encoded: Vec<u8>,
}

impl<W: Write> LogWriter<W> {
    /// Begins a log: writes its header. Intervals are counted from `started`.
    pub fn begin(mut to: W, started: UnixMicros) -> io::Result<Self> {
        let seconds = seconds(started.0);
        let header = format!(
            "#[Histogram log format version 1.3]\n\
             #[StartTime: {seconds} (seconds since epoch)]\n\
             #[BaseTime: {seconds} (seconds since epoch)]\n\
             #latencies in microseconds\n\
             \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n"
        );
        to.write_all(header.as_bytes())?;
        Ok(Self {
            to,
            started,
            encoder: V2DeflateSerializer::new(),
            encoded: Vec::new(),
        })
    }

    /// Writes one interval with a single call of the writer below. `tag` must be free of commas and white space.
    pub fn write(
        &mut self,
        tag: Option<&str>,
        from: UnixMicros,
        to: UnixMicros,
        histogram: &LatencyHistogram,
    ) -> io::Result<()> {
        let tag = match tag {
            Some(tag)
                if tag.is_empty() || tag.contains(|c: char| c == ',' || c.is_whitespace()) =>
            {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("{tag:?} cannot be a tag"),
                ));
            }
            Some(tag) => format!("Tag={tag},"),
            None => String::new(),
        };
        self.encoded.clear();
        self.encoder
            .serialize(&histogram.counts, &mut self.encoded)
            .map_err(io::Error::other)?;
        let line = format!(
            "{tag}{},{},{:.3},{}\n",
            seconds(from.0.saturating_sub(self.started.0)),
            seconds(to.0.saturating_sub(from.0)),
            histogram.counts.max() as f64,
            BASE64.encode(&self.encoded)
        );
        self.to.write_all(line.as_bytes())
    }

    /// Hands on what the writer below holds back.
    pub fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    /// The writer that the log went to.
    pub fn into_inner(self) -> W {
        self.to
    }
}

/// Microseconds as seconds with three decimals, as these logs have them.
fn seconds(us: u64) -> String {
    format!("{}.{:03}", us / 1_000_000, us / 1_000 % 1_000)
}

/// One interval of a log.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// The tag of the interval.
    pub tag: Option<String>,
    /// When it began, in seconds from the start of the log.
    pub from_seconds: f64,
    /// How long it lasted, in seconds.
    pub length_seconds: f64,
    /// The samples of the interval.
    pub histogram: LatencyHistogram,
}

/// The reason why a log could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The line is not one of an interval log.
    #[error("line {line}: {what} is missing or is none")]
    Line {
        /// The number of the line, from 1.
        line: usize,
        /// The part of the line.
        what: &'static str,
    },
    /// The histogram is broken, or not one of ours.
    #[error("line {line}: the histogram {why}")]
    Histogram {
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The histograms cannot be merged.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

/// Reads the intervals of a log, one at a time, because each takes 140 kB.
#[derive(Clone, Debug)]
pub struct Intervals<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Intervals<'a> {
    /// Reads the log that `bytes` hold.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            line: 0,
        }
    }

    /// All samples of the intervals with this tag, in one histogram.
    pub fn merged(self, tag: Option<&str>) -> Result<LatencyHistogram, LogError> {
        let mut all = LatencyHistogram::new();
        for interval in self {
            let interval = interval?;
            if interval.tag.as_deref() == tag {
                all.merge(&interval.histogram)?;
            }
        }
        Ok(all)
    }
}

impl Iterator for Intervals<'_> {
    type Item = Result<Interval, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // What follows the last line end was cut off.
            let end = self.rest.iter().position(|byte| *byte == b'\n')?;
            let (line, rest) = self.rest.split_at(end);
            self.rest = &rest[1..];
            self.line += 1;
            if !matches!(line.first(), None | Some(b'#' | b'"' | b'\r')) {
                return Some(interval(self.line, line));
            }
        }
    }
}

fn interval(number: usize, line: &[u8]) -> Result<Interval, LogError> {
    let missing = |what| LogError::Line { line: number, what };
    let text = std::str::from_utf8(line)
        .map_err(|_| missing("text"))?
        .trim_end();
    let mut cells = text.split(',').peekable();
    let tag = cells
        .next_if(|cell| cell.starts_with("Tag="))
        .and_then(|cell| cell.strip_prefix("Tag="));
    let mut time = |what| {
        let seconds: Option<f64> = cells.next().and_then(|cell| cell.parse().ok());
        seconds
            .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
            .ok_or_else(|| missing(what))
    };
    let (from_seconds, length_seconds) = (time("the start")?, time("the length")?);
    time("the maximum")?;
    let encoded = cells.next().ok_or_else(|| missing("the histogram"))?;
    let histogram = decode(encoded).map_err(|why| LogError::Histogram { line: number, why })?;
    Ok(Interval {
        tag: tag.map(str::to_owned),
        from_seconds,
        length_seconds,
        histogram,
    })
}

/// Decodes a histogram of our own bounds. Everything is checked before the decoder sees it, which trusts lengths.
fn decode(encoded: &str) -> Result<LatencyHistogram, &'static str> {
    if encoded.len() > MAX_ENCODED_BYTES * 2 {
        return Err("is too long");
    }
    let deflated = BASE64.decode(encoded).map_err(|_| "is not in base64")?;
    let (head, body) = deflated.split_at_checked(8).ok_or("is too short")?;
    if word(head, 0) != Some(V2_DEFLATED_COOKIE) {
        return Err("is not a compressed one of version 2");
    }
    let mut plain = Vec::new();
    let limit = MAX_ENCODED_BYTES as u64 + 1;
    ZlibDecoder::new(body)
        .take(limit)
        .read_to_end(&mut plain)
        .map_err(|_| "cannot be inflated")?;
    if plain.len() > MAX_ENCODED_BYTES {
        return Err("is too long");
    }
    let (head, counts) = plain.split_at_checked(HEADER_BYTES).ok_or("is too short")?;
    if word(head, 0) != Some(V2_COOKIE) || word(head, 4) != u32::try_from(counts.len()).ok() {
        return Err("has a broken head");
    }
    let ours = LatencyHistogram::new();
    // Offset and ratio are 0 and 1.0 in whatever these tools write.
    let bounds = [
        0,
        u32::from(DIGITS),
        0,
        1,
        0,
        u32::try_from(MAX_US).unwrap_or(u32::MAX),
        0x3ff0_0000,
        0,
    ];
    if (8..)
        .step_by(4)
        .zip(bounds)
        .any(|(at, value)| word(head, at) != Some(value))
    {
        return Err("has other bounds than 1 us to 60 s with 3 digits");
    }
    check_counts(counts, ours.counts.distinct_values())?;
    let counts = Deserializer::new()
        .deserialize(&mut &plain[..])
        .map_err(|_| "has broken counts")?;
    Ok(LatencyHistogram { counts, clamped: 0 })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|chunk| u32::from_be_bytes(*chunk))
}

/// Walks over the counts (zigzag LEB128, where a negative number is a run of zeros): they must fit and not overflow.
fn check_counts(mut bytes: &[u8], slots: usize) -> Result<(), &'static str> {
    let (mut index, mut total) = (0_u64, 0_u64);
    while !bytes.is_empty() {
        let (number, rest) = varint(bytes).ok_or("has a cut count")?;
        bytes = rest;
        let magnitude = (number >> 1) + (number & 1);
        let steps = if number & 1 == 1 { magnitude } else { 1 };
        if number & 1 == 0 {
            total = total
                .checked_add(magnitude)
                .filter(|total| *total <= MAX_COUNT)
                .ok_or("has too many samples")?;
        }
        index = index
            .checked_add(steps)
            .filter(|index| *index <= slots as u64)
            .ok_or("has too many counts")?;
    }
    Ok(())
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().take(9).enumerate() {
        // The ninth byte is used whole.
        let last = place == 8 || byte & 0x80 == 0;
        let bits = if place == 8 { *byte } else { byte & 0x7f };
        value |= u64::from(bits) << (7 * place);
        if last {
            return Some((value, &bytes[place + 1..]));
        }
    }
    None
}
