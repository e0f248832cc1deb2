//! Tests of: ingest mpegts.

use std::convert::Infallible;

use axum::body::Body;
use futures::StreamExt as _;
use service::Shutdown;

use super::*;
use crate::feed::name::FeedName;

/// A body that brings a byte after each of these seconds.
fn bytes_after(seconds: &'static [u64]) -> Pieces {
    let bytes = futures::stream::iter(seconds).then(async |seconds| {
        tokio::time::sleep(Duration::from_secs(*seconds)).await;
        Ok::<_, Infallible>(vec![0_u8])
    });
    let name = FeedName::new("room").unwrap();
    Pieces::new(Body::from_stream(bytes), name, Shutdown::new())
}

/// An encoder that looks ahead brings its first picture late, and the demultiplexer brings it when it likes.
#[tokio::test(start_paused = true)]
async fn packets_count_when_they_come_out_of_the_demultiplexer() {
    let shared = Arc::new(Shared::new(Box::new(|| Err(Refusal::Stopping))));
    let mut pieces = bytes_after(&[9, 9]);
    let mut known = 0;
    let first = next(&mut pieces, &shared, &mut known, 0).await;
    assert!(matches!(first, Ok(Some(_))), "{first:?}");
    let output = Arc::clone(&shared);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        output.lock().sent.packets = 1;
        output.lock().found = true;
        output.changed.notify_one();
    });
    let second = next(&mut pieces, &shared, &mut known, 1).await;
    assert!(matches!(second, Ok(Some(_))), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_waits_for_no_more_of_the_body() {
    let shared = Arc::new(Shared::new(Box::new(|| Err(Refusal::Stopping))));
    let mut pieces = bytes_after(&[9]);
    shared.refuse(Refusal::NoPicture("several pictures"));
    let began = tokio::time::Instant::now();
    let refused = next(&mut pieces, &shared, &mut 0, 0).await;
    assert!(matches!(refused, Err(Refusal::NoPicture(_))), "{refused:?}");
    assert_eq!(began.elapsed(), Duration::ZERO);
}
