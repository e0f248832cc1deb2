#!/usr/bin/python3
"""Another RTSP server: gst-rtsp-server as it comes. It takes RECORD at /in and serves PLAY at /xr, one encode for both.

Usage: rtsp_server.py HOST:PORT

It pays the video anew, as many servers do: the RTP timestamps of what it serves are its own.
"""

import socket
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer

Gst.init(None)
host, port = sys.argv[1].rsplit(":", 1)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as drawn:
    drawn.bind(("127.0.0.1", 0))
    inside = drawn.getsockname()[1]
pay = "rtph264pay config-interval=-1 aggregate-mode=zero-latency mtu=1150"
server = GstRtspServer.RTSPServer(address=host, service=port)


def mount(path, launch):
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {launch} )")
    factory.set_latency(0)
    factory.set_shared(True)
    server.get_mount_points().add_factory(path, factory)
    return factory


record = mount("/in", f"rtph264depay name=depay0 ! {pay} ! udpsink host=127.0.0.1 port={inside} sync=false async=false")
record.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
caps = "application/x-rtp,media=video,clock-rate=90000,encoding-name=H264"
mount("/xr", f'udpsrc address=127.0.0.1 port={inside} caps="{caps}" ! rtph264depay ! {pay} name=pay0 pt=96')
# A viewer who comes before the video waits for it; who records must not wait behind him on the same thread.
server.get_thread_pool().set_max_threads(-1)
if server.attach(None) == 0:
    sys.exit(f"rtsp_server.py: cannot listen at {host}:{port}")
GLib.MainLoop().run()
