//! Many datagrams in one system call, with what the outer header says beside each.
//!
//! nix wraps the same calls, but gives all messages of a call one set of control messages, and does not restore the length of
//! theirs between two calls.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::libc;
use socket2::SockAddr;

use crate::data::decap::Seen;

/// Room for the control messages of one datagram: traffic class, hop limit, segment size.
const CONTROL_BYTES: usize = 128;

/// Control messages, aligned as the system wants them.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// A datagram to be sent, or several of one length behind each other.
pub(crate) struct Message<'a> {
    /// The address that the datagram goes to.
    pub to: SocketAddr,
    /// The parts that the datagram is made of.
    pub parts: &'a [IoSlice<'a>],
    /// Traffic class and hop limit of the outer header, where the socket makes one.
    pub outer: Option<Seen>,
    /// The length of each datagram, if `parts` are several.
    pub segment: Option<u16>,
}

/// Sends the messages in order. Returns how many the system took, which is at least one; an error is that of the first.
#[expect(
    unsafe_code,
    reason = "no crate sends messages with different control messages"
)]
pub(crate) fn send(socket: BorrowedFd<'_>, messages: &[Message<'_>]) -> io::Result<usize> {
    let addresses: Vec<SockAddr> = messages.iter().map(|message| message.to.into()).collect();
    let mut controls: Vec<Control> = Vec::new();
    if messages
        .iter()
        .any(|message| message.outer.is_some() || message.segment.is_some())
    {
        controls.resize(messages.len(), Control([0; CONTROL_BYTES]));
    }
    let mut headers = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        // SAFETY: every field of the structure is a number or a pointer, for which zero is a value.
        let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        let head = &mut header.msg_hdr;
        head.msg_name = addresses[index].as_ptr().cast_mut().cast();
        head.msg_namelen = addresses[index].len();
        head.msg_iov = message.parts.as_ptr().cast_mut().cast();
        head.msg_iovlen = message.parts.len();
        if let Some(control) = controls.get_mut(index) {
            head.msg_control = control.0.as_mut_ptr().cast();
            head.msg_controllen = CONTROL_BYTES;
            // SAFETY: the control buffer is zeroed and as long as the header says.
            head.msg_controllen = unsafe { write_control(head, message) };
        }
        headers.push(header);
    }
    let count = libc::c_uint::try_from(headers.len()).unwrap_or(libc::c_uint::MAX);
    // SAFETY: the headers point to addresses, parts and control messages that outlive the call, with their lengths.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Writes the control messages of `message` and returns their length.
///
/// # Safety
///
/// `head` has a zeroed control buffer of [`CONTROL_BYTES`].
#[expect(
    unsafe_code,
    reason = "control messages are written through the system's own macros"
)]
unsafe fn write_control(head: &libc::msghdr, message: &Message<'_>) -> usize {
    let mut written = 0;
    // SAFETY: the buffer has room for three messages of an int each, and the macros walk it.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(head);
        let mut put = |level, kind, value: &[u8]| {
            let length = u32::try_from(value.len()).expect("an int at most");
            (*at).cmsg_level = level;
            (*at).cmsg_type = kind;
            (*at).cmsg_len = libc::CMSG_LEN(length) as usize;
            std::ptr::copy_nonoverlapping(value.as_ptr(), libc::CMSG_DATA(at), value.len());
            written += libc::CMSG_SPACE(length) as usize;
            at = libc::CMSG_NXTHDR(head, at);
        };
        if let Some(outer) = message.outer {
            let (tos, ttl) = (
                i32::from(outer.tos).to_ne_bytes(),
                i32::from(outer.ttl).to_ne_bytes(),
            );
            if message.to.is_ipv4() {
                put(libc::IPPROTO_IP, libc::IP_TOS, &tos);
                put(libc::IPPROTO_IP, libc::IP_TTL, &ttl);
            } else {
                put(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &tos);
                put(libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT, &ttl);
            }
        }
        if let Some(segment) = message.segment {
            put(libc::SOL_UDP, libc::UDP_SEGMENT, &segment.to_ne_bytes());
        }
    }
    written
}

/// A datagram that was received, or several of one length behind each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    /// The length of all of them.
    pub bytes: usize,
    /// The length of each of them; the last may be shorter.
    pub segment: usize,
    /// The fields of the outer header.
    pub seen: Seen,
    /// Whether the datagram was longer than its buffer.
    pub is_cut_off: bool,
}

