//! Every message that is sent, read by tshark: no expert warning, and the fields as they were meant.
//!
//! tshark 4.0 shows Map-Notify-Acks as an unknown type, bits of RFC 9437 as reserved ones, and verifies no MAC.

use std::path::Path;
use std::process::Command;

use etherparse::PacketBuilder;
use lisp::auth::{Algorithm, Key};
use lisp::eid::Eid;
use lisp::ports::CONTROL_PORT;
use lisp::wire::{
    Action, Encapsulated, Identity, Locator, MapReply, MapRequest, Record, RegisterFlags,
    ReplyFlags, RequestFlags, Signed, SignedKind,
};

/// The link type of packets that begin with their IP header.
const LINKTYPE_RAW: u32 = 101;

const IDENTITY: Identity = Identity {
    xtr_id: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff,
    site_id: 0x0102_0304_0506_0708,
};

fn eid(text: &str) -> Eid {
    text.parse().unwrap()
}

fn service(text: &str) -> Record {
    let locators = vec![
        Locator::new("2001:db8::12".parse().unwrap(), 2, 50),
        Locator::new("10.0.0.11".parse().unwrap(), 1, 100),
    ];
    Record::new(eid(text), 60, locators)
}

fn signed(kind: SignedKind, records: Vec<Record>, identity: Option<Identity>) -> Vec<u8> {
    let message = Signed {
        kind,
        nonce: 7,
        records,
        identity,
    };
    message.encode(&Key::new(1, Algorithm::Sha256, b"secretS"))
}

/// Each message that the Map-Server or an xTR sends, and what tshark is to say of it.
fn messages() -> Vec<(Vec<u8>, &'static str)> {
    let rlocs = || vec!["10.0.0.11".parse().unwrap()];
    let request = || MapRequest::new(9, eid("10.96.0.10"), rlocs());
    let mut subscription = MapRequest {
        identity: Some(IDENTITY),
        ..request()
    };
    subscription.queries[0].notify = true;
    let encapsulated = |request: MapRequest, source: &str, destination: &str| {
        let one = Encapsulated {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            request,
        };
        one.encode()
    };
    let smr = MapRequest {
        flags: RequestFlags::SMR,
        source_eid: Some(eid("10.96.0.10")),
        ..MapRequest::new(10, eid("192.168.1.0/24"), rlocs())
    };
    let reply = |records| {
        MapReply {
            flags: ReplyFlags::empty(),
            nonce: 9,
            records,
        }
        .encode()
    };
    let flags = RegisterFlags::PROXY_REPLY | RegisterFlags::WANT_NOTIFY | RegisterFlags::MERGE;
    let register = SignedKind::Register(flags);
    let negative =
        |text: &str, minutes, action| reply(vec![Record::negative(eid(text), minutes, action)]);
    vec![
        (
            signed(
                register,
                vec![service("10.96.0.10"), service("10.96.0.11")],
                Some(IDENTITY),
            ),
            "3|0x0000000000000007|0x0102|32|10.96.0.10,10.96.0.11|32,32|60,60|0,0|2,2|10.0.0.11,2001:db8::12,10.0.0.11,2001:db8::12|1,2,1,2|100,50,100,50",
        ),
        (
            signed(register, vec![service("[7]10.96.0.10")], None),
            "3|0x0000000000000007|0x0102|32||32|60|0|2|10.0.0.11,2001:db8::12|1,2|100,50",
        ),
        (
            signed(register, vec![service("2001:db8:96::/48")], Some(IDENTITY)),
            "3|0x0000000000000007|0x0102|32||48|60|0|2|10.0.0.11,2001:db8::12|1,2|100,50",
        ),
        (
            signed(SignedKind::Notify, vec![service("10.96.0.10")], None),
            "4|0x0000000000000007|0x0102|32|10.96.0.10|32|60|0|2|10.0.0.11,2001:db8::12|1,2|100,50",
        ),
        (
            signed(
                SignedKind::Notify,
                vec![Record::negative(eid("10.96.0.10"), 0, Action::NoAction)],
                None,
            ),
            "4|0x0000000000000007|0x0102|32|10.96.0.10|32|0|0|0|||",
        ),
        (
            signed(SignedKind::NotifyAck, vec![service("10.96.0.10")], None),
            "5|||||||||||",
        ),
        (
            encapsulated(request(), "10.0.0.11:4342", "10.96.0.10"),
            "8,1|0x0000000000000009||||||||||",
        ),
        (
            encapsulated(subscription, "10.0.0.11:4342", "10.96.0.10"),
            "8,1|0x0000000000000009||||||||||",
        ),
        (
            encapsulated(
                MapRequest::new(9, eid("[7]2001:db8::1"), rlocs()),
                "[2001:db8::11]:4342",
                "2001:db8::1",
            ),
            "8,1|0x0000000000000009||||||||||",
        ),
        (smr.encode(), "1|0x000000000000000a||||||||||"),
        (
            reply(vec![service("10.96.0.10")]),
            "2|0x0000000000000009|||10.96.0.10|32|60|0|2|10.0.0.11,2001:db8::12|1,2|100,50",
        ),
        (
            negative("10.96.0.0/12", 15, Action::NativelyForward),
            "2|0x0000000000000009|||10.96.0.0|12|15|1|0|||",
        ),
        (
            negative("10.96.0.10", 1, Action::AuthFailure),
            "2|0x0000000000000009|||10.96.0.10|32|1|5|0|||",
        ),
    ]
}

