//! Requests that the RTSP server would answer, and that no viewer needs, are refused before the server works on them.
//!
//! It asks for permission before each request; that is the one place that comes before everything else. Where viewers must
//! show a password, they are asked for it here too, by the server's own Digest (RFC 2617): for whatever is not refused anyway,
//! but for OPTIONS.

use std::ffi::CStr;
use std::fmt;
use std::ptr;
use std::sync::OnceLock;

use gstreamer::glib;
use gstreamer::glib::translate::{IntoGlib as _, ToGlibPtr as _};
use gstreamer_rtsp as gst_rtsp;
use gstreamer_rtsp::{RTSPHeaderField, RTSPMethod, RTSPStatusCode};
use gstreamer_rtsp_server as gst_rtsp_server;
use gstreamer_rtsp_server::prelude::*;
use gstreamer_rtsp_server::subclass::prelude::*;
use gstreamer_rtsp_server::{RTSPClient, RTSPContext, RTSPFilterResult};

use super::credentials::Credentials;
use super::transport;
use crate::metrics::Denied;

glib::wrapper! {
    /// The RTSP server's hook that refuses a connection's requests before anything is done for them.
    pub struct Door(ObjectSubclass<Inner>) @extends gst_rtsp_server::RTSPAuth;
}

/// What a door asks of whoever watches its connection.
pub trait Host: Send + Sync {
    /// Whether `session`, by its id, was begun over the connection.
    fn owns(&self, session: &str) -> bool;

    /// Notes that a request was refused for want of a password; whether the peer may try again.
    fn deny(&self, why: Denied) -> bool;
}

/// What holds for one connection.
pub struct Terms {
    /// Who watches it.
    pub host: Box<dyn Host>,
    /// TLS lies between the peer and the server.
    pub is_encrypted: bool,
    /// Who may view; anybody, if there are none.
    pub credentials: Option<Credentials>,
}

impl fmt::Debug for Terms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Terms")
    }
}

impl Door {
    /// The door of one connection.
    pub fn new(terms: Terms) -> Self {
        let door: Self = glib::Object::new();
        if terms.credentials.is_some() {
            Credentials::ask(&door);
        }
        // A new object has none yet.
        let _ = door.imp().terms.set(terms);
        door
    }

    /// Whether the session that `context` names, if any, belongs to another connection. `client` forgets such a session: the
    /// server has noted it for the connection before it asks, and would end it with the connection.
    pub fn is_foreign(&self, client: &RTSPClient, context: &RTSPContext) -> bool {
        let Some(session) = context.session() else {
            return false;
        };
        let terms = self.imp().terms.get();
        let id = session.sessionid();
        if let (Some(terms), Some(id)) = (terms, id)
            && terms.host.owns(&id)
        {
            return false;
        }
        let mut forget = |_: &RTSPClient, noted: &gst_rtsp_server::RTSPSession| {
            if noted == session {
                RTSPFilterResult::Remove
            } else {
                RTSPFilterResult::Keep
            }
        };
        client.session_filter(Some(&mut forget));
        true
    }
}

/// What decides whether a request is refused.
#[derive(Clone, Copy, Debug)]
struct Request {
    method: RTSPMethod,
    session: Session,
    has_keys: bool,
    /// The request would lead packets where they must not go.
    is_misdirected: bool,
}

impl Request {
    fn of(context: &RTSPContext, is_foreign: bool, is_encrypted: bool) -> Self {
        // Packets on UDP would be there for everybody on the way to read.
        let is_misdirected = |offers: String| {
            transport::rtcp_port(&offers).is_err()
                || (is_encrypted && !transport::offers_tcp_only(&offers))
        };
        Self {
            method: method(context),
            session: match context.session() {
                None => Session::None,
                Some(_) if is_foreign => Session::Foreign,
                Some(_) => Session::Own,
            },
            has_keys: header(context, RTSPHeaderField::Keymgmt).is_some(),
            is_misdirected: header(context, RTSPHeaderField::Transport).is_some_and(is_misdirected),
        }
    }

