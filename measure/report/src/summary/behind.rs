//! Clients that did not keep up with their stream, in words.

use std::cmp::Reverse;

use result::RepetitionMeta;

/// As many clients are named.
const NAMED: usize = 8;

/// That clients of a repetition could not keep up, and which; none where all could.
pub(super) fn told(meta: &RepetitionMeta) -> Option<String> {
    let frames = meta.client_behind;
    (frames > 0).then(|| {
        format!(
            "{} could not keep up with the stream: {frames} frames came and were not decoded, because they stood before their decoder \
             more than three frame intervals late; they count as lost. Where the client has too little processor, take fewer pixels or \
             frames (size, fps), more client.decoder_threads, or another machine; where the network is too narrow for a key frame, fewer \
             bits (bitrate)",
            whom(meta)
        )
    })
}

/// The clients that were behind, those first that were most; of a repetition with one client, that it was.
fn whom(meta: &RepetitionMeta) -> String {
    if meta.clients_behind.len() < 2 {
        return "the client".into();
    }
    let clients = meta.clients_behind.iter();
    let mut slow: Vec<_> = clients.filter(|(_, frames)| **frames > 0).collect();
    slow.sort_by_key(|(_, frames)| Reverse(**frames));
    let named = slow.iter().take(NAMED);
    let mut named: Vec<_> = named
        .map(|(client, frames)| format!("{client} ({frames} frames)"))
        .collect();
    if slow.len() > NAMED {
        named.push(format!("{} more clients", slow.len() - NAMED));
    }
    match named.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => "the client".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(clients: &[(&str, u64)]) -> RepetitionMeta {
        let clients = clients.iter();
        RepetitionMeta {
            client_behind: clients.clone().map(|(_, frames)| frames).sum(),
            clients_behind: clients
                .map(|(name, frames)| ((*name).into(), *frames))
                .collect(),
            ..RepetitionMeta::default()
        }
    }

    #[test]
    fn slow_clients_are_named_where_there_are_others() {
        let begins = |clients: &[(&str, u64)], with: &str| {
            let said = told(&of(clients)).expect("one was behind");
            assert!(said.starts_with(with), "{said}");
        };
        assert_eq!(told(&of(&[("client", 0), ("client-2", 0)])), None);
        begins(
            &[("client", 37)],
            "the client could not keep up with the stream: 37 frames came",
        );
        begins(
            &[("client", 0), ("client-2", 37)],
            "client-2 (37 frames) could not keep up with the stream: 37 frames came",
        );
        begins(
            &[
                ("client", 1),
                ("client-2", 37),
                ("client-3", 0),
                ("client-4", 2),
            ],
            "client-2 (37 frames), client-4 (2 frames) and client (1 frames) could not keep up with the stream: 40 frames",
        );
        let many: Vec<_> = (1..=12)
            .map(|number| (format!("client-{number}"), 5))
            .collect();
        let many: Vec<_> = many
            .iter()
            .map(|(name, frames)| (name.as_str(), *frames))
            .collect();
        let said = told(&of(&many)).expect("all were behind");
        assert!(
            said.contains(" and 4 more clients could not keep up"),
            "{said}"
        );
        // As earlier versions wrote it.
        let before = RepetitionMeta {
            client_behind: 3,
            ..RepetitionMeta::default()
        };
        assert!(
            told(&before)
                .expect("behind")
                .starts_with("the client could not")
        );
    }
}
