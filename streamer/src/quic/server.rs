//! The port: connections from their handshake to their end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use roq::Connection;
use roq::answer::{Asked, asked};
use roq::framing::FlowId;
use roq::listen::{Arrival, Listener, explain};
use roq::receive::{Flows, Packet, receive};
use roq::send::Sender;
use roq::signal::{Mode, Play, Playing, Request};
use settings::Transport;
use timeline::ids::RTP_CLOCK_HZ;

use super::feeding;
use super::room::Rooms;
use crate::feed::Feed;
use crate::feed::name::FeedName;
use crate::feed::outlet::Stream;
use crate::feed::sequence::PAYLOAD_TYPE;
use crate::ingest::door::Ingest;
use crate::metrics::quic::Counters;
use crate::rtsp::rtcp::{Guard, Origin, wants_keyframe};

/// What whoever comes over QUIC is served with. Clones are the same.
#[derive(Clone, Debug)]
pub struct Serving(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    door: Ingest,
    counters: Counters,
    /// A frame that has waited for longer is let go.
    patience: Duration,
    rooms: Rooms,
    sessions: AtomicU64,
}

impl Serving {
    /// Serves the names that come in by `door`, and lets feeds in.
    pub fn new(door: Ingest, patience: Duration) -> Self {
        Self(Arc::new(Inner {
            counters: door.metrics.quic.clone(),
            door,
            patience,
            rooms: Rooms::default(),
            sessions: AtomicU64::new(0),
        }))
    }

    /// Serves whoever connects to `listener`, until the streamer stops.
    pub async fn run(self, listener: Listener) {
        loop {
            let arrival = tokio::select! {
                () = self.0.door.shutdown.fired() => return,
                arrival = listener.next() => arrival,
            };
            let Some(arrival) = arrival else { return };
            let inner = Arc::clone(&self.0);
            tokio::spawn(async move { inner.welcome(arrival).await });
        }
    }
}

impl Inner {
    async fn welcome(&self, arrival: Arrival) {
        let peer = arrival.peer();
        let (connection, _place) = match arrival.finish().await {
            Ok(connected) => connected,
            Err(why) => return tracing::warn!(%peer, why, "a QUIC handshake failed"),
        };
        let asked = match asked(&connection).await {
            Ok(asked) => asked,
            Err(why) => return tracing::warn!(%peer, why, "a QUIC connection asks for nothing"),
        };
        match asked.request.clone() {
            Request::Play(play) => self.play(&connection, asked, &play).await,
            Request::Feed(offer) => {
                let voice = asked.voice();
                feeding::serve(&self.door, &self.counters, &connection, voice, offer).await;
            }
        }
    }

    async fn play(&self, connection: &Connection, asked: Asked, play: &Play) {
        let peer = connection.remote_address();
        match self.find(connection, play) {
            Ok((feed, stream)) => {
                let why = self.serve(connection, asked, play.by, &feed, &stream).await;
                tracing::debug!(%peer, feed = %feed.name(), why, "a viewer over QUIC is gone");
            }
            Err(why) => {
                tracing::debug!(%peer, name = play.name, why, "a viewer over QUIC is refused");
                asked.refuse(&why).await;
            }
        }
    }

    /// The feed that is asked for; or the reason why it cannot be had.
    fn find(
        &self,
        connection: &Connection,
        play: &Play,
    ) -> Result<(Arc<Feed>, Arc<Stream>), String> {
        let name = FeedName::new(&play.name).map_err(|error| error.to_string())?;
        let feed = self.door.table.find(&name);
        let stream = feed
            .as_ref()
            .and_then(|feed| feed.stream().borrow().clone());
        if play.by == Mode::Datagram && connection.max_datagram_size().is_none() {
            return Err("the client takes no QUIC datagrams; ask for streams".to_owned());
        }
        feed.zip(stream)
            .ok_or_else(|| format!("nobody feeds {name} yet"))
    }

    /// Sends `feed` until the connection ends, and returns why it ended.
    async fn serve(
        &self,
        connection: &Connection,
        asked: Asked,
        by: Mode,
        feed: &Arc<Feed>,
        stream: &Stream,
    ) -> String {
        let transport = match by {
            Mode::Datagram => Transport::QuicDatagram,
            Mode::Stream => Transport::QuicStream,
        };
        let sender = Sender::new(
            connection.clone(),
            by,
            self.patience,
            self.counters.sent.clone(),
        );
        let sender = Arc::new(sender);
        if let Err(why) = asked.play(playing(stream)).await {
            return why;
        }
        let session = format!("quic {}", self.sessions.fetch_add(1, Ordering::Relaxed));
        let room = self.rooms.of(feed);
        room.enter(&sender);
        let viewers = &self.door.viewers;
        viewers.play(session.clone(), feed.name().clone(), transport, None);
        feed.wish_keyframe();
        let flows = Flows {
            rtp: None,
            rtcp: FlowId::RTCP,
        };
        let mut guard = Guard::default();
        let from = connection.remote_address();
        let reports = receive(connection, flows, &self.counters.received, |packet| {
            let Packet::Rtcp(packet) = packet else { return };
            // Its address may change, and stays the viewer's.
            let admitted = guard.admit(
                &packet,
                Origin::Udp(from),
                Some(feed.ssrc()),
                |_| true,
                Instant::now(),
            );
            match admitted {
                Ok(()) if wants_keyframe(&packet) => feed.wish_keyframe(),
                Ok(()) => {}
                Err(reason) => self.door.metrics.drop_rtcp(reason),
            }
        });
        let (ended, ()) = tokio::join!(reports, sender.run(|| feed.wish_keyframe()));
        room.leave(&sender);
        viewers.end(&session);
        explain(&ended)
    }
}

fn playing(stream: &Stream) -> Playing {
    Playing {
        rtp_flow: FlowId::RTP.number(),
        rtcp_flow: FlowId::RTCP.number(),
        ssrc: stream.ssrc,
        payload_type: PAYLOAD_TYPE,
        clock_rate: RTP_CLOCK_HZ,
        encoding: "H264".to_owned(),
        sprop_parameter_sets: stream.sets.sprop(),
        profile_level_id: stream.sets.profile_level_id(),
    }
}