    /// The status that refuses it, if it is refused.
    const fn refusal(self) -> Option<RTSPStatusCode> {
        match self.method {
            // A session ends with its connection. Played over another one, a stream would be sent on to a connection that is
            // gone, and whoever hears of a session's id could end it.
            _ if matches!(self.session, Session::Foreign) => Some(RTSPStatusCode::SessionNotFound),
            // Feeds come over HTTP; these would hand the peer's SDP to a parser.
            RTSPMethod::ANNOUNCE | RTSPMethod::RECORD => Some(RTSPStatusCode::MethodNotAllowed),
            // A name has one stream, so a session has nothing more to set up. The server changes the transport of one that
            // plays without counting it, and sends to 2^32 - 1 viewers on TCP when it ends.
            RTSPMethod::SETUP if matches!(self.session, Session::Own) => {
                Some(RTSPStatusCode::MethodNotValidInThisState)
            }
            // Nothing is encrypted; the keys would go to a parser all the same.
            RTSPMethod::SETUP if self.has_keys => Some(RTSPStatusCode::KeyManagementFailure),
            RTSPMethod::SETUP if self.is_misdirected => Some(RTSPStatusCode::UnsupportedTransport),
            _ => None,
        }
    }
}

/// Whose session a request names.
#[derive(Clone, Copy, Debug)]
enum Session {
    None,
    Own,
    /// Another connection's.
    Foreign,
}

#[derive(Debug, Default)]
pub struct Inner {
    terms: OnceLock<Terms>,
    /// Whether the object knows who may view: only a peer that shows a password costs it the names.
    taught: OnceLock<()>,
}

#[glib::object_subclass]
impl ObjectSubclass for Inner {
    const NAME: &'static str = "XrDoor";
    type Type = Door;
    type ParentType = gst_rtsp_server::RTSPAuth;
}

impl ObjectImpl for Inner {}

impl RTSPAuthImpl for Inner {
    fn check(&self, context: &RTSPContext, check: &glib::GString) -> bool {
        if check == gst_rtsp_server::RTSP_AUTH_CHECK_URL {
            let (Some(client), Some(terms)) = (context.client(), self.terms.get()) else {
                return false;
            };
            let is_foreign = self.obj().is_foreign(client, context);
            let request = Request::of(context, is_foreign, terms.is_encrypted);
            if let Some(status) = request.refusal() {
                answer(client, context, status, || ());
                return false;
            }
            return self.is_allowed(client, context, terms);
        }
        // Nobody chooses where multicast goes to.
        check != gst_rtsp_server::RTSP_AUTH_CHECK_TRANSPORT_CLIENT_SETTINGS
    }
}

impl Inner {
    /// Whether a request comes from somebody who may view, if that is asked for. Where it does not, it is answered.
    fn is_allowed(&self, client: &RTSPClient, context: &RTSPContext, terms: &Terms) -> bool {
        let Some(credentials) = &terms.credentials else {
            return true;
        };
        // What can be asked for is no secret.
        if method(context) == RTSPMethod::OPTIONS {
            return true;
        }
        let shows_any = header(context, RTSPHeaderField::Authorization).is_some();
        if shows_any {
            self.taught.get_or_init(|| credentials.teach(&*self.obj()));
            self.parent_authenticate(context);
            if context.token().is_some() {
                return true;
            }
        }
        let why = if shows_any {
            Denied::wrong
        } else {
            Denied::missing
        };
        if terms.host.deny(why) {
            let challenge = || self.parent_generate_authenticate_header(context);
            answer(client, context, RTSPStatusCode::Unauthorized, challenge);
        } else {
            // Each challenge is kept until its connection ends.
            answer(client, context, RTSPStatusCode::Forbidden, || ());
        }
        false
    }
}

