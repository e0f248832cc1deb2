//! Pictures of the film that the renderer could not read, as its page of metrics has them. Pure.

/// The renderer's count of them.
const GAUGE: &str = "xr_renderer_source_unread_pictures ";

/// The count on a renderer's page of metrics; none of an earlier renderer.
pub(super) fn counted(page: &[u8]) -> Option<u64> {
    let page = String::from_utf8_lossy(page);
    let value = page.lines().find_map(|line| line.strip_prefix(GAUGE))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_by_its_name() {
        let page = "# TYPE xr_renderer_source_unread_pictures gauge\nxr_renderer_source_unread_pictures 3\n# EOF\n";
        assert_eq!(counted(page.as_bytes()), Some(3));
        assert_eq!(counted(b"# EOF\n"), None, "an earlier renderer");
    }
}
