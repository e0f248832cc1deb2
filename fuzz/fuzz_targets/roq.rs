//! Any bytes as a datagram, a stream, a request, an answer and a word of RTP over QUIC: a stream gives the same packets however it is
//! cut, and what was read can be written again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use roq::framing::{Deframer, FlowId, Malformed, PACKET_BYTES_MAX, datagram, split, stream};
use roq::signal::{Answer, Request, read, read_word, word, write};
use roq::varint;

fn packets(bytes: &[u8], chunk: usize) -> Result<(Option<FlowId>, Vec<Bytes>), Malformed> {
    let (mut deframer, mut packets) = (Deframer::default(), Vec::new());
    for bytes in bytes.chunks(chunk) {
        deframer.push(bytes, |packet| packets.push(packet))?;
    }
    deframer.end()?;
    Ok((deframer.flow(), packets))
}

fuzz_target!(|bytes: &[u8]| {
    if let Some((number, rest)) = varint::read(bytes) {
        assert!(number <= varint::MAX && rest.len() < bytes.len());
        let mut again = Vec::new();
        varint::write(number, &mut again);
        assert_eq!(varint::read(&again), Some((number, &[][..])));
    }
    if let Ok((flow, packet)) = split(&Bytes::copy_from_slice(bytes)) {
        assert_eq!(split(&datagram(flow, &packet)), Ok((flow, packet)));
    }
    let whole = packets(bytes, usize::MAX);
    let chunk = bytes.first().map_or(1, |first| usize::from(*first) + 1);
    assert_eq!(packets(bytes, chunk), whole);
    if let Ok((Some(flow), taken)) = whole {
        assert!(taken.iter().all(|packet| packet.len() <= PACKET_BYTES_MAX));
        let again = stream(flow, taken.iter().map(|packet| &packet[..]));
        assert_eq!(packets(&again, usize::MAX), Ok((Some(flow), taken)));
    }
    if let Ok(request) = read::<Request>(bytes) {
        assert_eq!(read(&write(&request)), Ok(request));
    }
    if let Ok(answer) = read::<Answer>(bytes) {
        assert_eq!(read(&write(&answer)), Ok(answer));
    }
    if let Ok(told) = read_word(bytes) {
        let again = packets(&word(&told, true), chunk).expect("framed");
        assert_eq!(again.1.len(), 1);
        assert_eq!(read_word(&again.1[0]), Ok(told));
    }
});
