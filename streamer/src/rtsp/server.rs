//! The RTSP server: what is set up for each connection, session and name.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use gstreamer_rtsp::{RTSPHeaderField, RTSPStatusCode};
use gstreamer_rtsp_server as gst_rtsp_server;
use gstreamer_rtsp_server::prelude::*;
use parking_lot::Mutex;
use settings::Transport;
use socket2::{SockRef, TcpKeepalive};

use super::connection::{Caller, Connection, Sessions};
use super::credentials::Credentials;
use super::current::Current;
use super::departed::Departed;
use super::door::{self, Door, Host, Terms};
use super::factory::{FeedFactory, Options};
use super::place::{Place, Places};
use super::transport;
use super::viewers::Viewers;
use crate::feed::Feed;
use crate::feed::name::FeedName;
use crate::feed::table::Table;
use crate::metrics::{Denied, Metrics};

/// Threads that talk to RTSP clients. One client may hold up others for as long as its media takes to start.
const CLIENT_THREADS: i32 = 4;

/// What follows the head of an RTSP request; ours have nothing there.
const MAX_CONTENT_BYTES: u32 = 16 * 1024;

/// Room for some key frames of a viewer on TCP. The system doubles it for its own book-keeping.
const TCP_SEND_BUFFER_BYTES: usize = 512 * 1024;

/// Room for requests and RTCP: what lies here when a connection is cut is still read by the server.
const TCP_RECEIVE_BUFFER_BYTES: usize = 32 * 1024;

/// The bounds of viewers.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Sessions at a time.
    pub sessions: u32,
    /// Sessions at a time of one peer's viewers.
    pub sessions_per_peer: u32,
    /// A session that sends neither RTSP nor RTCP for so long is over.
    pub session_timeout: Duration,
    /// A viewer on TCP that is behind for so long is dropped.
    pub slow: Duration,
}

/// The RTSP server of the streamer. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Server(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rtsp: gst_rtsp_server::RTSPServer,
    pool: gst_rtsp_server::RTSPSessionPool,
    mounts: gst_rtsp_server::RTSPMountPoints,
    table: Arc<Table>,
    viewers: Viewers,
    metrics: Metrics,
    options: Options,
    bounds: Bounds,
    credentials: Option<Credentials>,
    places: Places,
    /// The connection that is being handed over: the server announces a client without saying which.
    arriving: Mutex<Option<Arriving>>,
    handing_over: Mutex<()>,
    /// The media that each name's next viewer gets.
    medias: Mutex<HashMap<FeedName, Current>>,
    /// The connections that were handed over to the RTSP server, by number.
    connections: Mutex<HashMap<u64, Connection>>,
    /// Sessions whose connection has ended.
    orphans: Mutex<Vec<String>>,
    departed: Departed,
}

#[derive(Debug)]
struct Arriving {
    counted: Counted,
    caller: Caller,
    twin: TcpStream,
}

/// The count of one open connection; dropping it counts it out.
#[derive(Debug)]
pub struct Counted {
    id: u64,
    server: Server,
    place: Place,
}

impl Counted {
    /// The connection's place, for whoever copies between it and its peer: it is taken until both let go of it.
    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let inner = &self.server.0;
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

impl Server {
    /// A server without names and connections. With `credentials` nobody else may view.
    pub fn new(
        table: Arc<Table>,
        viewers: Viewers,
        metrics: Metrics,
        options: Options,
        bounds: Bounds,
        credentials: Option<Credentials>,
    ) -> Self {
        let rtsp = gst_rtsp_server::RTSPServer::new();
        let pool = gst_rtsp_server::RTSPSessionPool::new();
        let mounts = gst_rtsp_server::RTSPMountPoints::new();
        let threads = gst_rtsp_server::RTSPThreadPool::new();
        threads.set_max_threads(CLIENT_THREADS);
        pool.set_max_sessions(bounds.sessions);
        rtsp.set_session_pool(Some(&pool));
        rtsp.set_mount_points(Some(&mounts));
        rtsp.set_thread_pool(Some(&threads));
        rtsp.set_content_length_limit(MAX_CONTENT_BYTES);
        let places = Places::new(metrics.connections.clone());
        let server = Self(Arc::new(Inner {
            rtsp,
            pool,
            mounts,
            table,
            viewers,
            metrics,
            options,
            bounds,
            credentials,
            places,
            arriving: Mutex::default(),
            handing_over: Mutex::default(),
            medias: Mutex::default(),
            connections: Mutex::default(),
            orphans: Mutex::default(),
            departed: Departed::default(),
        }));
        server.connect();
        server
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.0.places.taken()
    }

    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub fn count_connection(&self, id: u64) -> Counted {
        Counted {
            id,
            server: self.clone(),
            place: self.0.places.take(),
        }
    }

