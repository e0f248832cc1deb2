//! What the crate's tests start as a process of its own: a runner to be killed, a pod that floods, the WAN's link.

use std::net::UdpSocket;
use std::path::Path;
use std::process::ExitCode;

use testbed::wan::link::{self, LinkArgs, SUBCOMMAND};
use testbed::{Placement, Spec, Testbed};
use timeline::UnixMicros;

#[expect(
    clippy::print_stdout,
    reason = "the test that started it reads it there"
)]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        // Starts a process that logs into a folder, names it, and waits for its own end.
        ["runner", dir] => {
            let testbed = Testbed::new(Placement::Host, || UnixMicros(0), |_| {});
            let spec = Spec {
                args: vec!["1000".to_owned()],
                ..Spec::new("sleep", "/bin/sleep", Path::new(dir).join("sleep.log"))
            };
            let process = testbed.start(spec).expect("started");
            println!("child {}", process.pid().expect("alive"));
            stay()
        }
        // Sends so many datagrams to the first address, and so many to a socket of its own that takes none.
        ["flood", to, sent, unread] => {
            let count = |number: &str| number.parse::<u64>().expect("a number");
            let out = UdpSocket::bind("0.0.0.0:0").expect("bound");
            for _ in 0..count(sent) {
                out.send_to(&[7; 1000], to).expect("sent");
            }
            let full = UdpSocket::bind("127.0.0.1:0").expect("bound");
            let full_address = full.local_addr().expect("bound");
            for _ in 0..count(unread) {
                out.send_to(&[7; 1000], full_address).expect("sent");
            }
            stay()
        }
        [SUBCOMMAND, arg] => {
            let args = LinkArgs::parse(arg).expect("what LinkArgs wrote");
            link::serve(&args).expect("served");
            ExitCode::SUCCESS
        }
        _ => ExitCode::from(64),
    }
}

fn stay() -> ! {
    loop {
        std::thread::park();
    }
}
