//! Setting up what a topology says of one namespace, in the order of its fields.

use std::fs;
use std::path::PathBuf;

use super::command::{self, CommandError};
use super::isolate::MANAGEMENT_PREFIX;
use super::lab_error::LabError;
use super::topology::{MANAGEMENT_INTERFACE, Namespace, Wireguard};
use crate::netns::Netns;

/// What every namespace has before any daemon runs.
pub(super) fn first(netns: &Netns, namespace: &Namespace) -> Result<(), LabError> {
    let mut lines = "link set dev lo up\n".to_owned();
    if let Some(address) = namespace.management {
        lines += &format!(
            "address add {address}/{MANAGEMENT_PREFIX} dev {MANAGEMENT_INTERFACE}\n\
             link set dev {MANAGEMENT_INTERFACE} up\n"
        );
    }
    command::batch("ip", &lines, Some(netns), &[])
        .map_err(|source| LabError::command(netns, source))
}

/// Everything else, in a namespace where nothing of it has been done.
pub(super) fn whole(netns: &Netns, namespace: &Namespace) -> Result<(), LabError> {
    sysctls(netns, &namespace.sysctls)?;
    let told = |source| LabError::command(netns, source);
    command::batch("ip", &text(&namespace.ip), Some(netns), &[]).map_err(told)?;
    for interface in &namespace.wireguard {
        wireguard(netns, interface).map_err(told)?;
    }
    command::batch("ip", &text(&namespace.routes), Some(netns), &[]).map_err(told)?;
    if !namespace.nft.is_empty() {
        command::succeed("nft", &["-f", "-"], &namespace.nft, Some(netns)).map_err(told)?;
    }
    command::batch("tc", &text(&namespace.tc), Some(netns), &[]).map_err(told)
}

/// Configures a namespace again after an interface has gone and come back: what went with it is set up, what stayed is left.
pub(super) fn again(netns: &Netns, namespace: &Namespace) -> Result<(), LabError> {
    sysctls(netns, &namespace.sysctls)?;
    let told = |source| LabError::command(netns, source);
    command::batch_again("ip", &text(&namespace.ip), netns).map_err(told)?;
    for interface in &namespace.wireguard {
        wireguard(netns, interface).map_err(told)?;
    }
    command::batch_again("ip", &text(&namespace.routes), netns).map_err(told)?;
    if !namespace.nft.is_empty() {
        // Rules hold the numbers of interfaces. Replaced in one transaction: no packet sees half of them.
        let rules = format!("flush ruleset\n{}", namespace.nft);
        command::succeed("nft", &["-f", "-"], &rules, Some(netns)).map_err(told)?;
    }
    command::batch_again("tc", &text(&namespace.tc), netns).map_err(told)
}

fn text(lines: &[String]) -> String {
    lines
        .iter()
        .flat_map(|line| [line.as_str(), "\n"])
        .collect()
}

/// The file of a kernel parameter. A name between dots may hold dots itself, as `eth0.5` does: then it is written with
/// slashes, as sysctl(8) has it.
fn sysctl_file(key: &str) -> PathBuf {
    let relative = if key.contains('/') {
        key.to_owned()
    } else {
        key.replace('.', "/")
    };
    PathBuf::from("/proc/sys").join(relative)
}

fn sysctls(netns: &Netns, sysctls: &[(String, String)]) -> Result<(), LabError> {
    let no_ipv6 = !PathBuf::from("/proc/sys/net/ipv6").exists();
    let mut failed = None;
    let done = netns.run(|| {
        for (key, value) in sysctls {
            if no_ipv6 && key.starts_with("net.ipv6.") {
                continue;
            }
            if let Err(error) = fs::write(sysctl_file(key), value) {
                failed = Some((key.clone(), value.clone()));
                return Err(error);
            }
        }
        Ok(())
    });
    let Err(source) = done else {
        return Ok(());
    };
    Err(match failed {
        Some((key, value)) => LabError::Sysctl {
            namespace: netns.name().to_owned(),
            key,
            value,
            source,
        },
        None => LabError::namespace(netns.name(), source),
    })
}

fn wireguard(netns: &Netns, wireguard: &Wireguard) -> Result<(), CommandError> {
    let args = ["setconf", &wireguard.interface, "/dev/stdin"];
    command::succeed("wg", &args, &wireguard_file(wireguard), Some(netns)).map(drop)
}

/// In the format of wg(8). It holds the private key: it goes through a pipe only.
fn wireguard_file(wireguard: &Wireguard) -> String {
    let mut text = format!("[Interface]\nPrivateKey = {}\n", wireguard.private_key);
    let mut line = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            text += &format!("{key} = {value}\n");
        }
    };
    line(
        "ListenPort",
        wireguard.listen_port.map(|port| port.to_string()),
    );
    line("[Peer]\nPublicKey", Some(wireguard.peer_public_key.clone()));
    line("AllowedIPs", Some("0.0.0.0/0".to_owned()));
    line(
        "Endpoint",
        wireguard.endpoint.map(|endpoint| endpoint.to_string()),
    );
    line(
        "PersistentKeepalive",
        wireguard.keepalive_s.map(|seconds| seconds.to_string()),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wireguard_is_configured_as_wg_reads_it() {
        let mut wireguard = Wireguard {
            interface: "liqo-tunnel-a".into(),
            private_key: "PRIVATE".into(),
            listen_port: Some(51840),
            peer_public_key: "PUBLIC".into(),
            endpoint: None,
            keepalive_s: None,
        };
        assert_eq!(
            wireguard_file(&wireguard),
            "[Interface]\nPrivateKey = PRIVATE\nListenPort = 51840\n[Peer]\nPublicKey = PUBLIC\nAllowedIPs = 0.0.0.0/0\n"
        );
        wireguard.listen_port = None;
        wireguard.endpoint = Some("192.168.100.2:51840".parse().expect("an address"));
        wireguard.keepalive_s = Some(25);
        let text = wireguard_file(&wireguard);
        assert!(!text.contains("ListenPort"), "{text}");
        assert!(
            text.ends_with("Endpoint = 192.168.100.2:51840\nPersistentKeepalive = 25\n"),
            "{text}"
        );
    }

    #[test]
    fn a_kernel_parameter_has_a_file() {
        let file = |key| sysctl_file(key).display().to_string();
        assert_eq!(file("net.ipv4.ip_forward"), "/proc/sys/net/ipv4/ip_forward");
        assert_eq!(
            file("net/ipv4/conf/eth0.5/rp_filter"),
            "/proc/sys/net/ipv4/conf/eth0.5/rp_filter"
        );
    }
}