    /// Gives the connection of `caller` to the server.
    pub(super) fn hand_over(
        &self,
        stream: tokio::net::TcpStream,
        caller: Caller,
        counted: Counted,
    ) -> anyhow::Result<()> {
        let stream = stream.into_std().context("taking the socket")?;
        self.tune(&stream).context("setting up the socket")?;
        let twin = stream.try_clone().context("doubling the socket")?;
        let socket = gio::Socket::from_fd(OwnedFd::from(stream)).context("wrapping the socket")?;
        let _one_at_a_time = self.0.handing_over.lock();
        let (address, port) = (caller.peer.ip().to_string(), caller.peer.port());
        *self.0.arriving.lock() = Some(Arriving {
            counted,
            caller,
            twin,
        });
        let rtsp = &self.0.rtsp;
        let handed = rtsp.transfer_connection(socket, &address, i32::from(port), None);
        self.0.arriving.lock().take();
        handed.context("starting the RTSP connection")
    }

    /// Sets up the socket of a connection: bounded buffers, no delay, and an end where its peer has vanished.
    pub(super) fn tune(&self, stream: &impl AsFd) -> std::io::Result<()> {
        let socket = SockRef::from(stream);
        socket.set_tcp_nodelay(true)?;
        socket.set_send_buffer_size(TCP_SEND_BUFFER_BYTES)?;
        socket.set_recv_buffer_size(TCP_RECEIVE_BUFFER_BYTES)?;
        // A peer that has vanished answers neither probes nor data.
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(self.0.bounds.session_timeout))?;
        socket.set_tcp_user_timeout(Some(self.0.bounds.session_timeout))
    }

    /// Serves `feed` at its name.
    pub fn mount(&self, feed: &Arc<Feed>) -> anyhow::Result<()> {
        let current = Current::default();
        let (options, metrics, viewers) = (&self.0.options, &self.0.metrics, &self.0.viewers);
        let factory = FeedFactory::new(feed, options, metrics, &current, viewers)
            .context("making an RTSP media factory")?;
        self.0.medias.lock().insert(feed.name().clone(), current);
        self.0.mounts.add_factory(&path(feed.name()), factory);
        Ok(())
    }

    /// Serves `name` no more.
    pub fn unmount(&self, name: &FeedName) {
        self.0.mounts.remove_factory(&path(name));
        self.0.medias.lock().remove(name);
    }

    /// Ends sessions that have timed out, whose connection has ended, or that were set up and never played, and medias that
    /// were held for a viewer who did not come. May take as long as it takes to stop a media.
    pub fn expire_sessions(&self, now: Instant) {
        let mut over = std::mem::take(&mut *self.0.orphans.lock());
        for connection in self.0.connections.lock().values_mut() {
            over.extend(connection.sessions().unplayed(now).map(str::to_owned));
        }
        for session in over {
            if let Some(session) = self.0.pool.find(&session) {
                // One that ends by itself meanwhile is what is wanted.
                let _ = self.0.pool.remove(&session);
            }
        }
        self.0.pool.cleanup();
        self.0.departed.release(now);
        let medias: Vec<Current> = self.0.medias.lock().values().cloned().collect();
        for media in medias {
            media.release(now);
        }
    }

    /// Ends the connection that can be spared most, if there is one: of the host that has most, so that nobody's connections push
    /// out those of others.
    pub fn make_room(&self, now: Instant) -> bool {
        let mut connections = self.0.connections.lock();
        let mut of_hosts = HashMap::<_, usize>::new();
        for connection in connections.values() {
            *of_hosts.entry(connection.host()).or_default() += 1;
        }
        let worth = |connection: &mut Connection| {
            let dispensable = connection.dispensable(now)?;
            Some((of_hosts.get(&connection.host()).copied(), dispensable))
        };
        let dispensable = connections
            .values_mut()
            .filter_map(|connection| Some((worth(connection)?, connection)))
            .max_by_key(|(worth, _)| *worth);
        dispensable
            .map(|(_, connection)| connection.hang_up())
            .is_some()
    }

    /// Ends connections of viewers that do not take their packets, and those without a session.
    pub fn drop_overdue(&self, now: Instant) {
        for connection in self.0.connections.lock().values_mut() {
            if let Some(reason) = connection.overdue(now, self.0.bounds.slow) {
                self.0.metrics.drop_connection(reason);
                let peer = connection.peer();
                tracing::warn!(%peer, ?reason, "an RTSP connection is dropped");
                connection.hang_up();
            }
        }
    }

    /// Ends every connection, and with it its sessions; returns when all have ended.
    pub async fn close(&self) {
        for connection in self.0.connections.lock().values_mut() {
            connection.hang_up();
        }
        self.0.places.all_free().await;
    }

