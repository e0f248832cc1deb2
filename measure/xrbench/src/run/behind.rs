//! Frames for which clients were too slow: what each has counted itself, from the beginning of the measured time on. Pure.

use std::collections::BTreeMap;

/// A client's counter of frames that it did not decode because it was behind the stream.
const COUNTER: &str = "xr_client_frames_total{outcome=\"behind\"} ";

/// A client that counts, of which there may be another after it: a process that is started again begins at 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Counting {
    /// The name under which the client reports.
    pub(super) client: String,
    /// What tells its process from the one before: the name of its pod, or when it was started.
    pub(super) instance: String,
}

/// What each client has counted, up to where it was taken.
#[derive(Debug, Default)]
pub(super) struct Behind(BTreeMap<Counting, u64>);

impl Behind {
    /// Nothing is taken of what was counted before.
    pub(super) fn from(counts: Vec<(Counting, u64)>) -> Self {
        Self(counts.into_iter().collect())
    }

    /// Takes by client what was counted since; 0 of one that was never behind.
    pub(super) fn take(&mut self, counts: Vec<(Counting, u64)>) -> BTreeMap<String, u64> {
        let mut taken = BTreeMap::new();
        for (counting, now) in counts {
            let client = counting.client.clone();
            let before = self.0.insert(counting, now).unwrap_or(0);
            *taken.entry(client).or_default() += now.saturating_sub(before);
        }
        taken
    }
}

/// The count on a client's page of metrics; none of an earlier client.
pub(super) fn counted(page: &[u8]) -> Option<u64> {
    let page = String::from_utf8_lossy(page);
    let value = page.lines().find_map(|line| line.strip_prefix(COUNTER))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(counts: &[(&str, &str, u64)]) -> Vec<(Counting, u64)> {
        let counts = counts.iter().map(|(client, instance, count)| {
            let (client, instance) = ((*client).to_owned(), (*instance).to_owned());
            (Counting { client, instance }, *count)
        });
        counts.collect()
    }

    #[test]
    fn each_client_has_a_count_of_its_own_which_a_new_process_goes_on_with() {
        let mut behind = Behind::from(of(&[("client", "a", 5), ("client-2", "b", 70)]));
        let taken = behind.take(of(&[("client", "a", 5), ("client-2", "b", 90)]));
        assert_eq!(
            taken,
            [("client".into(), 0), ("client-2".into(), 20)].into()
        );
        // One was killed, the other did not answer, and a third one had not answered before.
        let taken = behind.take(of(&[("client", "c", 3), ("client-3", "d", 1)]));
        assert_eq!(taken, [("client".into(), 3), ("client-3".into(), 1)].into());
        let taken = behind.take(of(&[("client", "c", 4), ("client-2", "b", 91)]));
        assert_eq!(taken, [("client".into(), 1), ("client-2".into(), 1)].into());
    }

    #[test]
    fn a_counter_is_found_by_its_label() {
        let page = "# TYPE xr_client_frames counter\nxr_client_frames_total{outcome=\"shown\"} 812\n\
                    xr_client_frames_total{outcome=\"behind\"} 41\n# EOF\n";
        assert_eq!(counted(page.as_bytes()), Some(41));
        assert_eq!(counted(b"# EOF\n"), None, "an earlier client");
    }
}
