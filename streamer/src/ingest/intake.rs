//! A feed's packets on their way to its viewers, in their order and whichever way they came in.

use std::time::{Duration, Instant};

use timeline::UnixMicros;

use super::rate::Allowance;
use super::refusal::Refusal;
use crate::feed::Claim;
use crate::feed::assembler::{self, Assembler};

/// What a feed has sent.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Sent {
    pub packets: u64,
}

/// Takes a feed's packets. The name is claimed, by `F`, with the first frame.
#[derive(Debug)]
pub struct Intake<F> {
    assembler: Assembler,
    allowance: Allowance,
    sent: Sent,
    claim: F,
    claimed: Option<Claim>,
}

impl<F: FnMut() -> Result<Claim, Refusal>> Intake<F> {
    /// For a feed that announced `payload_type`.
    pub fn new(payload_type: u8, claim: F) -> Self {
        Self {
            assembler: Assembler::new(payload_type),
            allowance: Allowance::default(),
            sent: Sent::default(),
            claim,
            claimed: None,
        }
    }

    /// Takes the next packet, which was whole at `ingested`; the time that the feed must wait before more is read of it.
    pub fn take(&mut self, packet: &[u8], ingested: UnixMicros) -> Result<Duration, Refusal> {
        let step = self
            .assembler
            .push(packet)
            .map_err(|error| refusal(error, self.sent.packets))?;
        self.sent.packets += 1;
        if self.claimed.is_none() && (step.frame.is_some() || step.skipped > 0) {
            self.claimed = Some((self.claim)()?);
        }
        let frames = step.frames();
        if let Some(claim) = &mut self.claimed {
            claim.take(step, ingested);
        }
        Ok(self.allowance.spend(frames, Instant::now()))
    }

    /// `packets` of `bytes` bytes together were taken at `now`: the name is kept for another while. What carries no packet
    /// keeps no name.
    pub fn heard(&self, packets: u64, bytes: usize, now: Instant) -> Result<(), Refusal> {
        match &self.claimed {
            Some(claim) if packets > 0 => claim
                .heard(packets, bytes, now)
                .map_err(|superseded| Refusal::Superseded(claim.feed().name().clone(), superseded)),
            _ => Ok(()),
        }
    }

    /// The feed's name, once it has it.
    pub const fn claimed(&self) -> Option<&Claim> {
        self.claimed.as_ref()
    }

    pub const fn sent(&self) -> Sent {
        self.sent
    }
}

/// How the feed is told what is wrong with a packet that follows `packets` good ones.
pub(crate) fn refusal(error: assembler::Refusal, packets: u64) -> Refusal {
    match error {
        assembler::Refusal::FrameTooLong => Refusal::FrameTooLong(error),
        _ => Refusal::Garbage {
            packets,
            why: error.to_string(),
        },
    }
}