    fn connect(&self) {
        let weak = Arc::downgrade(&self.0);
        self.0.rtsp.connect_client_connected(move |_, client| {
            let Some(inner) = weak.upgrade() else { return };
            let Some(arriving) = inner.arriving.lock().take() else {
                return;
            };
            Self(inner).welcome(client, arriving);
        });
        let weak = Arc::downgrade(&self.0);
        self.0.pool.connect_session_removed(move |_, session| {
            if let (Some(inner), Some(id)) = (weak.upgrade(), session.sessionid()) {
                inner.viewers.end(&id);
                let now = Instant::now();
                for connection in inner.connections.lock().values_mut() {
                    connection.sessions().end(&id, now);
                }
            }
        });
    }

    fn welcome(&self, client: &gst_rtsp_server::RTSPClient, arriving: Arriving) {
        let id = arriving.counted.id;
        let connection = Connection::new(arriving.twin, arriving.caller, Instant::now());
        self.0.connections.lock().insert(id, connection);
        door::close_tunnels(client);
        self.guard(client, id);
        self.listen(client, id);
        let counted = Mutex::new(Some(arriving.counted));
        let weak = Arc::downgrade(&self.0);
        client.connect_closed(move |client| {
            if let Some(inner) = weak.upgrade()
                && inner.has(id, Connection::is_interleaved)
            {
                inner.departed.keep(client, Instant::now());
            }
            drop(counted.lock().take());
        });
        let timeout = u32::try_from(self.0.bounds.session_timeout.as_secs()).unwrap_or(u32::MAX);
        let weak = Arc::downgrade(&self.0);
        client.connect_new_session(move |_, session| {
            session.set_timeout(timeout);
            if let (Some(inner), Some(begun)) = (weak.upgrade(), session.sessionid())
                && let Some(connection) = inner.connections.lock().get_mut(&id)
            {
                connection
                    .sessions()
                    .begin(begun.to_string(), Instant::now());
            }
        });
        let weak = Arc::downgrade(&self.0);
        client.connect_setup_request(move |_, context| {
            if let Some(inner) = weak.upgrade() {
                inner.is_set_up(context, id);
            }
        });
        let weak = Arc::downgrade(&self.0);
        client.connect_play_request(move |client, context| {
            if let Some(inner) = weak.upgrade() {
                inner.plays(client, context, id);
            }
        });
        let viewers = self.0.viewers.clone();
        client.connect_pause_request(move |_, context| {
            if let Some(session) = context.session().and_then(RTSPSessionExt::sessionid) {
                viewers.stop(&session);
            }
        });
    }
}

impl Server {
    /// Refuses what no viewer needs, sessions of other connections, and whoever may not view, to connection `id`.
    fn guard(&self, client: &gst_rtsp_server::RTSPClient, id: u64) {
        let server = Arc::downgrade(&self.0);
        let door = Door::new(Terms {
            host: Box::new(Watched { server, id }),
            is_encrypted: self.0.has(id, Connection::is_encrypted),
            credentials: self.0.credentials.clone(),
        });
        client.set_auth(Some(&door));
        // A client's answers are of no use to anybody, but the server notes the sessions that they name all the same.
        client.connect_handle_response(move |client, context| {
            door.is_foreign(client, context);
        });
    }

    /// Notes each whole request of connection `id`, and refuses sessions beyond what a connection or an address may have.
    fn listen(&self, client: &gst_rtsp_server::RTSPClient, id: u64) {
        let heard = |refuse: fn(&Inner, u64, &gst_rtsp_server::RTSPContext) -> RTSPStatusCode| {
            let weak = Arc::downgrade(&self.0);
            move |_: &gst_rtsp_server::RTSPClient, context: &gst_rtsp_server::RTSPContext| {
                let Some(inner) = weak.upgrade() else {
                    return RTSPStatusCode::Ok;
                };
                if let Some(connection) = inner.connections.lock().get_mut(&id) {
                    connection.hear(Instant::now());
                }
                refuse(&inner, id, context)
            }
        };
        let never = |_: &Inner, _: u64, _: &gst_rtsp_server::RTSPContext| RTSPStatusCode::Ok;
        client.connect_pre_options_request(heard(never));
        client.connect_pre_describe_request(heard(never));
        client.connect_pre_setup_request(heard(Inner::may_set_up));
        client.connect_pre_play_request(heard(never));
        client.connect_pre_pause_request(heard(never));
        client.connect_pre_teardown_request(heard(never));
        client.connect_pre_get_parameter_request(heard(never));
        client.connect_pre_set_parameter_request(heard(never));
    }
}

/// Connection `id`, as far as its door asks for it.
struct Watched {
    server: Weak<Inner>,
    id: u64,
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
    fn may_set_up(&self, id: u64, context: &gst_rtsp_server::RTSPContext) -> RTSPStatusCode {
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
    fn has(&self, id: u64, is_so: fn(&Connection) -> bool) -> bool {
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
    fn is_set_up(&self, context: &gst_rtsp_server::RTSPContext, id: u64) {
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
    fn plays(
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
    fn wake_sender(&self, feed: &FeedName) {
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

fn path(name: &FeedName) -> String {
    format!("/{name}")
}