/// The messages as packets between two xTRs.
fn write(path: &Path, messages: &[Vec<u8>]) {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 4 << 16 | 2, 0, 0, 65_535, LINKTYPE_RAW] {
        file.extend(word.to_le_bytes());
    }
    for (second, message) in (0_u32..).zip(messages) {
        let mut packet = Vec::new();
        PacketBuilder::ipv4([10, 0, 0, 11], [10, 0, 0, 1], 64)
            .udp(CONTROL_PORT, CONTROL_PORT)
            .write(&mut packet, message)
            .unwrap();
        let length = u32::try_from(packet.len()).unwrap();
        for word in [second, 0, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    std::fs::write(path, file).unwrap();
}

fn tshark(path: &Path, arguments: &[&str]) -> String {
    let output = Command::new("tshark")
        .args(["-o", "udp.check_checksum:TRUE", "-r"])
        .arg(path)
        .args(arguments)
        .output()
        .expect("tshark is installed: scripts/deps.sh");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn tshark_reads_every_message_as_it_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("messages.pcap");
    let (bytes, wanted): (Vec<_>, Vec<_>) = messages().into_iter().unzip();
    write(&path, &bytes);

    let wrong =
        "_ws.malformed || lisp.undecoded || _ws.expert.severity>=6291456 || udp.checksum.status==0";
    assert_eq!(tshark(&path, &["-Y", wrong]), "");
    let fields = [
        "lisp.type",
        "lisp.nonce",
        "lisp.keyid",
        "lisp.authlen",
        "lisp.mapping.eid.ipv4",
        "lisp.mapping.eid.masklen",
        "lisp.mapping.ttl",
        "lisp.mapping.act",
        "lisp.mapping.loccnt",
        "lisp.loc.locator",
        "lisp.loc.priority",
        "lisp.loc.weight",
    ];
    let mut arguments = vec!["-T", "fields", "-E", "separator=|"];
    arguments.extend(fields.iter().flat_map(|field| ["-e", field]));
    let told = tshark(&path, &arguments);
    let told: Vec<_> = told.lines().collect();
    assert_eq!(told, wanted, "{told:#?}");
    let ids = tshark(
        &path,
        &[
            "-Y",
            "lisp.xtrid",
            "-T",
            "fields",
            "-e",
            "lisp.xtrid",
            "-e",
            "lisp.siteid",
        ],
    );
    assert_eq!(ids.lines().count(), 2);
    assert_eq!(
        ids.lines().next(),
        Some("00112233445566778899aabbccddeeff\t0102030405060708")
    );

    // What is cut or changed does not pass: the filter can fail.
    let mut cut = bytes[0].clone();
    cut.truncate(70);
    write(&path, &[cut]);
    assert_ne!(tshark(&path, &["-Y", wrong]), "");
}
