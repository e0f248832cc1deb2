//! A Prometheus beside a run: Debian's scrapes what runs in a lab, and is asked from outside of it.

use std::time::Duration;

use e2e::{Sandbox, free_address, until};
use reqwest::Url;
use serde_json::Value;

use crate::labs::measure;
use crate::tools::PATIENCE;

/// Long enough for rates over some scrapes, although the machine may stand still for some seconds.
const RUN: &str =
    "[[scenario]]\nname = \"near\"\nfabric = \"single\"\ntransport = \"udp\"\nduration = \"14s\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_a_lab_is_scraped_and_asked_from_outside() {
    let sandbox = Sandbox::shared();
    let address = free_address();
    let open = format!("--open={address}");
    let ask = async |query: &str| -> Option<Value> {
        // As Grafana asks: a form that is posted.
        let mut url: Url = format!("http://{address}/prometheus/api/v1/query")
            .parse()
            .ok()?;
        let form = url
            .query_pairs_mut()
            .clear()
            .append_pair("query", query)
            .finish()
            .query()?
            .to_owned();
        url.set_query(None);
        let request = reqwest::Client::new().post(url).body(form);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.timeout(Duration::from_secs(5)).send().await.ok()?;
        let answer: Value = answer.json().await.ok()?;
        let found = answer["data"]["result"].as_array()?.clone();
        (!found.is_empty()).then(|| Value::from(found))
    };
    let watch = async {
        let p50 =
            "histogram_quantile(0.5, sum by (le) (rate(xr_collector_latency_seconds_bucket[5s])))";
        let p50 = until("the latency", PATIENCE, async || {
            let found = ask(p50).await?;
            found[0]["value"][1]
                .as_str()?
                .parse()
                .ok()
                .filter(|p50: &f64| p50.is_finite())
        })
        .await;
        let up = until("every program", PATIENCE, async || {
            let up = ask("up == 1").await?;
            (up.as_array()?.len() == 4).then_some(up)
        })
        .await;
        (p50, up)
    };
    let args = ["--prometheus", open.as_str()];
    let (ended, (p50, up)) = tokio::join!(measure(&sandbox, RUN, &args), watch);
    ended.well();
    assert!((0.000_5..0.5).contains(&p50), "{p50} s");
    let mut roles: Vec<_> = up
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["metric"]["role"].to_string())
        .collect();
    roles.sort();
    assert_eq!(
        roles,
        [
            "\"client\"",
            "\"collector\"",
            "\"renderer\"",
            "\"streamer\""
        ]
    );
    assert_eq!(up[0]["metric"]["scenario"], "near", "{up}");
    let kept = sandbox.path("out/prometheus/data/wal");
    assert!(kept.is_dir(), "{}", kept.display());
}
