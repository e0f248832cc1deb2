//! Mappings that are given on the command line, for a tunnel router that asks nobody.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::data::table::Path;

/// One mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StaticMapping {
    /// The prefix.
    pub prefix: IpNet,
    /// The path of the prefix's packets.
    pub path: Path,
}

const EXPECTED: &str = "expected PREFIX=LOCATOR[@PRIORITY/WEIGHT],..., such as 10.96.0.0/16=10.0.0.11, or \
     10.96.0.10/32=10.0.0.11@1/70,10.0.0.12@1/30, or 10.97.0.0/16=drop";

/// Reads a mapping, for clap's `value_parser`.
pub(crate) fn mapping(text: &str) -> Result<StaticMapping, String> {
    read(text).ok_or_else(|| EXPECTED.to_owned())
}

fn read(text: &str) -> Option<StaticMapping> {
    let (prefix, path) = text.split_once('=')?;
    let prefix = prefix
        .parse::<IpNet>()
        .or_else(|_| prefix.parse::<IpAddr>().map(IpNet::from))
        .ok()?
        .trunc();
    let path = match path {
        "drop" => Path::Drop,
        "native" => Path::Natively,
        list => {
            let locators: Option<Vec<_>> = list.split(',').map(|one| one.parse().ok()).collect();
            Path::Tunnel(locators?)
        }
    };
    Some(StaticMapping { prefix, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read_or_taught() {
        let read = mapping("10.96.3.0/16=10.0.0.11@1/70,10.0.0.12@1/30,2001:db8::1@2/0").unwrap();
        assert_eq!(read.prefix.to_string(), "10.96.0.0/16");
        let Path::Tunnel(locators) = &read.path else {
            panic!("{read:?}");
        };
        let addresses: Vec<_> = locators
            .iter()
            .map(|locator| locator.address.to_string())
            .collect();
        assert_eq!(addresses, ["10.0.0.11", "10.0.0.12", "2001:db8::1"]);
        assert_eq!(
            mapping("10.96.0.10=10.0.0.1").unwrap().prefix.to_string(),
            "10.96.0.10/32"
        );
        assert_eq!(mapping("::/0=drop").unwrap().path, Path::Drop);
        assert_eq!(mapping("::/0=native").unwrap().path, Path::Natively);
        for wrong in [
            "",
            "10.0.0.0/8",
            "10.0.0.0/8=",
            "10.0.0.0/33=10.0.0.1",
            "10.0.0.0/8=10.0.0.1@1",
            "10.0.0.0/8=10.0.0.1@256/1",
        ] {
            assert!(mapping(wrong).unwrap_err().contains("10.0.0.11"), "{wrong}");
        }
    }
}
