//! What pods log: followed into a file, and its end for messages.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use futures::{AsyncBufReadExt as _, AsyncReadExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};

use crate::connect::Cluster;

/// As much of a log is kept.
const MOST_BYTES: u64 = 8 << 20;

/// Lines that a message has of a log.
const TAIL_LINES: i64 = 20;

/// How long after a broken connection the log is followed on.
const AGAIN: Duration = Duration::from_secs(1);

impl Cluster {
    /// Follows the logs of a workload's pods into a file, one after the other, until it is dropped.
    pub async fn follow_logs(&self, namespace: &str, workload: &str, file: &Path) {
        let mut followed = None;
        loop {
            let begun = self.begun(namespace, workload, followed.as_ref()).await;
            let Some((pod, restarts)) = begun else {
                return;
            };
            if let Err(error) = self.follow_log(namespace, &pod, file).await {
                tracing::warn!(pod, %error, file = %file.display(), "its log cannot be written");
                return;
            }
            followed = Some((pod, restarts));
        }
    }

    /// Follows the log of a pod's container to its end, into a file.
    async fn follow_log(&self, namespace: &str, pod: &str, file: &Path) -> std::io::Result<()> {
        let pods: Api<Pod> = Api::namespaced(self.client().clone(), namespace);
        let mut file = File::options().create(true).append(true).open(file)?;
        let follow = LogParams {
            follow: true,
            ..LogParams::default()
        };
        let mut written = 0;
        loop {
            match pods.log_stream(pod, &follow).await {
                Ok(stream) => {
                    // From the beginning again after a broken connection: what is written is passed over.
                    let mut skip = written;
                    let mut stream = Box::pin(stream).take(MOST_BYTES);
                    let broken = loop {
                        let bytes = match stream.fill_buf().await {
                            Ok([]) => break false,
                            Ok(bytes) => bytes,
                            Err(_) => break true,
                        };
                        let length = bytes.len();
                        let known = usize::try_from(skip).unwrap_or(usize::MAX).min(length);
                        file.write_all(&bytes[known..])?;
                        skip -= known as u64;
                        written += (length - known) as u64;
                        stream.consume_unpin(length);
                    };
                    if !broken {
                        return Ok(());
                    }
                }
                // The pod is gone, and its log with it.
                Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
                Err(error) => tracing::debug!(pod, %error, "log not followed"),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// The last lines of a pod's log, of the container that ended before if this one has said nothing.
    pub async fn log_tail(&self, namespace: &str, pod: &str) -> String {
        let pods: Api<Pod> = Api::namespaced(self.client().clone(), namespace);
        for previous in [false, true] {
            let end = LogParams {
                previous,
                tail_lines: Some(TAIL_LINES),
                limit_bytes: Some(1 << 16),
                ..LogParams::default()
            };
            if let Ok(text) = pods.logs(pod, &end).await
                && !text.trim().is_empty()
            {
                return text;
            }
        }
        String::new()
    }
}
