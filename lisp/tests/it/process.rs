//! A control plane as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

pub(crate) const TOKEN: &str = "swordfish";

pub(crate) const SECRET: &[u8] = b"secretS";

/// Two clusters and clients, with a pool.
const CONFIG: &str = r#"
address = "127.0.0.1"

[[site]]
id = 1
name = "seoul"
key = [{ id = 1, file = "key" }]

[[site]]
id = 2
name = "busan"
key = [{ id = 1, file = "key" }]

[[site]]
id = 3
name = "clients"
key = [{ id = 1, file = "key" }]

[[pool]]
name = "default"
prefix = "10.112.0.0/16"
"#;

/// A control plane, which is killed when this is dropped.
pub(crate) struct ControlPlane {
    child: Child,
    pub(crate) ops: SocketAddr,
    pub(crate) control: SocketAddr,
    pub(crate) api: SocketAddr,
    /// Where agents with certificates are served, if they are.
    pub(crate) agents: Option<SocketAddr>,
}

/// Writes the files of a control plane into the folder.
pub(crate) fn prepare(folder: &Path) -> PathBuf {
    std::fs::write(folder.join("lisp.toml"), CONFIG).unwrap();
    std::fs::write(folder.join("key"), SECRET).unwrap();
    std::fs::write(folder.join("token"), TOKEN).unwrap();
    folder.join("store.sqlite")
}

impl ControlPlane {
    /// Starts it, and waits until it is ready. `before` is one whose ports it is to have.
    pub(crate) fn start(folder: &Path, before: Option<(SocketAddr, SocketAddr)>) -> Self {
        Self::start_with(folder, before, &[])
    }

    /// As [`ControlPlane::start`], with more arguments.
    pub(crate) fn start_with(
        folder: &Path,
        before: Option<(SocketAddr, SocketAddr)>,
        more: &[&str],
    ) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (control, api) = before.unwrap_or((any, any));
        let mut child = Command::new(env!("CARGO_BIN_EXE_xr-lisp"))
            .args(["control", "--ops", "127.0.0.1:0", "--log", "warn"])
            .arg("--config")
            .arg(folder.join("lisp.toml"))
            .arg("--store")
            .arg(folder.join("store.sqlite"))
            .arg("--token-file")
            .arg(folder.join("token"))
            .args(["--listen", &control.to_string(), "--api", &api.to_string()])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("it is not ready: {line:?}"));
        let address = |name: &str| ready[name].as_str().unwrap().parse().unwrap();
        Self {
            ops: address("ops"),
            control: address("control"),
            api: address("api"),
            agents: ready["agents"].as_str().map(|text| text.parse().unwrap()),
            child,
        }
    }

    /// SIGKILL, and its end.
    pub(crate) fn kill(mut self) -> (SocketAddr, SocketAddr) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.control, self.api)
    }

    /// SIGTERM, and its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks the API; the status and the body.
pub(crate) async fn ask(
    method: reqwest::Method,
    api: SocketAddr,
    path: &str,
    body: Option<Value>,
) -> reqwest::Result<(u16, Value)> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut request = client
        .request(method, format!("http://{api}{path}"))
        .bearer_auth(TOKEN);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    let body = answer.bytes().await?;
    Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

/// Asks for an address.
pub(crate) async fn allocate(
    api: SocketAddr,
    cluster: &str,
    name: &str,
) -> reqwest::Result<(u16, Value)> {
    let body = serde_json::json!({ "cluster": cluster, "namespace": "shop", "name": name });
    ask(reqwest::Method::POST, api, "/v1/services", Some(body)).await
}
