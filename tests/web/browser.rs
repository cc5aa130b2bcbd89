//! A headless Chromium, driven over WebDriver (W3C WebDriver, section 6).

use super::http::exchange;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one; `None` where there is none, unless it has to be there.
    pub fn start() -> Option<Self> {
        let spawned = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut driver) = spawned else {
            assert!(std::env::var_os("CI").is_none(), "this test must run here: install chromium and chromium-driver");
            eprintln!("skipped: needs chromium and chromium-driver");
            return None;
        };
        let said = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = said
            .filter_map(|line| line.strip_prefix("ChromeDriver was started successfully on port ").map(str::to_owned))
            .find_map(|rest| rest.trim_end_matches('.').parse::<u16>().ok());
        let address = SocketAddr::from(([127, 0, 0, 1], port.expect("chromedriver says its port")));
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Self { driver, address, session: String::new(), _profile: profile };
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1600,1000",
        ];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).into();
        arguments.push(format!("--user-data-dir={}", browser._profile.path().display()));
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments }, "goog:loggingPrefs": { "browser": "ALL" } } } });
        let answer = browser.call("POST", "/session", &wanted);
        browser.session = answer["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {answer}")).to_owned();
        Some(browser)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let line = format!("{method} {path} HTTP/1.1");
        let host = format!("Host: {}", self.address);
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let answer = exchange(self.address, &[&line, &host], &body);
        let mut value = answer.json();
        assert_eq!(answer.status, 200, "{method} {path}: {value}");
        value["value"].take()
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        self.call("POST", &format!("/session/{}/{command}", self.session), body)
    }

    pub fn open(&self, address: &str) {
        self.post("url", &json!({ "url": address }));
    }

    /// The value of a JavaScript function body.
    pub fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until `script` gives true.
    pub fn until(&self, script: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.run(script) != json!(true) {
            assert!(
                Instant::now() < deadline,
                "not so after 30 s: {script}\n{}",
                self.run("return document.body.innerText.slice(0, 2000)")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the console says since the last call: errors of scripts, refused policies, failed requests.
    pub fn console(&self) -> Vec<Value> {
        let mut lines = self.post("se/log", &json!({ "type": "browser" })).as_array().cloned().unwrap_or_default();
        // Below that it gives advice.
        lines.retain(|line| line["level"] == "SEVERE" || line["level"] == "WARNING");
        lines
    }

    fn command(&self, cmd: &str, params: Value) {
        self.post("goog/cdp/execute", &json!({ "cmd": cmd, "params": params }));
    }

    /// Looks at the page as paper of such a width shows it.
    pub fn print(&self, width: u32) {
        self.look(width, 1000, "dark");
        self.command("Emulation.setEmulatedMedia", json!({ "media": "print" }));
    }

    /// Whether pages that are opened from now on may run scripts.
    pub fn script(&self, may_run: bool) {
        self.command("Emulation.setScriptExecutionDisabled", json!({ "value": !may_run }));
    }

    /// What somebody reads on the page; needs no script of the page's own.
    pub fn text(&self) -> String {
        let body = self.post("element", &json!({ "using": "css selector", "value": "body" }));
        let id = body.as_object().and_then(|body| body.values().next()).and_then(Value::as_str).unwrap();
        let path = format!("/session/{}/element/{id}/text", self.session);
        self.call("GET", &path, &Value::Null).as_str().unwrap().to_owned()
    }

    /// Looks at the page as somebody with such a window and taste would.
    pub fn look(&self, width: u32, height: u32, scheme: &str) {
        self.command(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        );
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.command("Emulation.setEmulatedMedia", json!({ "media": "", "features": [feature] }));
    }

    /// A picture of the window for whoever wants to look: `name`.png in the folder `KASPECTOR_PICTURES`, if it is set.
    pub fn picture(&self, name: &str) {
        use base64::Engine;
        let Some(folder) = std::env::var_os("KASPECTOR_PICTURES") else { return };
        let value = self.call("GET", &format!("/session/{}/screenshot", self.session), &Value::Null);
        let bytes = base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap()).unwrap();
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.call("DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        // Ends the browser, too, if the session could not.
        let _ = Command::new("kill").args(["-s", "TERM", &self.driver.id().to_string()]).status();
        let _ = self.driver.wait();
    }
}
