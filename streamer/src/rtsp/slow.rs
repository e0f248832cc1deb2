//! What the system knows of a viewer's connection: how much it has sent, and how much it has not taken. A viewer on TCP that
//! keeps up leaves nothing unsent between frames.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

/// More than this unsent is a backlog. A frame of 6 Mbit/s at 60 a second has 12 500 bytes; a key frame may have eight
/// times that, for some tens of milliseconds.
pub const BACKLOG_BYTES: usize = 32 * 1024;

/// Watches one viewer's backlog. Pure: time is an argument.
#[derive(Debug, Default)]
pub struct Meter {
    behind_since: Option<Instant>,
}

impl Meter {
    /// At `now`, so many bytes are unsent: whether the viewer has been behind for `patience` without a break.
    pub fn observe(&mut self, now: Instant, unsent: usize, patience: Duration) -> bool {
        if unsent <= BACKLOG_BYTES {
            self.behind_since = None;
            return false;
        }
        let since = *self.behind_since.get_or_insert(now);
        now.saturating_duration_since(since) >= patience
    }
}

/// Bytes that were written to `stream` and not yet sent.
pub fn unsent_bytes(stream: &TcpStream) -> io::Result<usize> {
    let mut bytes: nix::libc::c_int = 0;
    #[expect(unsafe_code, reason = "no crate wraps this ioctl")]
    // SAFETY: SIOCOUTQNSD (tcp(7), linux/sockios.h) writes one int to the address, which is that of a live local.
    unsafe {
        outq_not_sent(stream.as_raw_fd(), &raw mut bytes)?;
    }
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// Bytes that were received on `stream` so far, read or not.
pub fn received_bytes(stream: &TcpStream) -> io::Result<u64> {
    /// Where `tcpi_bytes_received` lies in `struct tcp_info` (linux/tcp.h, since 4.1); glibc's own structure ends before it.
    const RECEIVED: std::ops::Range<usize> = 128..136;
    let mut info = [0_u8; RECEIVED.end];
    let mut length = nix::libc::socklen_t::try_from(RECEIVED.end).map_err(io::Error::other)?;
    #[expect(unsafe_code, reason = "no crate reads so far into this structure")]
    // SAFETY: the kernel writes at most `length` bytes, which is the size of the live local array, and sets `length`.
    let answer = unsafe {
        nix::libc::getsockopt(
            stream.as_raw_fd(),
            nix::libc::IPPROTO_TCP,
            nix::libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    nix::errno::Errno::result(answer)?;
    let received = info[RECEIVED]
        .try_into()
        .ok()
        .filter(|_| length as usize >= RECEIVED.end);
    received
        .map(u64::from_ne_bytes)
        .ok_or_else(|| io::ErrorKind::Unsupported.into())
}

nix::ioctl_read_bad!(outq_not_sent, 0x894b, nix::libc::c_int);

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    #[test]
    fn only_an_unbroken_backlog_counts() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut meter = Meter::default();
        assert!(!meter.observe(at(0), BACKLOG_BYTES + 1, PATIENCE));
        assert!(!meter.observe(at(1900), BACKLOG_BYTES * 9, PATIENCE));
        assert!(!meter.observe(at(2000), 0, PATIENCE), "it caught up");
        assert!(!meter.observe(at(2100), BACKLOG_BYTES + 1, PATIENCE));
        assert!(!meter.observe(at(4000), BACKLOG_BYTES + 1, PATIENCE));
        assert!(meter.observe(at(4100), BACKLOG_BYTES + 1, PATIENCE));
    }

    #[test]
    fn the_system_tells_what_a_peer_does_not_take() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_receiver, _) = listener.accept().unwrap();
        assert_eq!(unsent_bytes(&sender).unwrap(), 0);
        sender.set_nonblocking(true).unwrap();
        let block = vec![0; 1 << 20];
        while sender.write(&block).is_ok() {}
        assert!(unsent_bytes(&sender).unwrap() > BACKLOG_BYTES);
    }

    #[test]
    fn the_system_tells_what_a_peer_has_sent() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (receiver, _) = listener.accept().unwrap();
        assert_eq!(received_bytes(&receiver).unwrap(), 0);
        sender.write_all(&[0; 1234]).unwrap();
        let mut all = [0; 1234];
        // Once it can be read it has been counted.
        io::Read::read_exact(&mut (&receiver), &mut all).unwrap();
        assert_eq!(received_bytes(&receiver).unwrap(), 1234);
    }
}
