//! The control plane as agents and xTRs use it.

use std::process::Command;
use std::time::{Duration, Instant};

use lisp::edge::Event;
use lisp::eid::Eid;
use lisp::wire::Locator;
use reqwest::Method;
use serde_json::json;

use crate::process::{ControlPlane, allocate, ask, prepare};
use crate::xtr::{PATIENCE, Xtr};

fn eid(address: &serde_json::Value) -> Eid {
    address["address"].as_str().unwrap().parse().unwrap()
}

fn register(xtr: &mut Xtr, eid: Eid, priority: u8) {
    let locator = Locator::new(xtr.address, priority, 100);
    xtr.control.register(eid, 60, vec![locator], Instant::now());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_given_an_address_registered_found_and_moved() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let program = ControlPlane::start(folder.path(), None);
    let api = program.api;
    let dry = json!({ "cluster": "seoul", "namespace": "shop", "name": "cart", "dry_run": true });
    let (_, preview) = ask(Method::POST, api, "/v1/services", Some(dry))
        .await
        .unwrap();
    let (status, services) = ask(Method::GET, api, "/v1/services", None).await.unwrap();
    assert_eq!(
        (status, services),
        (200, json!([])),
        "a dry run changes nothing"
    );
    let (status, cart) = allocate(api, "seoul", "cart").await.unwrap();
    assert_eq!((status, &cart), (200, &preview));
    assert_eq!(allocate(api, "busan", "cart").await.unwrap().1, cart);
    let cart = eid(&cart);

    let mut seoul = Xtr::new(program.control, 1, 11);
    let mut client = Xtr::new(program.control, 3, 13);
    register(&mut seoul, cart, 2);
    let took = seoul.until(|event| matches!(event, Event::Registered { .. }));
    eprintln!("registered in {took:?}");
    client.control.want(cart, Instant::now());
    client.until_route(Some(seoul.address));

    let mut busan = Xtr::new(program.control, 2, 12);
    register(&mut busan, cart, 1);
    busan.until(|event| matches!(event, Event::Registered { .. }));
    eprintln!("moved in {:?}", client.until_route(Some(busan.address)));

    // Nobody beats for busan any more. What is asked before it is lost has six seconds.
    let beat = json!({ "agent": "one", "interval_ms": 2000 });
    let (status, heard) = ask(
        Method::POST,
        api,
        "/v1/clusters/busan/heartbeat",
        Some(beat),
    )
    .await
    .unwrap();
    assert_eq!((status, &heard["was_lost"]), (200, &json!(true)));
    let other = json!({ "agent": "two", "interval_ms": 2000 });
    let (status, _) = ask(
        Method::POST,
        api,
        "/v1/clusters/busan/heartbeat",
        Some(other),
    )
    .await
    .unwrap();
    assert_eq!(status, 409, "two agents with one cluster name");
    let took = client.until_route(Some(seoul.address));
    assert!(
        took < Duration::from_mins(1),
        "three heartbeats, not three minutes: {took:?}"
    );

    let shown = Command::new(env!("CARGO_BIN_EXE_xr-lisp"))
        .args(["show", "--from", &program.ops.to_string()])
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    for word in [
        "shop/cart",
        "busan",
        "lost",
        "127.0.0.11 2/100",
        "map_register",
    ] {
        assert!(shown.contains(word), "{word}:\n{shown}");
    }
    let metrics = reqwest::get(format!("http://{}/metrics", program.ops))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        metrics.contains("xr_lisp_events_total{event=\"publication\"}"),
        "{metrics}"
    );
    assert!(
        metrics.contains("xr_lisp_cluster_alive{cluster=\"busan\"} 0"),
        "{metrics}"
    );

    let release = "/v1/services/shop/cart?cluster=seoul";
    for _ in 0..2 {
        let (status, _) = ask(Method::DELETE, api, release, None).await.unwrap();
        assert_eq!(status, 204);
    }
    client.until_route(None);
    assert_eq!(program.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_refused_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let program = ControlPlane::start(folder.path(), None);
    for (body, wanted) in [
        (json!({ "cluster": "seoul", "namespace": "shop" }), 422),
        (
            json!({ "cluster": "nowhere", "namespace": "shop", "name": "cart" }),
            404,
        ),
        (
            json!({ "cluster": "seoul", "namespace": "Shop", "name": "cart" }),
            400,
        ),
        (
            json!({ "cluster": "seoul", "namespace": "shop", "name": "cart", "pool": "none" }),
            404,
        ),
        (
            json!({ "cluster": "seoul", "namespace": "shop", "name": "cart", "address": "10.113.0.1" }),
            409,
        ),
        (
            json!({ "cluster": "seoul", "namespace": "shop", "name": "x".repeat(20_000) }),
            413,
        ),
    ] {
        let (status, problem) = ask(Method::POST, program.api, "/v1/services", Some(body))
            .await
            .unwrap();
        assert_eq!(status, wanted, "{problem}");
        assert!(problem["remedy"].is_string(), "{problem}");
    }
    let conflict = json!({ "cluster": "busan", "address": "10.112.0.1" });
    let (status, _) = ask(Method::POST, program.api, "/v1/conflicts", Some(conflict))
        .await
        .unwrap();
    assert_eq!(status, 204);
    let (_, cart) = allocate(program.api, "seoul", "cart").await.unwrap();
    assert_eq!(cart["address"], "10.112.0.2");

    let unknown = reqwest::Client::new().get(format!("http://{}/v1/services", program.api));
    assert_eq!(unknown.send().await.unwrap().status().as_u16(), 401);

    let second = Command::new(env!("CARGO_BIN_EXE_xr-lisp"))
        .args([
            "control",
            "--listen",
            "127.0.0.1:0",
            "--api",
            "127.0.0.1:0",
            "--ops",
            "127.0.0.1:0",
            "--config",
        ])
        .arg(folder.path().join("lisp.toml"))
        .arg("--store")
        .arg(folder.path().join("store.sqlite"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{told}");
    assert!(told.contains("one control plane at a time"), "{told}");
    let missing = Command::new(env!("CARGO_BIN_EXE_xr-lisp"))
        .args(["control", "--config", "/nowhere/lisp.toml"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(64));
}

/// A counter of what the control plane did and refused.
async fn counted(program: &ControlPlane, event: &str) -> u64 {
    let metrics = reqwest::get(format!("http://{}/metrics", program.ops)).await;
    let metrics = metrics.unwrap().text().await.unwrap();
    let line = format!("xr_lisp_events_total{{event=\"{event}\"}} ");
    let value = metrics.lines().find_map(|text| text.strip_prefix(&line));
    value.map_or(0, |value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_is_exhausted_and_addresses_of_others_are_refused_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let file = folder.path().join("lisp.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, config.replace("10.112.0.0/16", "10.112.0.0/30")).unwrap();
    let program = ControlPlane::start(folder.path(), None);
    let api = program.api;
    for name in ["one", "two"] {
        assert_eq!(allocate(api, "seoul", name).await.unwrap().0, 200);
    }
    for _ in 0..2 {
        let (status, problem) = allocate(api, "seoul", "three").await.unwrap();
        assert_eq!(status, 507, "{problem}");
        assert!(problem["remedy"].is_string(), "{problem}");
    }
    assert_eq!(counted(&program, "api_exhausted").await, 2);
    assert_eq!(
        allocate(api, "busan", "one").await.unwrap().0,
        200,
        "who has an address has it in every cluster"
    );

    // One's own address is one's own, whoever asks for it by hand.
    let taken =
        json!({ "cluster": "seoul", "namespace": "shop", "name": "four", "address": "10.112.0.1" });
    let (status, problem) = ask(Method::POST, api, "/v1/services", Some(taken))
        .await
        .unwrap();
    assert_eq!(status, 409, "{problem}");
    let (_, one) = allocate(api, "seoul", "one").await.unwrap();
    let other = json!({ "address": "10.112.0.2", "locators": [{ "address": "10.0.0.11", "priority": 1, "weight": 1 }] });
    let path = "/v1/services/shop/one?cluster=seoul";
    let (status, problem) = ask(Method::PUT, api, path, Some(other)).await.unwrap();
    assert_eq!(
        (status, &one["address"]),
        (409, &json!("10.112.0.1")),
        "{problem}"
    );
    assert_eq!(counted(&program, "api_other_address").await, 2);
    let (_, listed) = ask(Method::GET, api, "/v1/services", None).await.unwrap();
    assert!(
        listed
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["registered"] == json!([])),
        "{listed}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_xtrs_are_called_back_and_subscribers_still_hear() {
    let folder = tempfile::tempdir().unwrap();
    let store = prepare(folder.path());
    let program = ControlPlane::start(folder.path(), None);
    let (_, cart) = allocate(program.api, "seoul", "cart").await.unwrap();
    allocate(program.api, "busan", "cart").await.unwrap();
    let cart = eid(&cart);
    let mut log = store.into_os_string();
    log.push("-wal");
    let written = || std::fs::metadata(&log).map_or(0, |file| file.len());
    let mut seoul = Xtr::new(program.control, 1, 21);
    let mut client = Xtr::new(program.control, 3, 23);
    register(&mut seoul, cart, 4);
    seoul.until(|event| matches!(event, Event::Registered { .. }));
    client.control.want(cart, Instant::now());
    client.until_route(Some(seoul.address));
    // One save may have begun before the subscription; the one after it has it.
    for priority in [3, 2] {
        let before = written();
        register(&mut seoul, cart, priority);
        seoul.until(|event| matches!(event, Event::Registered { .. }));
        let begun = Instant::now();
        while written() == before {
            assert!(begun.elapsed() < PATIENCE, "nothing is saved");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    let ports = program.kill();
    let program = ControlPlane::start(folder.path(), Some(ports));
    assert_eq!(client.control.cache().len(), 1, "what runs goes on");
    let back = Instant::now();
    loop {
        seoul.step(Duration::from_millis(20));
        let shown = reqwest::get(format!("http://{}/lisp", program.ops))
            .await
            .unwrap();
        let view: serde_json::Value = shown.json().await.unwrap();
        if view["mappings"].as_array().unwrap().len() == 1 {
            break;
        }
        assert!(
            back.elapsed() < Duration::from_secs(30),
            "not before it would have come anyway: {view}"
        );
    }
    eprintln!("registered again {:?} after the start", back.elapsed());
    let mut busan = Xtr::new(program.control, 2, 22);
    register(&mut busan, cart, 1);
    busan.until(|event| matches!(event, Event::Registered { .. }));
    client.until_route(Some(busan.address));
}
