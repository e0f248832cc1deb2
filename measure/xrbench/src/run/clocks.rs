//! The clocks of a repetition's services against ours, where all should be one: a latency is a difference of two readings, and a clock
//! that is wrong makes it wrong without a word.

use std::net::SocketAddr;
use std::time::Duration;

use service::clock;
use settings::Role;
use timeline::clock_exchange::{Estimate, Exchange, ServerTimes};

use super::http;
use result::ClockCheck;

/// Exchanges with a service, of which the quickest counts.
const EXCHANGES: usize = 5;

/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Compares the clock of the service in `role`, whose ops port is `ops`, with ours; none where it does not answer.
pub(super) async fn check(role: Role, ops: SocketAddr, when: &str) -> Option<ClockCheck> {
    let http = http::client();
    let url = format!("http://{ops}/clock");
    let mut best: Option<Estimate> = None;
    for _ in 0..EXCHANGES {
        let heard = ask(&http, &url).await?;
        best = best
            .filter(|best| best.uncertainty_us <= heard.uncertainty_us)
            .or(Some(heard));
    }
    let Estimate {
        offset_us,
        uncertainty_us,
    } = best?;
    Some(ClockCheck {
        source: role.to_string(),
        when: when.to_owned(),
        offset_us,
        uncertainty_us,
    })
}

async fn ask(http: &reqwest::Client, url: &str) -> Option<Estimate> {
    let sent = clock::now();
    let answer = http.get(url).timeout(PATIENCE).send().await.ok()?;
    let answered = clock::now();
    let server: ServerTimes = answer.error_for_status().ok()?.json().await.ok()?;
    let exchange = Exchange {
        sent,
        server,
        answered,
    };
    exchange.estimate()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A service whose clock is `ahead_us` ahead of ours.
    async fn service(ahead_us: i64) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 1_024];
                while stream.read(&mut head).await.is_ok_and(|count| count > 0) {
                    let now = clock::now().0.saturating_add_signed(ahead_us);
                    let body = format!(r#"{{"received_us":{now},"transmitted_us":{now}}}"#);
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        break;
                    }
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn a_clock_that_is_off_is_found_and_one_that_is_ours_is_not() {
        for (ahead_us, off) in [(0, false), (-50_000, true), (3_000_000, true)] {
            let ops = service(ahead_us).await;
            let check = check(Role::Client, ops, "at the start")
                .await
                .expect("answered");
            let error_us = (check.offset_us - ahead_us).unsigned_abs();
            assert!(error_us <= check.uncertainty_us, "{check:?}");
            assert_eq!(check.off_us() != 0, off, "{check:?}");
            assert_eq!(check.off_us() < 0, ahead_us < 0, "{check:?}");
        }
        // Nobody listens there, and nobody else draws it.
        let held = tokio::net::TcpSocket::new_v4().expect("a socket");
        held.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let closed = held.local_addr().expect("bound");
        assert_eq!(check(Role::Client, closed, "at the end").await, None);
    }
}
