//! What a fabric is built with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::keys::Keys;

/// What does the work in a fabric: the kernel where it can, a program or a near relative elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backends {
    pub wireguard: WireguardBackend,
    /// What carries packets within a cluster in Liqo v1.2. Its v0.10 has VXLAN.
    pub overlay: OverlayBackend,
    /// Who delays and loses. A WAN that does nothing is a plain pair of devices whatever this says.
    pub wan: WanBackend,
}

/// The implementation of WireGuard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireguardBackend {
    /// The kernel's `wireguard` device.
    Kernel,
    /// `wireguard-go`, a process for each gateway.
    Userspace,
}

/// What carries packets within a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverlayBackend {
    /// As Liqo has it.
    Geneve,
    /// VXLAN on Geneve's UDP port, with the same 50 bytes, where the kernel has no Geneve.
    Vxlan,
}

/// Who delays and loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WanBackend {
    /// The kernel's queueing discipline, on a pair of virtual Ethernet devices.
    Netem,
    /// A process, [`Program::WanLink`], between two TUN devices.
    Userspace,
}

/// A program that a fabric may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// The WAN's userspace link: `xrbench`, with its subcommand `wan-link`.
    WanLink,
    /// wireguard-go, the tunnel in user space.
    WireguardGo,
    /// The tunnel routers and the control plane of LISP.
    Lisp,
    /// The agent of a cluster in a LISP network: `xrbench`, with its subcommand `lisp-agent`.
    LispAgent,
}

impl Program {
    /// The program's name, by which an installed one is looked up.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WanLink | Self::LispAgent => "xrbench",
            Self::WireguardGo => "wireguard-go",
            Self::Lisp => "xr-lisp",
        }
    }
}

/// What a fabric is made with, beside what is asked for.
#[derive(Clone, Debug)]
pub struct FabricInputs {
    /// Who does the work.
    pub backends: Backends,
    /// Secrets: fresh ones for each lab.
    pub keys: Keys,
    /// Where the userspace WAN's randomness starts.
    pub wan_seed: u64,
    /// The files of programs; one that is not named here is looked up where the lab runs.
    pub programs: BTreeMap<Program, PathBuf>,
}

impl FabricInputs {
    pub(super) fn program(&self, program: Program) -> PathBuf {
        let file = self.programs.get(&program).cloned();
        file.unwrap_or_else(|| program.name().into())
    }
}
