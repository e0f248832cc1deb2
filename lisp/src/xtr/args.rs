//! The command line of `xr-lisp xtr`, and what is wrong with it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use service::ConfigError;
use service::args::{Common, whole};

use crate::data::header::MAX_24;
use crate::data::mtu::{MIN_LINK_BYTES, longest_inner};

use super::follow::addresses;
use super::mapping_args::MappingArgs;
use super::static_map::{StaticMapping, mapping};

/// The smallest MTU of links, as a flag has it.
const LINK_MTU_MIN: u16 = 1336;

const _: () = assert!(LINK_MTU_MIN as usize == MIN_LINK_BYTES, "they are one");

const EXAMPLES: &str = "\
Examples:
  A host that reaches services in two clusters, 70 flows of 100 by the first's tunnel router:
    xr-lisp xtr --locator 10.0.0.1 --endpoint 192.168.1.1/32 --address 192.168.1.1/32 \\
      --map 10.96.0.0/16=10.0.0.11@1/70,10.0.0.12@1/30
  The tunnel router of one of the clusters:
    xr-lisp xtr --locator 10.0.0.11 --endpoint 10.96.0.0/16 --map 192.168.1.1=10.0.0.1
  Both with a Map-Server, which knows where things are, and says so when that changes:
    xr-lisp xtr --locator 10.0.0.1 --endpoint 192.168.1.1/32 --address 192.168.1.1/32 \\
      --route 10.96.0.0/16 --map-server 10.0.0.9 --key-file key --site 3 --register 192.168.1.1/32

It needs CAP_NET_ADMIN, CAP_NET_RAW and /dev/net/tun to start, and gives up every right once it has opened what it needs.";

/// Carries packets between endpoints through tunnels to other tunnel routers (LISP, RFC 9300).
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("ops", |arg| arg.default_value("127.0.0.1:9096")))]
pub struct XtrArgs {
    /// Address of this tunnel router that others send to; one of each family
    #[arg(
        long = "locator",
        env = "XR_LOCATOR",
        value_name = "ADDR",
        value_delimiter = ',',
        required_unless_present = "locator_of"
    )]
    pub(crate) locators: Vec<IpAddr>,
    /// Interface whose addresses are the locators, also when it gets others: what is registered follows, and whoever sends here is solicited
    #[arg(
        long,
        env = "XR_LOCATOR_OF",
        value_name = "NAME",
        conflicts_with = "locators",
        requires = "map_server"
    )]
    pub(crate) locator_of: Option<String>,
    /// Endpoints on this side: where packets out of the tunnel go, and packets into it are from
    #[arg(
        long = "endpoint",
        env = "XR_ENDPOINT",
        value_name = "PREFIX",
        value_delimiter = ',',
        required = true
    )]
    pub(crate) endpoints: Vec<IpNet>,
    /// A mapping: packets for PREFIX go to these locators. Lowest priority first, equal ones by weight; "drop" drops. May be
    /// given several times
    #[arg(long = "map", value_name = "PREFIX=LOCATOR[@PRIORITY/WEIGHT],...", value_parser = mapping)]
    pub(crate) mappings: Vec<StaticMapping>,
    /// Address of the device, for a host that is an endpoint itself
    #[arg(
        long = "address",
        env = "XR_ADDRESS",
        value_name = "ADDR/LENGTH",
        value_delimiter = ','
    )]
    pub(crate) addresses: Vec<IpNet>,
    /// What is routed into the tunnel; without one, every prefix of --map
    #[arg(
        long = "route",
        env = "XR_ROUTE",
        value_name = "PREFIX",
        value_delimiter = ','
    )]
    pub(crate) routes: Vec<IpNet>,
    /// Instance that all packets are of; 0 is sent without an instance id
    #[arg(long, env = "XR_INSTANCE", value_name = "N", default_value_t = 0, value_parser = whole::<u32>(0..=MAX_24))]
    pub(crate) instance: u32,
    /// Name of the TUN device
    #[arg(long, env = "XR_DEVICE", value_name = "NAME", default_value = "lisp0")]
    pub(crate) device: String,
    /// MTU of the links between locators, in bytes
    #[arg(long, env = "XR_LINK_MTU", value_name = "BYTES", default_value_t = 1500, value_parser = whole::<u16>(LINK_MTU_MIN..=u16::MAX))]
    pub(crate) link_mtu: u16,
    /// Pairs of threads, each with a queue of the device
    #[arg(long, env = "XR_QUEUES", value_name = "N", default_value_t = 1, value_parser = whole::<u8>(1..=16))]
    pub(crate) queues: u8,
    /// Whether packets are merged and segmented by the system, with UDP checksums, where it can
    #[arg(
        long,
        env = "XR_OFFLOADS",
        value_name = "WHEN",
        value_enum,
        default_value_t
    )]
    pub(crate) offloads: Offloads,
    /// Say each mapping that is another than before in a line of JSON on standard output, with the time on `CLOCK_MONOTONIC`
    #[arg(long, env = "XR_EVENTS")]
    pub(crate) events: bool,
    /// User to become once everything is open, when started as root; 0 stays root
    #[arg(long, env = "XR_USER", value_name = "UID", default_value_t = 65_534, value_parser = whole::<u32>(0..=u32::MAX))]
    pub(crate) user: u32,

    /// The mapping system.
    #[command(flatten)]
    pub(crate) mapping: MappingArgs,

    /// Arguments of every program.
    #[command(flatten)]
    pub common: Common,
}

/// The choice whether offloads are in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Offloads {
    /// Those that the system has
    #[default]
    Auto,
    /// None: packets go one by one, in batches, with a UDP checksum of zero
    Off,
}

