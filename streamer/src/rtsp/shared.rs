//! What the RTSP server's connections share, and what each request does to it.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Weak};

use gstreamer_rtsp::{RTSPHeaderField, RTSPStatusCode};
use gstreamer_rtsp_server as gst_rtsp_server;
use gstreamer_rtsp_server::prelude::*;
use parking_lot::Mutex;
use settings::Transport;

use super::bounds::Bounds;
use super::connection::{Caller, Connection, Sessions};
use super::credentials::Credentials;
use super::current::Current;
use super::departed::Departed;
use super::door::{self, Host};
use super::factory::Options;
use super::place::{Place, Places};
use super::transport;
use super::viewers::Viewers;
use crate::feed::Feed;
use crate::feed::name::FeedName;
use crate::feed::table::Table;
use crate::metrics::{Denied, Metrics};

/// What the server, its connections and their requests share.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) rtsp: gst_rtsp_server::RTSPServer,
    pub(super) pool: gst_rtsp_server::RTSPSessionPool,
    pub(super) mounts: gst_rtsp_server::RTSPMountPoints,
    pub(super) table: Arc<Table>,
    pub(super) viewers: Viewers,
    pub(super) metrics: Metrics,
    pub(super) options: Options,
    pub(super) bounds: Bounds,
    pub(super) credentials: Option<Credentials>,
    pub(super) places: Places,
    /// The connection that is being handed over: the server announces a client without saying which.
    pub(super) arriving: Mutex<Option<Arriving>>,
    pub(super) handing_over: Mutex<()>,
    /// The feed that each name is served from.
    pub(super) mounted: Mutex<HashMap<FeedName, Mounted>>,
    /// The connections that were handed over to the RTSP server, by number.
    pub(super) connections: Mutex<HashMap<u64, Connection>>,
    /// Sessions whose connection has ended.
    pub(super) orphans: Mutex<Vec<String>>,
    pub(super) departed: Departed,
}

/// What a name is served from.
#[derive(Debug)]
pub(super) struct Mounted {
    /// The feed, to be told from another one of its name.
    pub(super) feed: Weak<Feed>,
    /// The media that its next viewer gets.
    pub(super) media: Current,
}

/// A connection on its way to the RTSP server.
#[derive(Debug)]
pub(super) struct Arriving {
    pub(super) counted: Counted,
    pub(super) caller: Caller,
    /// The same socket, to be looked at and hung up on.
    pub(super) twin: TcpStream,
}

/// The count of one open connection; dropping it counts it out.
#[derive(Debug)]
pub(super) struct Counted {
    id: u64,
    server: Arc<Inner>,
    place: Place,
}

impl Counted {
    /// Counts connection `id` in, at a place of its own.
    pub(super) fn new(id: u64, server: Arc<Inner>) -> Self {
        let place = server.places.take();
        Self { id, server, place }
    }

    /// The connection's number.
    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    /// The connection's place, for whoever copies between it and its peer: it is taken until both let go of it.
    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let inner = &self.server;
        let connection = inner.connections.lock().remove(&self.id);
        if let Some(connection) = connection {
            inner
                .orphans
                .lock()
                .extend(Sessions::from(connection).into_ids());
        }
        if let Some(feed) = inner.viewers.close(self.id) {
            inner.wake_sender(&feed);
        }
        self.place.end();
    }
}

/// Connection `id`, as far as its door asks for it.
pub(super) struct Watched {
    pub(super) server: Weak<Inner>,
    pub(super) id: u64,
}

impl Host for Watched {
    fn owns(&self, session: &str) -> bool {
        self.server.upgrade().is_some_and(|server| {
            let mut connections = server.connections.lock();
            let connection = connections.get_mut(&self.id);
            connection.is_some_and(|connection| connection.sessions().has(session))
        })
    }

    fn deny(&self, why: Denied) -> bool {
        self.server.upgrade().is_some_and(|server| {
            server.metrics.deny_viewer(why);
            let mut connections = server.connections.lock();
            let connection = connections.get_mut(&self.id);
            connection.is_some_and(Connection::deny)
        })
    }
}

