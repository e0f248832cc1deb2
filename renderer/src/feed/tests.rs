//! What follows from which answer.

use super::*;

#[test]
fn only_what_may_pass_is_tried_again() {
    let short = Duration::from_millis(3);
    for (status, next) in [
        (StatusCode::OK, Next::Retry),
        (StatusCode::BAD_REQUEST, Next::GiveUp),
        (StatusCode::UNAUTHORIZED, Next::GiveUp),
        (StatusCode::NOT_FOUND, Next::GiveUp),
        (StatusCode::CONFLICT, Next::RetrySlowly),
        (StatusCode::PAYLOAD_TOO_LARGE, Next::GiveUp),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, Next::GiveUp),
        (StatusCode::INTERNAL_SERVER_ERROR, Next::Retry),
        (StatusCode::SERVICE_UNAVAILABLE, Next::RetrySlowly),
    ] {
        assert_eq!(after(status, short), next, "{status}");
    }
    assert_eq!(
        after(StatusCode::BAD_REQUEST, GOOD),
        Next::Retry,
        "it was taken for a while"
    );
}
