//! Frames whose reports never came, or did not count, in words.

use result::RepetitionMeta;
use stats::UnreportedCounts;

use super::NoteKind;

/// How many missing frames of each client are not known to be lost.
pub(super) fn of(meta: &RepetitionMeta) -> UnreportedCounts {
    let clients = meta.clients_unreported.iter();
    UnreportedCounts {
        all: meta
            .reports_skipped
            .saturating_add(meta.reports_implausible),
        clients: clients.map(|(name, of)| (name.clone(), of.all())).collect(),
    }
}

/// What is to be said of reports that are missing.
pub(super) fn told(meta: &RepetitionMeta) -> Vec<(NoteKind, String)> {
    const COUNTED: &str = "as many missing frames count as unreported, and not as lost, and a freeze over such a gap may be one that nobody saw";
    let mut told = Vec::new();
    let skipped = meta.reports_skipped;
    if skipped > 0 {
        let text = format!(
            "{skipped} reports of {} never came, as its queue was full or the collector away: {COUNTED}",
            whose(meta)
        );
        told.push((NoteKind::Clients, text));
    }
    let implausible = meta.reports_implausible;
    if implausible > 0 {
        let text = format!(
            "{implausible} reports of {} told times that cannot be, a picture that is decoded a minute before or after its generation, and \
             were left out: {COUNTED}. A clock was set while it was read; let chrony or ptp4l keep the clocks of all hosts, and measure again",
            whose(meta)
        );
        told.push((NoteKind::Clock, text));
    }
    told
}

/// The clients whose reports are missing.
fn whose(meta: &RepetitionMeta) -> String {
    let clients = &meta.clients_unreported;
    match clients.len() {
        0 | 1 => "the client".into(),
        2 | 3 => clients.keys().cloned().collect::<Vec<_>>().join(" and "),
        count => format!("{count} clients"),
    }
}

#[cfg(test)]
mod tests {
    use result::Unreported;

    use super::*;

    #[test]
    fn reports_that_do_not_count_are_told_by_their_reason() {
        let mut meta = RepetitionMeta::default();
        assert!(told(&meta).is_empty());
        let of_client = |skipped, implausible| Unreported {
            skipped,
            implausible,
        };
        meta.set_unreported([("client", of_client(0, 50))]);
        let [(NoteKind::Clock, text)] = &told(&meta)[..] else {
            panic!("{:?}", told(&meta));
        };
        assert!(
            text.starts_with("50 reports of the client told times that cannot be"),
            "{text}"
        );
        meta.set_unreported([("client", of_client(0, 0)), ("client-2", of_client(7, 1))]);
        let kinds: Vec<_> = told(&meta).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [NoteKind::Clients, NoteKind::Clock]);
        let counts = of(&meta);
        assert_eq!((counts.all, counts.clients.len()), (8, 1));
        // As earlier versions wrote it.
        meta.clients_unreported.clear();
        assert_eq!(of(&meta).all, 8);
    }
}
