//! The RTSP server: what is set up for each connection, session and name.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use gstreamer_rtsp::RTSPStatusCode;
use gstreamer_rtsp_server as gst_rtsp_server;
use gstreamer_rtsp_server::prelude::*;
use parking_lot::Mutex;
use socket2::{SockRef, TcpKeepalive};

use super::bounds::Bounds;
use super::connection::{Caller, Connection};
use super::credentials::Credentials;
use super::current::Current;
use super::departed::Departed;
use super::door::{self, Door, Terms};
use super::factory::{FeedFactory, Options};
use super::place::Places;
use super::shared::{Arriving, Counted, Inner, Mounted, Watched, path};
use super::viewers::Viewers;
use crate::feed::Feed;
use crate::feed::table::Table;
use crate::metrics::Metrics;

/// Threads that talk to RTSP clients. One client may hold up others for as long as its media takes to start.
const CLIENT_THREADS: i32 = 4;

/// What follows the head of an RTSP request; ours have nothing there.
const MAX_CONTENT_BYTES: u32 = 16 * 1024;

/// Room for some key frames of a viewer on TCP. The system doubles it for its own book-keeping.
const TCP_SEND_BUFFER_BYTES: usize = 512 * 1024;

/// Room for requests and RTCP: what lies here when a connection is cut is still read by the server.
const TCP_RECEIVE_BUFFER_BYTES: usize = 32 * 1024;

/// The RTSP server of the streamer. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Server(Arc<Inner>);

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
            mounted: Mutex::default(),
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

    pub(super) fn count_connection(&self, id: u64) -> Counted {
        Counted::new(id, Arc::clone(&self.0))
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

    /// Serves `feed` at its name, unless it has been forgotten.
    pub fn mount(&self, feed: &Arc<Feed>) -> anyhow::Result<()> {
        let media = Current::default();
        let (options, metrics, viewers) = (&self.0.options, &self.0.metrics, &self.0.viewers);
        let factory = FeedFactory::new(feed, options, metrics, &media, viewers)
            .context("making an RTSP media factory")?;
        let mut mounted = self.0.mounted.lock();
        if self.0.table.holds(feed) {
            let of_name = Mounted {
                feed: Arc::downgrade(feed),
                media,
            };
            mounted.insert(feed.name().clone(), of_name);
            self.0.mounts.add_factory(&path(feed.name()), factory);
            feed.set_viewable();
        }
        Ok(())
    }

    /// Serves `feed` no more, which has been forgotten; another one of its name goes on.
    pub fn unmount(&self, feed: &Arc<Feed>) {
        let mut mounted = self.0.mounted.lock();
        if let Entry::Occupied(of_name) = mounted.entry(feed.name().clone())
            && std::ptr::eq(of_name.get().feed.as_ptr(), Arc::as_ptr(feed))
        {
            self.0.mounts.remove_factory(&path(feed.name()));
            of_name.remove();
        }
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
        let mounted = self.0.mounted.lock();
        let medias: Vec<Current> = mounted.values().map(|of| of.media.clone()).collect();
        drop(mounted);
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
        let id = arriving.counted.id();
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
