//! The layouts of experiments' networks: places, links between them, and addresses.

/// The layout of a network to be made.
#[derive(Debug)]
pub struct Layout {
    /// Namespaces, by the names that the rest of the table has for them.
    pub places: &'static [&'static str],
    /// Links: place and interface of both ends. `ip` takes the short names `a` and `br` for words of its own.
    pub links: &'static [[&'static str; 4]],
    /// The lines by which `ip -batch` configures each place.
    pub lines: &'static [(&'static str, &'static str)],
    /// Places that forward packets.
    pub routers: &'static [&'static str],
}

/// A tunnel between two routers.
///
/// ```text
/// client 192.168.1.2 -- 192.168.1.1 [a] 10.0.0.1 -- core 10.0.0.254 -- 10.0.0.2 [b] 10.96.0.1 -- pod 10.96.0.10
///                                       fd00::1                        fd00::2
/// ```
pub const TUNNEL: Layout = Layout {
    places: &["client", "a", "core", "b", "pod"],
    links: &[
        ["client", "site", "a", "site"],
        ["a", "wan", "core", "to-a"],
        ["core", "to-b", "b", "wan"],
        ["b", "site", "pod", "site"],
    ],
    lines: &[
        (
            "client",
            "address add 192.168.1.2/24 dev site\nlink set site up\nroute add default via 192.168.1.1\n",
        ),
        (
            "a",
            "address add 192.168.1.1/24 dev site\nlink set site up\naddress add 10.0.0.1/24 dev wan\n\
             address add fd00::1/64 dev wan nodad\nlink set wan up\nroute add default via 10.0.0.254\n",
        ),
        (
            "core",
            "link add name lan type bridge\nlink set to-a master lan up\nlink set to-b master lan up\n\
             address add 10.0.0.254/24 dev lan\naddress add fd00::fe/64 dev lan nodad\nlink set lan up\n",
        ),
        (
            "b",
            "address add 10.0.0.2/24 dev wan\naddress add fd00::2/64 dev wan nodad\nlink set wan up\n\
             address add 10.96.0.1/24 dev site\nlink set site up\nroute add default via 10.0.0.254\n",
        ),
        (
            "pod",
            "address add 10.96.0.10/24 dev site\nlink set site up\nroute add default via 10.96.0.1\n",
        ),
    ],
    routers: &["a", "core", "b"],
};

/// A client and two clusters, each behind a router, and a place for what all of them ask. Both clusters have the service 10.112.0.10. The
/// client has a second link, which is down, to another router.
///
/// ```text
///          .... [d] 10.0.0.2 ----------+
/// client 192.168.1.2 -- [a] 10.0.0.1 --+-- core --+-- 10.0.0.11 [b] -- pod-b 10.1.0.2, 10.112.0.10
///                 control 10.0.0.9 ----+          +-- 10.0.0.12 [c] -- pod-c 10.2.0.2, 10.112.0.10
/// ```
pub const CLUSTERS: Layout = Layout {
    places: &[
        "client", "a", "d", "core", "control", "b", "c", "pod-b", "pod-c",
    ],
    links: &[
        ["client", "site", "a", "site"],
        ["client", "site-d", "d", "site"],
        ["a", "wan", "core", "to-a"],
        ["d", "wan", "core", "to-d"],
        ["control", "wan", "core", "to-control"],
        ["b", "wan", "core", "to-b"],
        ["c", "wan", "core", "to-c"],
        ["b", "site", "pod-b", "site"],
        ["c", "site", "pod-c", "site"],
    ],
    lines: &[
        (
            "client",
            "address add 192.168.1.2/24 dev site\nlink set site up\nroute add default via 192.168.1.1\n",
        ),
        (
            "a",
            "address add 192.168.1.1/24 dev site\nlink set site up\naddress add 10.0.0.1/24 dev wan\nlink set wan up\n",
        ),
        (
            "d",
            "address add 192.168.1.1/24 dev site\nlink set site up\naddress add 10.0.0.2/24 dev wan\nlink set wan up\n",
        ),
        (
            "core",
            "link add name lan type bridge\nlink set to-a master lan up\nlink set to-d master lan up\nlink set to-control master lan up\n\
             link set to-b master lan up\nlink set to-c master lan up\nlink set lan up\n",
        ),
        // The client asks the name server without a tunnel.
        (
            "control",
            "address add 10.0.0.9/24 dev wan\nlink set wan up\nroute add 192.168.1.0/24 via 10.0.0.1\n",
        ),
        (
            "b",
            "address add 10.0.0.11/24 dev wan\nlink set wan up\naddress add 10.1.0.1/24 dev site\nlink set site up\n\
             route add 10.112.0.0/16 via 10.1.0.2\n",
        ),
        (
            "c",
            "address add 10.0.0.12/24 dev wan\nlink set wan up\naddress add 10.2.0.1/24 dev site\nlink set site up\n\
             route add 10.112.0.0/16 via 10.2.0.2\n",
        ),
        (
            "pod-b",
            "address add 10.1.0.2/24 dev site\nlink set site up\naddress add 10.112.0.10/32 dev lo\n\
             route add default via 10.1.0.1\n",
        ),
        (
            "pod-c",
            "address add 10.2.0.2/24 dev site\nlink set site up\naddress add 10.112.0.10/32 dev lo\n\
             route add default via 10.2.0.1\n",
        ),
    ],
    routers: &["a", "d", "b", "c"],
};
