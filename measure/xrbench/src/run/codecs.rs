//! Which encoder and decoder took part: the versions of their GStreamer plugins, and the libraries behind these.

use std::path::Path;

use super::machine::output;

/// Elements that encode or decode, and how the file of the library behind each begins.
const CODECS: [(&str, &str); 3] = [
    ("x264enc", "libx264."),
    ("openh264enc", "libopenh264."),
    ("avdec_h264", "libavcodec."),
];

/// By element: the version of its plugin and the file of its library, of those that are installed.
pub(super) async fn versions() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (element, library) in CODECS {
        let Some(inspected) = output(Path::new("gst-inspect-1.0"), &[element]).await else {
            continue;
        };
        let Some(plugin) = field(&inspected, "Filename") else {
            continue;
        };
        let mut told = format!(
            "plugin {}",
            field(&inspected, "Version").unwrap_or("unknown")
        );
        let linked = output(Path::new("ldd"), &[plugin])
            .await
            .unwrap_or_default();
        if let Some(path) = linked_to(&linked, library) {
            // A link's name has the ABI alone, and the file's the whole version.
            let file = Path::new(path).canonicalize().unwrap_or_default();
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            told = format!("{told}, {name}");
        }
        found.push((element.to_owned(), told));
    }
    found
}

/// A line of gst-inspect-1.0's "Plugin Details".
fn field<'a>(inspected: &'a str, name: &str) -> Option<&'a str> {
    inspected.lines().find_map(|line| {
        let value = line.trim().strip_prefix(name)?;
        value.starts_with(' ').then(|| value.trim())
    })
}

/// The path of the library that begins so, as ldd prints it.
fn linked_to<'a>(linked: &'a str, library: &str) -> Option<&'a str> {
    linked.lines().find_map(|line| {
        let (name, rest) = line.trim().split_once(" => ")?;
        name.starts_with(library).then(|| rest.split(" (").next())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugin_and_library_are_read() {
        let inspected = "Factory Details:\n  Rank                     primary (256)\n\nPlugin Details:\n  \
            Name                     x264\n  Filename                 /usr/lib/gstreamer-1.0/libgstx264.so\n  \
            Version                  1.22.0\n  License                  GPL\n";
        assert_eq!(
            field(inspected, "Filename"),
            Some("/usr/lib/gstreamer-1.0/libgstx264.so")
        );
        assert_eq!(field(inspected, "Version"), Some("1.22.0"));
        assert_eq!(field(inspected, "Vers"), None);
        let linked = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibx264.so.164 => /lib/x86_64-linux-gnu/libx264.so.164 (0x00007f)\n";
        assert_eq!(
            linked_to(linked, "libx264."),
            Some("/lib/x86_64-linux-gnu/libx264.so.164")
        );
        assert_eq!(linked_to(linked, "libavcodec."), None);
    }

    #[tokio::test]
    async fn the_encoder_of_this_machine_has_a_version_and_a_library() {
        let all = versions().await;
        let x264 = all.iter().find(|(element, _)| element == "x264enc");
        let (_, told) = x264.expect("GStreamer's x264 is installed");
        assert!(
            told.contains("plugin 1.") && told.contains("libx264.so."),
            "{told}"
        );
    }
}