/// Buffers for a batch of datagrams.
pub(crate) struct Inbox {
    buffers: Vec<Vec<u8>>,
    controls: Vec<Control>,
    received: Vec<Received>,
}

impl Inbox {
    /// Room for so many datagrams, of so many bytes each.
    pub(crate) fn new(datagrams: usize, bytes: usize) -> Self {
        Self {
            buffers: vec![vec![0; bytes]; datagrams],
            controls: vec![Control([0; CONTROL_BYTES]); datagrams],
            received: Vec::with_capacity(datagrams),
        }
    }

    /// Receives what is there, and returns whether all buffers were filled; an error of kind `WouldBlock` when nothing is.
    #[expect(
        unsafe_code,
        reason = "nix does not restore the length of control messages"
    )]
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<bool> {
        self.received.clear();
        let mut parts: Vec<libc::iovec> = self
            .buffers
            .iter_mut()
            .map(|buffer| libc::iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: buffer.len(),
            })
            .collect();
        let mut headers: Vec<libc::mmsghdr> = parts
            .iter_mut()
            .zip(&mut self.controls)
            .map(|(part, control)| {
                // SAFETY: every field of the structure is a number or a pointer, for which zero is a value.
                let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
                header.msg_hdr.msg_iov = part;
                header.msg_hdr.msg_iovlen = 1;
                header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
                header.msg_hdr.msg_controllen = CONTROL_BYTES;
                header
            })
            .collect();
        let count = libc::c_uint::try_from(headers.len()).unwrap_or(libc::c_uint::MAX);
        // SAFETY: the headers point to buffers of their lengths, which are borrowed for the call.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
        for header in &headers[..got] {
            // SAFETY: the system has written the control messages, and their length into the header.
            self.received.push(unsafe { read(header) });
        }
        Ok(got == headers.len())
    }

    /// The datagrams that were received, each with its bytes.
    pub(crate) fn datagrams(&mut self) -> impl Iterator<Item = (&mut [u8], Received)> {
        let received = self.received.iter().copied();
        self.buffers
            .iter_mut()
            .zip(received)
            .map(|(buffer, received)| (&mut buffer[..received.bytes], received))
    }
}

/// The system's account of a received message.
///
/// # Safety
///
/// The header's control buffer was filled by the system.
#[expect(
    unsafe_code,
    reason = "control messages are read through the system's own macros"
)]
unsafe fn read(header: &libc::mmsghdr) -> Received {
    let bytes = header.msg_len as usize;
    let mut received = Received {
        bytes,
        segment: bytes,
        // The socket asks for both, so that neither is missing; a packet without them takes nothing of the outer header.
        seen: Seen {
            tos: 0,
            ttl: u8::MAX,
        },
        is_cut_off: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
    };
    // SAFETY: the macros walk the control messages within the length that the system wrote, and each is as long as it says.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(&raw const header.msg_hdr);
        while !at.is_null() {
            let (level, kind) = ((*at).cmsg_level, (*at).cmsg_type);
            let data = libc::CMSG_DATA(at);
            let has = |length: u32| (*at).cmsg_len >= libc::CMSG_LEN(length) as usize;
            let int = || has(4).then(|| data.cast::<i32>().read_unaligned());
            match (level, kind) {
                (libc::IPPROTO_IP, libc::IP_TOS) if has(1) => received.seen.tos = *data,
                (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                    let ttl = int().and_then(|ttl| u8::try_from(ttl).ok());
                    received.seen.ttl = ttl.unwrap_or(received.seen.ttl);
                }
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                    let tos = int().and_then(|tos| u8::try_from(tos).ok());
                    received.seen.tos = tos.unwrap_or(received.seen.tos);
                }
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let segment = int().and_then(|segment| usize::try_from(segment).ok());
                    received.segment = segment.filter(|segment| *segment > 0).unwrap_or(bytes);
                }
                _ => {}
            }
            at = libc::CMSG_NXTHDR(&raw const header.msg_hdr, at);
        }
    }
    received
}

/// Sets an option of a socket that no crate has a name for.
#[expect(
    unsafe_code,
    reason = "the crates in use have no names for these options"
)]
pub(crate) fn set_option(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("four");
    // SAFETY: the value is an int and lives for the call.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            length,
        )
    };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
