//! Chromium without a window, spoken to over its debugging pipe: no port is opened, and nothing is loaded but files.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// An answer that takes longer is none. A busy machine starts the browser within seconds.
const PATIENCE: Duration = Duration::from_mins(2);

/// A browser with one page. Dropping it ends it.
pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: String,
    next: u64,
    /// What the console said, and every error of the page.
    pub(crate) complaints: Vec<String>,
    /// Every address that was loaded from.
    loaded: Vec<String>,
    _profile: tempfile::TempDir,
}

/// How the page is looked at.
#[derive(Clone, Copy)]
pub(crate) struct View {
    /// Pixels of the page's style.
    pub(crate) width: u32,
    /// The same.
    pub(crate) height: u32,
    /// Device pixels for each.
    pub(crate) scale: f64,
    /// `prefers-color-scheme: dark`.
    pub(crate) dark: bool,
    /// `@media print`.
    pub(crate) print: bool,
}

impl Browser {
    /// Starts it with an empty profile.
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder");
        // The pipe is on descriptors 3 and 4; a shell puts our two there.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "sh"])
            .args([
                "chromium",
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts; scripts/deps.sh installs chromium");
        let to = child.stdin.take().expect("a pipe");
        let mut reader = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, from) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while reader
                .read_until(0, &mut message)
                .is_ok_and(|read| read > 0)
            {
                message.pop();
                let value = serde_json::from_slice(&message).expect("the protocol is JSON");
                if sender.send(value).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            child,
            to,
            from,
            session: String::new(),
            next: 0,
            complaints: Vec::new(),
            loaded: Vec::new(),
            _profile: profile,
        };
        let target = browser.ask("Target.createTarget", &json!({"url": "about:blank"}));
        let attached = browser.ask(
            "Target.attachToTarget",
            &json!({"targetId": target["targetId"], "flatten": true}),
        );
        attached["sessionId"]
            .as_str()
            .expect("a session")
            .clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log", "Network", "Accessibility"] {
            browser.ask(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Asks, and awaits the answer.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut message = json!({"id": id, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        let mut bytes = serde_json::to_vec(&message).expect("JSON");
        bytes.push(0);
        self.to.write_all(&bytes).expect("chromium listens");
        let answer = self.until(|value| value["id"] == id);
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].clone()
    }

    fn until(&mut self, found: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let value = self
                .from
                .recv_timeout(left)
                .expect("chromium answers; is it installed (scripts/deps.sh)?");
            match value["method"].as_str() {
                Some("Log.entryAdded" | "Runtime.consoleAPICalled" | "Runtime.exceptionThrown") => {
                    self.complaints.push(value["params"].to_string());
                }
                Some("Network.requestWillBeSent") => {
                    let url = value["params"]["request"]["url"].as_str();
                    self.loaded.extend(url.map(ToOwned::to_owned));
                }
                _ => {}
            }
            if found(&value) {
                return value;
            }
        }
    }

    /// Opens a file, and awaits its end.
    pub(crate) fn open(&mut self, page: &Path) {
        self.open_url(&format!("file://{}", page.display()));
    }

    /// Opens an address, and awaits its end.
    pub(crate) fn open_url(&mut self, url: &str) {
        self.ask("Page.navigate", &json!({"url": url}));
        self.until(|value| value["method"] == "Page.loadEventFired");
    }

    /// Every address outside of the opened file that the page asked for.
    pub(crate) fn outside(&self) -> Vec<&str> {
        let loaded = self.loaded.iter().map(String::as_str);
        loaded
            .filter(|url| !url.starts_with("file:") && !url.starts_with("data:"))
            .collect()
    }

    /// Looks at the page in another way.
    pub(crate) fn look(&mut self, view: View) {
        let scheme = if view.dark { "dark" } else { "light" };
        self.ask(
            "Emulation.setEmulatedMedia",
            &json!({
                "media": if view.print { "print" } else { "screen" },
                "features": [{"name": "prefers-color-scheme", "value": scheme}],
            }),
        );
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            &json!({
                "width": view.width, "height": view.height, "deviceScaleFactor": view.scale,
                "mobile": view.width < 500,
            }),
        );
    }

    /// The value of an expression in the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let answer = self.ask(
            "Runtime.evaluate",
            &json!({"expression": expression, "returnByValue": true}),
        );
        assert!(answer["exceptionDetails"].is_null(), "{answer}");
        answer["result"]["value"].clone()
    }

    /// A picture of the whole page, as PNG.
    pub(crate) fn picture(&mut self) -> Vec<u8> {
        let answer = self.ask(
            "Page.captureScreenshot",
            &json!({"format": "png", "captureBeyondViewport": true}),
        );
        decoded(&answer["data"])
    }

    /// The page on paper, as PDF of A4.
    pub(crate) fn pdf(&mut self) -> Vec<u8> {
        let answer = self.ask(
            "Page.printToPDF",
            &json!({"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": true, "preferCSSPageSize": true}),
        );
        decoded(&answer["data"])
    }

    /// Presses a key, and says which element has the focus then, as text.
    pub(crate) fn tab(&mut self) -> String {
        for kind in ["keyDown", "keyUp"] {
            self.ask(
                "Input.dispatchKeyEvent",
                &json!({"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}),
            );
        }
        let script = "(e => e.tagName + ' ' + (e.getAttribute('aria-label') || e.textContent).trim())(document.activeElement)";
        self.evaluate(script)
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn decoded(data: &Value) -> Vec<u8> {
    STANDARD
        .decode(data.as_str().expect("base64"))
        .expect("base64")
}
