//! A virtual cable.

use std::process::{Command, Stdio};

/// Two ends of a virtual cable, gone with this value.
pub struct Cable {
    pub near: String,
    pub far: String,
}

impl Cable {
    /// `None` where that is not allowed. `tag` keeps tests that run at once apart; one that was taken away can be laid again.
    pub fn lay(tag: &str) -> Option<Self> {
        let process = std::process::id() % 100_000;
        let cable = Self { near: format!("k{tag}n{process}"), far: format!("k{tag}f{process}") };
        if !ip(&["link", "add", &cable.near, "type", "veth", "peer", "name", &cable.far]) {
            assert!(std::env::var_os("CI").is_none(), "this test must run here: root and iproute2 are needed");
            eprintln!("skipped: needs root and iproute2 to lay a virtual cable");
            return None;
        }
        for end in [&cable.near, &cable.far] {
            // Nothing of the system's own may be on the wire.
            let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{end}/disable_ipv6"), "1");
            assert!(ip(&["link", "set", end, "mtu", "9000", "up"]));
        }
        Some(cable)
    }

    /// Takes the far end down, or up again.
    #[allow(dead_code, reason = "each file of tests takes its part")]
    pub fn set_far(&self, state: &str) {
        assert!(ip(&["link", "set", &self.far, state]));
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
