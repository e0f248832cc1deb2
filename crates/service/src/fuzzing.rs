//! The parser of the kernel's text, for fuzz targets: no interface of the crate.

use crate::process;

/// Reads the number after `key:` in `status` of proc(5).
pub fn status_field(status: &str, key: &str) -> Option<f64> {
    process::field(status, key)
}
