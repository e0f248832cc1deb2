//! A hundred times SIGKILL while addresses are asked for: none is lost, none is two services'.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::Method;

use crate::process::{ControlPlane, allocate, ask, prepare};

const KILLS: usize = 100;

/// Services that are asked for: more than are given, so that some are always new.
const NAMES: usize = 4_000;

type Given = Arc<Mutex<BTreeMap<String, String>>>;

/// Asks for one address after another, and remembers each that was given.
async fn load(
    api: SocketAddr,
    number: usize,
    given: Given,
    count: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
) {
    let mut step = number * 1_000;
    while !is_over.load(Ordering::Relaxed) {
        let cluster = if step.is_multiple_of(3) {
            "busan"
        } else {
            "seoul"
        };
        let name = format!("s{}", step % NAMES);
        match allocate(api, cluster, &name).await {
            Ok((200, body)) => {
                let address = body["address"].as_str().unwrap().to_owned();
                let before = given.lock().insert(name.clone(), address.clone());
                assert!(
                    before.is_none_or(|before| before == address),
                    "{name} had another address"
                );
                count.fetch_add(1, Ordering::Relaxed);
                step += 1;
            }
            Ok((status, body)) => panic!("{status}: {body}"),
            // It was killed; another one comes.
            Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_address_is_lost_or_doubled() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let mut program = ControlPlane::start(folder.path(), None);
    let (given, count, is_over) = (
        Given::default(),
        Arc::<AtomicUsize>::default(),
        Arc::<AtomicBool>::default(),
    );
    let tasks: Vec<_> = (0..4)
        .map(|number| {
            tokio::spawn(load(
                program.api,
                number,
                Arc::clone(&given),
                Arc::clone(&count),
                Arc::clone(&is_over),
            ))
        })
        .collect();
    for kill in 0..KILLS {
        // Another place in its work each time.
        let enough = count.load(Ordering::Relaxed) + 1 + kill % 7;
        while count.load(Ordering::Relaxed) < enough {
            tokio::time::sleep(Duration::from_micros(300)).await;
            assert!(tasks.iter().all(|task| !task.is_finished()), "a task ended");
        }
        let ports = program.kill();
        program = ControlPlane::start(folder.path(), Some(ports));
    }
    is_over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let (status, services) = ask(Method::GET, program.api, "/v1/services", None)
        .await
        .unwrap();
    assert_eq!(status, 200);
    let kept: BTreeMap<_, _> = services
        .as_array()
        .unwrap()
        .iter()
        .map(|service| {
            let name = service["service"]
                .as_str()
                .unwrap()
                .strip_prefix("shop/")
                .unwrap();
            (
                name.to_owned(),
                service["address"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let given = given.lock();
    for (name, address) in given.iter() {
        assert_eq!(kept.get(name), Some(address), "{name} lost its address");
    }
    let addresses: std::collections::BTreeSet<_> = kept.values().collect();
    assert_eq!(addresses.len(), kept.len(), "two services have one address");
    eprintln!(
        "{KILLS} kills: {} addresses given, {} kept",
        given.len(),
        kept.len()
    );
    assert!(given.len() >= KILLS);
}
