//! A virtual cable.

use std::process::{Command, Stdio};

/// Two ends of a virtual cable, gone with this value.
pub struct Cable {
    pub near: String,
    pub far: String,
}

impl Cable {
    /// `None` where that is not allowed. `tag` keeps tests that run at once apart.
    pub fn lay(tag: &str) -> Option<Self> {
        let number = std::process::id() % 100_000;
        let cable = Self { near: format!("k{tag}n{number}"), far: format!("k{tag}f{number}") };
        if !ip(&["link", "add", &cable.near, "type", "veth", "peer", "name", &cable.far]) {
            assert!(std::env::var_os("CI").is_none(), "this test must run here: root and iproute2 are needed");
            eprintln!("skipped: needs root and iproute2 to lay a virtual cable");
            return None;
        }
        for end in [&cable.near, &cable.far] {
            // Nothing of the system's own may be on the wire.
            let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{end}/disable_ipv6"), "1");
            assert!(ip(&["link", "set", end, "up"]));
        }
        Some(cable)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        ip(&["link", "del", &self.near]);
    }
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
