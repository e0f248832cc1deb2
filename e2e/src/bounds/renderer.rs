//! The renderer whose feed the measurements are about.

use crate::{Sandbox, Service, video};

/// The feed that every part here is about: the real video at 1280x720, 60 frames and 6 Mbit a second.
pub(super) async fn render(sandbox: &Sandbox, streamer: &Service, extra: &[&str]) -> Service {
    let source = format!("file:{}", video().display());
    let mut args = vec![
        "--source",
        &source,
        "--size",
        "1280x720",
        "--fps",
        "60",
        "--bitrate",
        "6M",
    ];
    args.extend(extra);
    sandbox.renderer(&streamer.feed_url("feed"), &args).await
}
