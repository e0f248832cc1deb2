//! Any start order, and any of the three killed: what is left goes on by itself.

use e2e::{Sandbox, Service, free_address, until};

use crate::tools::{Foreign, PATIENCE, Trio};

/// Addresses that are known before their program is there.
struct Addresses {
    http: String,
    rtsp: String,
}

impl Addresses {
    fn draw() -> Self {
        Self {
            http: free_address().to_string(),
            rtsp: free_address().to_string(),
        }
    }

    async fn start(&self, sandbox: &Sandbox, program: char) -> Service {
        match program {
            's' => {
                sandbox
                    .streamer(&["--http", &self.http, "--rtsp", &self.rtsp])
                    .await
            }
            'r' => {
                sandbox
                    .renderer(&format!("http://{}/feeds/feed", self.http), &[])
                    .await
            }
            _ => {
                sandbox
                    .client(&format!("rtsp://{}/feed", self.rtsp), &[])
                    .await
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_start_order_works() {
    let sandbox = Sandbox::shared();
    for order in ["src", "scr", "rsc", "rcs", "csr", "crs"] {
        let addresses = Addresses::draw();
        let mut running = Vec::new();
        for program in order.chars() {
            running.push((program, addresses.start(&sandbox, program).await));
        }
        let (_, client) = running
            .iter()
            .find(|(program, _)| *program == 'c')
            .expect("one is the client");
        let what = format!(
            "frames, started in the order {order}; the client's log ends\n{}",
            client.process().log_tail()
        );
        until(&what, PATIENCE, async || {
            client.shown().await.filter(|shown| *shown >= 10)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_renderer_comes_back() {
    let sandbox = Sandbox::shared();
    let mut trio = Trio::playing(&sandbox, &[], &[]).await;
    for _ in 0..3 {
        trio.renderer = trio.renderer.kill_and_restart().await;
        trio.client.shows(20, PATIENCE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_streamer_comes_back() {
    let sandbox = Sandbox::shared();
    let mut trio = Trio::playing(&sandbox, &[], &[]).await;
    for _ in 0..3 {
        trio.streamer = trio.streamer.kill_and_restart().await;
        trio.client.shows(20, PATIENCE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_client_comes_back() {
    let sandbox = Sandbox::shared();
    let mut trio = Trio::playing(&sandbox, &[], &[]).await;
    for _ in 0..3 {
        trio.client = trio.client.kill_and_restart().await;
        trio.client.shows(20, PATIENCE).await;
    }
}

/// Nobody is restarted but the renderer: every player goes on in the session that it has.
#[tokio::test(flavor = "multi_thread")]
async fn viewers_go_on_when_a_name_comes_back() {
    let sandbox = Sandbox::shared();
    let mut trio = Trio::playing(&sandbox, &[], &["--transport", "udp"]).await;
    let url = trio.streamer.rtsp_url("feed");
    let over_tcp = sandbox.client(&url, &["--transport", "tcp"]).await;
    let mut foreign = Vec::new();
    for transport in ["udp", "tcp"] {
        foreign.push(Foreign::ffmpeg(&sandbox, &url, transport));
        foreign.push(Foreign::gstreamer(&sandbox, &url, transport));
    }
    for round in 0..3 {
        if round > 0 {
            trio.renderer = trio.renderer.kill_and_restart().await;
        }
        for ours in [&trio.client, &over_tcp] {
            ours.shows(30, PATIENCE).await;
        }
        for player in &foreign {
            player.plays(30).await;
        }
    }
}