/// Answers a request with `status`, and with the headers that `add` puts to it.
fn answer(client: &RTSPClient, context: &RTSPContext, status: RTSPStatusCode, add: impl FnOnce()) {
    if let Some(answer) = context.response() {
        answer.init_response(status, context.request());
        add();
        client.send_message(answer, None);
    }
}

fn method(context: &RTSPContext) -> RTSPMethod {
    let raw = context.to_glib_none().0;
    #[expect(unsafe_code, reason = "the bindings have no getter for the method")]
    // SAFETY: the context is the one of the request that is being answered on this thread, and outlives this call.
    let method = unsafe { (*raw).method };
    RTSPMethod::from_bits_truncate(method)
}

/// The first header `field` of a request.
pub(super) fn header(context: &RTSPContext, field: RTSPHeaderField) -> Option<String> {
    let request = context.request()?;
    let mut value = ptr::null_mut();
    #[expect(unsafe_code, reason = "the bindings have no getter for headers")]
    // SAFETY: the message lives as long as `context`; `value` is set to a text of the message, which is copied at once.
    unsafe {
        let found = gst_rtsp::ffi::gst_rtsp_message_get_header(
            request.to_glib_none().0,
            field.into_glib(),
            &raw mut value,
            0,
        );
        (found == gst_rtsp::ffi::GST_RTSP_OK && !value.is_null())
            .then(|| CStr::from_ptr(value).to_string_lossy().into_owned())
    }
}

/// Lets `client` speak RTSP only: no tunnel through HTTP, which would join two connections into one behind our back.
pub(super) fn close_tunnels(client: &RTSPClient) {
    #[expect(unsafe_code, reason = "the bindings have no connections")]
    // SAFETY: called while the server announces `client`, when it has its connection and no thread reads from that yet.
    unsafe {
        let connection =
            gst_rtsp_server::ffi::gst_rtsp_client_get_connection(client.to_glib_none().0);
        if !connection.is_null() {
            // The application would answer HTTP itself; ours does not.
            gst_rtsp::ffi::gst_rtsp_connection_set_http_mode(connection, glib::ffi::GTRUE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_viewers_need_passes() {
        let refusal = |method, session, has_keys| {
            let request = Request {
                method,
                session,
                has_keys,
                is_misdirected: false,
            };
            request.refusal()
        };
        for method in [
            RTSPMethod::OPTIONS,
            RTSPMethod::DESCRIBE,
            RTSPMethod::PLAY,
            RTSPMethod::PAUSE,
            RTSPMethod::TEARDOWN,
            RTSPMethod::GET_PARAMETER,
            RTSPMethod::SET_PARAMETER,
        ] {
            assert_eq!(refusal(method, Session::Own, true), None, "{method:?}");
        }
        assert_eq!(refusal(RTSPMethod::SETUP, Session::None, false), None);
        assert_eq!(
            refusal(RTSPMethod::SETUP, Session::Own, false),
            Some(RTSPStatusCode::MethodNotValidInThisState)
        );
        assert_eq!(
            refusal(RTSPMethod::SETUP, Session::None, true),
            Some(RTSPStatusCode::KeyManagementFailure)
        );
        let misdirected = Request {
            method: RTSPMethod::SETUP,
            session: Session::None,
            has_keys: false,
            is_misdirected: true,
        };
        assert_eq!(
            misdirected.refusal(),
            Some(RTSPStatusCode::UnsupportedTransport)
        );
        let foreign = Request {
            method: RTSPMethod::TEARDOWN,
            session: Session::Foreign,
            has_keys: false,
            is_misdirected: false,
        };
        assert_eq!(foreign.refusal(), Some(RTSPStatusCode::SessionNotFound));
        for method in [RTSPMethod::ANNOUNCE, RTSPMethod::RECORD] {
            assert_eq!(
                refusal(method, Session::None, false),
                Some(RTSPStatusCode::MethodNotAllowed)
            );
        }
    }
}
