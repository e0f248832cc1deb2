//! Load on the way, and what it took: iperf3's throughput, packets on the wire, processor time.

use std::time::Instant;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::network::{Running, TestNetwork};

/// Bytes of IP and TCP headers, with the timestamps that Linux sends.
const HEADER_BYTES: u16 = 40;

/// The bytes that Ethernet adds to a packet, with its checksum.
const FRAME_BYTES: u16 = 18;

/// The longest packet that fits into every tunnel that is compared: wireguard-go's MTU.
const LONGEST_BYTES: u16 = 1420;

/// Seconds that iperf3 may take longer than it measures.
const LIMIT_S: u16 = 8;

/// The port of iperf3.
const PORT: &str = "5201";

/// The figures of a measurement of throughput.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Throughput {
    /// Payload that arrived, in Mbit/s.
    pub mbit_s: f64,
    /// Frames on the wire between the routers, both ways, a second.
    pub packets_s: f64,
    /// Processors in use, of the whole machine.
    pub cores: f64,
    /// TCP segments that were sent again.
    pub retransmits: f64,
}

/// The length of a packet in a frame of so many bytes, cut to what fits into every tunnel.
pub(crate) fn packet_bytes(frame: u16) -> u16 {
    (frame - FRAME_BYTES).min(LONGEST_BYTES)
}

/// Runs iperf3 from the client to an address of `place`; an error when it does not come to an end, which it does not always.
pub(crate) fn run(
    network: &TestNetwork,
    place: &str,
    address: &str,
    frame: u16,
    seconds: u16,
    streams: u16,
) -> anyhow::Result<Throughput> {
    let _server: Running =
        network.start(place, "iperf3", &["-s", "-1", "-p", PORT, "-B", address])?;
    network.await_listener(place, "-t", PORT)?;
    let before = (frames(network)?, busy_ticks()?, Instant::now());
    let limit = (seconds + LIMIT_S).to_string();
    let (seconds, streams) = (seconds.to_string(), streams.to_string());
    let segment = (packet_bytes(frame) - HEADER_BYTES).to_string();
    let mut args = vec![limit.as_str(), "iperf3", "-J", "-c", address, "-p", PORT];
    args.extend(["-t", &seconds, "-P", &streams, "-M", &segment]);
    let printed = network.call("client", "timeout", &args)?;
    let elapsed_s = before.2.elapsed().as_secs_f64();
    let (frames, ticks) = (frames(network)? - before.0, busy_ticks()? - before.1);
    let printed: Value = serde_json::from_str(&printed).context("iperf3 prints JSON")?;
    let sums = &printed["end"];
    let bits = sums["sum_received"]["bits_per_second"].as_f64();
    Ok(Throughput {
        mbit_s: bits.context("iperf3 has no throughput")? / 1e6,
        packets_s: frames / elapsed_s,
        cores: ticks / ticks_s()? / elapsed_s,
        retransmits: sums["sum_sent"]["retransmits"].as_f64().unwrap_or(0.0),
    })
}

/// Frames that came in and went out at one side of the network between the routers.
fn frames(network: &TestNetwork) -> anyhow::Result<f64> {
    let read = |kind: &str| {
        let file = format!("/sys/class/net/to-a/statistics/{kind}_packets");
        let text = network.call("core", "cat", &[&file])?;
        text.trim().parse::<f64>().context("a counter")
    };
    Ok(read("rx")? + read("tx")?)
}

/// Processor time in use since the start of the machine, in ticks, over all processors.
fn busy_ticks() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/stat")?;
    let first = text.lines().next().context("/proc/stat has a first line")?;
    let fields: Vec<f64> = first
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user, nice, system, idle, iowait, irq, softirq, steal: idle and waiting are not use, and stolen time is others' use.
    let [user, nice, system, _, _, irq, softirq, ..] = fields[..] else {
        bail!("/proc/stat has {} fields", fields.len());
    };
    Ok(user + nice + system + irq + softirq)
}

fn ticks_s() -> anyhow::Result<f64> {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?;
    ticks
        .map(|ticks| ticks as f64)
        .context("the system says how long a tick is")
}
