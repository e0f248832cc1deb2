//! A row of the table; `docs/frames.md` describes its columns.

use serde::{Serialize, Serializer};
use timeline::frames_csv::{FrameRow, Phase};
use timeline::{ClientName, Point, Stage};

use result::{Pipeline, RepetitionMeta};

/// A frame at a client, or one that no client showed: the columns are the fields, in their order.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TidyRow<'a> {
    /// The folder of the result, as it was given.
    pub result: &'a str,
    /// The name of the scenario.
    pub scenario: &'a str,
    /// The pipeline that the scenario measures.
    pub kind: Pipeline,
    /// The fabric between the clusters; none for processes on one host.
    pub fabric: Option<&'a str>,
    /// How RTP travels; none where nobody knows.
    pub transport: Option<&'a str>,
    /// The number of the repetition within its scenario, from 1.
    pub repetition: u32,
    /// The round that the repetition is of; none of a collected result, which has none.
    pub round: Option<u32>,
    /// Whether the machine was disturbed on the frame's way; none where nobody watched it.
    #[serde(serialize_with = "yes_or_no")]
    pub disturbed: Option<bool>,
    /// Whether the frame is of the measured time, and so in the summary's figures; none where measuring never began.
    #[serde(serialize_with = "yes_or_no")]
    pub measured: Option<bool>,
    /// The number on the stamp.
    pub frame: Option<u32>,
    /// The key of the frame.
    pub rtp_timestamp: Option<u32>,
    /// When it was generated, microseconds since the Unix epoch, and so of all times below.
    pub generated_us: Option<u64>,
    /// When its marker packet left the payloader.
    pub encoded_us: Option<u64>,
    /// When its marker packet had come to the streamer.
    pub ingested_us: Option<u64>,
    /// When its marker packet left the streamer.
    pub relayed_us: Option<u64>,
    /// When its marker packet had come to the client.
    pub received_us: Option<u64>,
    /// When the decoder delivered its picture.
    pub decoded_us: Option<u64>,
    /// When the picture was handed to the sink.
    pub shown_us: Option<u64>,
    /// What became of it.
    pub outcome: &'static str,
    /// When in its run it was generated, as `frames.csv` has it.
    pub phase: Option<&'static str>,
    /// The client that showed it.
    pub client: Option<&'a str>,
    /// Decoded minus generated, microseconds, of samples alone.
    pub latency_us: Option<i64>,
    /// Generated to encoded, microseconds.
    pub encode_us: Option<i64>,
    /// Encoded to ingested, microseconds.
    pub feed_us: Option<i64>,
    /// Ingested to relayed, microseconds.
    pub relay_us: Option<i64>,
    /// Relayed to received, microseconds.
    pub deliver_us: Option<i64>,
    /// Received to decoded, microseconds.
    pub decode_us: Option<i64>,
}

impl<'a> TidyRow<'a> {
    /// What every row of a repetition has.
    pub(super) fn of_repetition(result: &'a str, meta: &'a RepetitionMeta) -> Self {
        let transport = Some(meta.transport.as_str());
        Self {
            result,
            scenario: &meta.scenario,
            kind: meta.pipeline,
            fabric: meta.fabric.as_ref().map(|fabric| fabric.name.as_str()),
            transport: transport.filter(|word| *word != "unknown"),
            repetition: meta.run,
            round: (!meta.collected).then_some(meta.run),
            ..Self::default()
        }
    }

    /// The row of a frame of this repetition.
    pub(super) fn of_frame<'b>(&self, row: &'b FrameRow) -> TidyRow<'b>
    where
        'a: 'b,
    {
        let at = |point| row.at(point).map(|at| at.0);
        let took = |stage| row.stage_us(stage);
        TidyRow {
            frame: row.frame.map(|number| number.0),
            rtp_timestamp: Some(row.rtp_timestamp.0),
            generated_us: at(Point::Generated),
            encoded_us: at(Point::Encoded),
            ingested_us: at(Point::Ingested),
            relayed_us: at(Point::Relayed),
            received_us: at(Point::Received),
            decoded_us: at(Point::Decoded),
            shown_us: row.shown.map(|at| at.0),
            outcome: row.outcome.as_str(),
            phase: row.phase.map(Phase::as_str),
            client: row.client.as_ref().map(ClientName::as_str),
            latency_us: row.latency_us(),
            encode_us: took(Stage::Encode),
            feed_us: took(Stage::Feed),
            relay_us: took(Stage::Relay),
            deliver_us: took(Stage::Deliver),
            decode_us: took(Stage::Decode),
            ..self.clone()
        }
    }
}

#[expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn yes_or_no<S: Serializer>(value: &Option<bool>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        None => to.serialize_none(),
        Some(true) => to.serialize_str("yes"),
        Some(false) => to.serialize_str("no"),
    }
}