impl XtrArgs {
    /// Looks for what no single value shows.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        for (index, locator) in self.locators.iter().enumerate() {
            let before = &self.locators[..index];
            if before
                .iter()
                .any(|other| other.is_ipv4() == locator.is_ipv4())
            {
                return Err(ConfigError::new(
                    "--locator (XR_LOCATOR)",
                    locator.to_string(),
                    "a second locator of one family",
                    "Give one of IPv4, one of IPv6, or one of each.",
                ));
            }
        }
        if self.device.is_empty() || self.device.len() > 15 || self.device.contains(['/', ' ']) {
            return Err(ConfigError::new(
                "--device (XR_DEVICE)",
                &*self.device,
                "no name for an interface",
                "Give 1 to 15 letters and digits.",
            ));
        }
        let is_bare_ipv6 = self.offloads == Offloads::Off
            && self.locator_of.is_some()
            && self.locators.iter().any(IpAddr::is_ipv6);
        if is_bare_ipv6 {
            return Err(ConfigError::new(
                "--locator-of (XR_LOCATOR_OF)",
                self.locator_of.clone().unwrap_or_default(),
                "it has an address of IPv6, whose source no system fills in for whole packets",
                "Leave --offloads auto (XR_OFFLOADS), or use an interface without IPv6.",
            ));
        }
        let outside = |prefix: &&IpNet| {
            !self
                .endpoints
                .iter()
                .any(|endpoint| endpoint.contains(*prefix))
        };
        if let Some(prefix) = self.mapping.register.iter().find(outside) {
            return Err(ConfigError::new(
                "--register (XR_REGISTER)",
                prefix.to_string(),
                "it is in no prefix of --endpoint, so that its packets would be dropped here",
                "Register what lies within --endpoint (XR_ENDPOINT).",
            ));
        }
        Ok(())
    }

    /// The addresses of `--locator-of`, where that is given, become the locators.
    pub(crate) fn find_locators(&mut self) -> Result<(), ConfigError> {
        let Some(interface) = &self.locator_of else {
            return Ok(());
        };
        let wrong = |why: String| {
            ConfigError::new(
                "--locator-of (XR_LOCATOR_OF)",
                &**interface,
                why,
                "Name an interface that is up and has an address; `ip address` lists them.",
            )
        };
        self.locators = addresses(interface).map_err(|error| wrong(error.to_string()))?;
        if self.locators.is_empty() {
            return Err(wrong("it has no address, or is not there".to_owned()));
        }
        Ok(())
    }

    /// The addresses that the sockets of the data plane have: those of an interface may change, and the system then takes its present one.
    pub(crate) fn data_addresses(&self) -> Vec<IpAddr> {
        let of_system = |locator: &IpAddr| match locator {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        if self.locator_of.is_some() {
            self.locators.iter().map(of_system).collect()
        } else {
            self.locators.clone()
        }
    }

    /// The prefixes that are routed into the device.
    pub(crate) fn routes(&self) -> Vec<IpNet> {
        if self.routes.is_empty() {
            self.mappings.iter().map(|mapping| mapping.prefix).collect()
        } else {
            self.routes.clone()
        }
    }

    /// The MTU of the device: what fits into the tunnel to the locators with the shortest headers, S of RFC 9300, 7.1.
    pub(crate) fn device_mtu(&self) -> usize {
        let link = usize::from(self.link_mtu);
        let longest = self
            .locators
            .iter()
            .map(|locator| longest_inner(link, *locator));
        longest.max().unwrap_or(link)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        xtr: XtrArgs,
    }

    fn args(more: &[&str]) -> XtrArgs {
        let always = ["xtr", "--endpoint", "10.96.0.0/16"];
        let all = always.iter().chain(more);
        Program::try_parse_from(all)
            .map_err(|error| error.to_string())
            .unwrap()
            .xtr
    }

    #[test]
    fn one_locator_of_each_family() {
        assert!(args(&["--locator", "10.0.0.1,2001:db8::1"]).check().is_ok());
        let twice = args(&["--locator", "10.0.0.1,10.0.0.2"]).check();
        assert_eq!(twice.unwrap_err().value, "10.0.0.2");
        let long = args(&["--locator", "10.0.0.1", "--device", "a-name-of-sixteen"]);
        assert_eq!(long.check().unwrap_err().origin, "--device (XR_DEVICE)");
    }

    #[test]
    fn locators_that_follow_an_interface_are_the_systems_in_the_data_plane() {
        let more = ["--map-server", "10.0.0.9", "--key-file", "key"];
        let mut one = args(&[["--locator-of", "lo"].as_slice(), &more].concat());
        one.find_locators().unwrap();
        assert_eq!(one.locators[0], IpAddr::from([127, 0, 0, 1]));
        assert_eq!(one.data_addresses()[0], IpAddr::from([0, 0, 0, 0]));
        let mut none = args(&[["--locator-of", "no-such-one"].as_slice(), &more].concat());
        assert_eq!(none.find_locators().unwrap_err().value, "no-such-one");
        let fixed = args(&["--locator", "10.0.0.1"]);
        assert_eq!(fixed.data_addresses(), fixed.locators);
    }

    #[test]
    fn routes_and_mtu_follow_from_the_rest() {
        let one = args(&["--locator", "10.0.0.1", "--map", "10.97.0.0/16=10.0.0.2"]);
        assert_eq!(one.routes(), ["10.97.0.0/16".parse().unwrap()]);
        assert_eq!(one.device_mtu(), 1464);
        let other = args(&[
            "--locator",
            "2001:db8::1",
            "--route",
            "10.0.0.0/8",
            "--map",
            "10.97.0.0/16=10.0.0.2",
        ]);
        assert_eq!(other.routes(), ["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(other.device_mtu(), 1444);
    }
}