impl Inner {
    /// Whether connection `id` may set up another session.
    pub(super) fn may_set_up(
        &self,
        id: u64,
        context: &gst_rtsp_server::RTSPContext,
    ) -> RTSPStatusCode {
        if self.is_full_for(id) {
            return RTSPStatusCode::ServiceUnavailable;
        }
        // The server lengthens its list of a connection's channels without a lock, while its sending thread looks for the first
        // stream's in it; that ends the process when the list moves meanwhile.
        if self.has(id, Connection::is_interleaved) && offers_tcp(context) {
            return RTSPStatusCode::UnsupportedTransport;
        }
        RTSPStatusCode::Ok
    }

    /// Whether connection `id` is there and `is_so`.
    pub(super) fn has(&self, id: u64, is_so: fn(&Connection) -> bool) -> bool {
        self.connections.lock().get(&id).is_some_and(is_so)
    }

    /// Whether connection `id`, or its peer, has all the sessions that it may have.
    fn is_full_for(&self, id: u64) -> bool {
        let mut connections = self.connections.lock();
        let Some(connection) = connections.get_mut(&id) else {
            return false;
        };
        let (host, has_room) = (connection.host(), connection.sessions().has_room());
        let of_host = connections
            .values()
            .filter(|other| other.host() == host)
            .map(Connection::session_count)
            .sum::<usize>();
        !has_room || of_host >= self.bounds.sessions_per_peer as usize
    }

    /// A viewer on UDP says where it sends RTCP from, and one on TCP has its connection's channels.
    pub(super) fn is_set_up(&self, context: &gst_rtsp_server::RTSPContext, id: u64) {
        if offers_tcp(context)
            && let Some(connection) = self.connections.lock().get_mut(&id)
        {
            connection.interleave();
        }
        let session = context.session().and_then(RTSPSessionExt::sessionid);
        let offers = door::header(context, RTSPHeaderField::Transport);
        let port = offers.and_then(|offers| transport::rtcp_port(&offers).ok()?);
        let host = self.connections.lock().get(&id).map(Connection::address);
        if let (Some(session), Some(port), Some(host)) = (session, port, host) {
            self.viewers
                .reports_from(session.to_string(), SocketAddr::new(host, port));
        }
    }

    /// A viewer plays: it needs a key frame.
    pub(super) fn plays(
        &self,
        client: &gst_rtsp_server::RTSPClient,
        context: &gst_rtsp_server::RTSPContext,
        connection: u64,
    ) {
        let (Some(name), Some(session)) = (name(context), context.session()) else {
            return;
        };
        let transport = session
            .media(&path(&name))
            .0
            .and_then(|media| media.transport(0));
        if let Some(transport) = &transport {
            // The sending thread does not know of it yet, as in `wake_sender`.
            transport.message_sent();
        }
        let tcp = transport.is_some()
            && (0..=u8::MAX).any(|channel| client.stream_transport(channel) == transport);
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        if let Some(id) = session.sessionid() {
            if let Some(connection) = self.connections.lock().get_mut(&connection) {
                connection.sessions().play(&id);
            }
            self.viewers
                .play(id.to_string(), name.clone(), transport, Some(connection));
        }
        if let Some(feed) = self.table.find(&name) {
            feed.wish_keyframe();
        }
    }

    /// Lets the server's sending thread of `feed` look again at whom it can send to.
    ///
    /// It does so when a frame comes and when a viewer on TCP has taken one, and not when viewers come and go: after one
    /// that took nothing the sink would stay full, and no frame would come any more.
    pub(super) fn wake_sender(&self, feed: &FeedName) {
        let path = path(feed);
        let mut all = |_: &gst_rtsp_server::RTSPSessionPool, _: &gst_rtsp_server::RTSPSession| {
            gst_rtsp_server::RTSPFilterResult::Ref
        };
        let transport = self
            .pool
            .filter(Some(&mut all))
            .iter()
            .find_map(|session| session.media(&path).0?.transport(0));
        if let Some(transport) = transport {
            transport.message_sent();
        }
    }
}

/// Whether a SETUP offers packets on the connection itself.
fn offers_tcp(context: &gst_rtsp_server::RTSPContext) -> bool {
    let offers = door::header(context, RTSPHeaderField::Transport);
    offers.is_some_and(|offers| transport::offers_tcp(&offers))
}

/// The name that a request is for.
fn name(context: &gst_rtsp_server::RTSPContext) -> Option<FeedName> {
    let components = context.uri()?.decode_path_components();
    let name = components.iter().find(|part| !part.is_empty())?;
    FeedName::new(name).ok()
}

/// The path of a name.
pub(super) fn path(name: &FeedName) -> String {
    format!("/{name}")
}
