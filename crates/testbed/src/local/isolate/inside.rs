//! What the runner finds inside: `lo`, the management bridge, a folder for the control sockets of WireGuard, and one for the files
//! of labs.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::mount::{MsFlags, mount};

use super::failure::EnterError;
use super::isolation::{MANAGEMENT_ADDRESS, MANAGEMENT_BRIDGE, MANAGEMENT_PREFIX};
use crate::local::{command, files};
use crate::netns;

/// Where `wg` and `wireguard-go` meet: compiled into both.
const WIREGUARD: &str = "/var/run/wireguard";

/// Sets up the namespaces from inside. The caller has one thread.
pub(super) fn prepare() -> Result<(), EnterError> {
    name_this_process();
    for what in [WIREGUARD, files::FOLDER] {
        own_folder(Path::new(what)).map_err(|source| EnterError::Mount { what, source })?;
    }
    netns::no_ipv6();
    let lines = format!(
        "link set dev lo up\n\
         link add name {MANAGEMENT_BRIDGE} type bridge\n\
         address add {MANAGEMENT_ADDRESS}/{MANAGEMENT_PREFIX} dev {MANAGEMENT_BRIDGE}\n\
         link set dev {MANAGEMENT_BRIDGE} up\n"
    );
    command::batch("ip", &lines, None, &[]).map_err(|error| EnterError::Network(error.to_string()))
}

/// Running `/proc/self/exe` made it the process's name.
fn name_this_process() {
    let name = std::env::args_os()
        .next()
        .and_then(|arg| CString::new(Path::new(&arg).file_name()?.as_bytes()).ok());
    if let Some(name) = name {
        // For whoever reads `ps`; nothing depends on it.
        let _ = nix::sys::prctl::set_name(&name);
    }
}

/// Makes this a folder of our own: two runners may have interfaces and labs of the same name.
fn own_folder(folder: &Path) -> io::Result<()> {
    if !folder.is_dir() && fs::create_dir(folder).is_err() {
        own_run()?;
        fs::create_dir(folder)?;
    }
    tmpfs(folder, "mode=700")
}

fn tmpfs(on: &Path, options: &str) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("xrbench"), on, Some("tmpfs"), flags, Some(options)).map_err(io::Error::from)
}

/// Covers `/run`, where an ordinary user may make nothing, with a folder of our own that shows what was there.
fn own_run() -> io::Result<()> {
    let run = fs::canonicalize("/var/run").unwrap_or_else(|_| "/run".into());
    let before = fs::File::open(&run)?;
    tmpfs(&run, "mode=755")?;
    let hidden = format!("/proc/self/fd/{}", before.as_raw_fd());
    for entry in fs::read_dir(&hidden)?.flatten() {
        let to = run.join(entry.file_name());
        // What cannot be shown, such as what this user may not read, is not needed here.
        let _ = show(&entry.path(), &to);
    }
    fs::set_permissions(&run, fs::Permissions::from_mode(0o755))
}

fn show(from: &Path, to: &Path) -> io::Result<()> {
    let kind = fs::symlink_metadata(from)?.file_type();
    if kind.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    if kind.is_dir() {
        fs::create_dir(to)?;
    } else {
        fs::File::create(to)?;
    }
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(from), to, None::<&str>, flags, None::<&str>).map_err(io::Error::from)
}
