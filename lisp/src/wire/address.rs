//! Addresses with their family, and EIDs with their instance (RFC 8060).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::bytes::Reader;
use super::malformed::Malformed;
use crate::eid::{Eid, InstanceId};

const NONE: u16 = 0;
const IPV4: u16 = 1;
const IPV6: u16 = 2;
const LCAF: u16 = 16387;

/// The LCAF type of an address with an instance id (RFC 8060 section 4.1).
const LCAF_INSTANCE: u8 = 2;

/// Bits of an instance id that count, in the LCAF; its mask length is of meaning for ranges of instances alone.
const INSTANCE_BITS: u8 = 32;

/// An address; none for the family 0.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Option<IpAddr>, Malformed> {
    let family = reader.u16()?;
    plain(reader, family)
}

fn plain(reader: &mut Reader<'_>, family: u16) -> Result<Option<IpAddr>, Malformed> {
    match family {
        NONE => Ok(None),
        IPV4 => Ok(Some(Ipv4Addr::from(reader.u32()?).into())),
        IPV6 => Ok(Some(Ipv6Addr::from(reader.u128()?).into())),
        other => Err(Malformed::Afi(other)),
    }
}

/// An address that has to be there.
pub(super) fn read_some(reader: &mut Reader<'_>) -> Result<IpAddr, Malformed> {
    read(reader)?.ok_or(Malformed::Afi(NONE))
}

/// The address of an EID with its instance; none for the family 0.
pub(super) fn read_eid(reader: &mut Reader<'_>) -> Result<Option<(InstanceId, IpAddr)>, Malformed> {
    let family = reader.u16()?;
    if family != LCAF {
        let address = plain(reader, family)?;
        return Ok(address.map(|address| (InstanceId::default(), address)));
    }
    let (_reserved, kind) = (reader.u16()?, reader.u8()?);
    if kind != LCAF_INSTANCE {
        return Err(Malformed::Lcaf(kind));
    }
    let _mask_length = reader.u8()?;
    let length = reader.u16()?;
    let mut body = Reader::new(reader.slice(usize::from(length))?);
    let id = body.u32()?;
    let instance = InstanceId::try_from(id).map_err(|_| Malformed::Instance(id))?;
    let address = read_some(&mut body)?;
    body.end()?;
    Ok(Some((instance, address)))
}

/// An EID prefix whose length was read before it.
pub(super) fn read_prefix(reader: &mut Reader<'_>, length: u8) -> Result<Eid, Malformed> {
    let (instance, address) = read_eid(reader)?.ok_or(Malformed::Afi(NONE))?;
    let prefix = IpNet::new(address, length).map_err(|_| Malformed::MaskLength(length))?;
    Ok(Eid::new(instance, prefix))
}

/// Appends the family and the address.
pub(super) fn write(out: &mut Vec<u8>, address: Option<IpAddr>) {
    match address {
        None => out.extend(NONE.to_be_bytes()),
        Some(IpAddr::V4(address)) => {
            out.extend(IPV4.to_be_bytes());
            out.extend(address.octets());
        }
        Some(IpAddr::V6(address)) => {
            out.extend(IPV6.to_be_bytes());
            out.extend(address.octets());
        }
    }
}

/// Appends the address of an EID, as an LCAF where its instance is not 0.
pub(super) fn write_eid(out: &mut Vec<u8>, eid: &Eid) {
    if eid.instance().get() != 0 {
        let length: u16 = if eid.address().is_ipv4() { 10 } else { 22 };
        out.extend(LCAF.to_be_bytes());
        out.extend([0, 0, LCAF_INSTANCE, INSTANCE_BITS]);
        out.extend(length.to_be_bytes());
        out.extend(eid.instance().get().to_be_bytes());
    }
    write(out, Some(eid.address()));
}
