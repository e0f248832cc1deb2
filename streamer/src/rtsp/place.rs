//! The places that RTSP connections take. One is free again when the RTSP server has let go of the connection, and whoever
//! copies for it has too.

use std::sync::Arc;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How many connections are open. Clones are the same count.
#[derive(Clone, Debug)]
pub(super) struct Places {
    open: watch::Sender<usize>,
    gauge: Gauge,
}

impl Places {
    /// None is taken; `gauge` shows how many are.
    pub(super) fn new(gauge: Gauge) -> Self {
        let open = watch::Sender::new(0);
        Self { open, gauge }
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        *self.open.borrow()
    }

    /// Takes another.
    pub(super) fn take(&self) -> Place {
        self.open.send_modify(|open| *open += 1);
        self.gauge.inc();
        Place(Arc::new(Taken {
            places: self.clone(),
            over: CancellationToken::new(),
        }))
    }

    /// Waits until none is taken.
    pub(super) async fn all_free(&self) {
        // The sender is in `self`.
        let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
    }
}

/// The place of one connection, which is free when the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct Place(Arc<Taken>);

#[derive(Debug)]
struct Taken {
    places: Places,
    over: CancellationToken,
}

impl Place {
    /// The RTSP server has let go of the connection, or will never have it.
    pub(super) fn end(&self) {
        self.0.over.cancel();
    }

    /// Waits until it has.
    pub(super) async fn ended(&self) {
        self.0.over.cancelled().await;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.places.gauge.dec();
        self.places.open.send_modify(|open| *open -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_is_free_with_its_last_holder() {
        let places = Places::new(Gauge::default());
        let (one, other) = (places.take(), places.take());
        assert_eq!((places.taken(), places.gauge.get()), (2, 2));
        let copier = one.clone();
        one.end();
        drop(one);
        copier.ended().await;
        assert_eq!(places.taken(), 2);
        drop(copier);
        assert_eq!((places.taken(), places.gauge.get()), (1, 1));
        drop(other);
        places.all_free().await;
    }
}
