//! The programs of [two clusters](super::layout::CLUSTERS), of a client and of a control plane, as experiments start them.

use super::fleet::{Fleet, PATIENCE};
use crate::told::Told;

/// The address that the service has in both clusters.
pub const SERVICE: &str = "10.112.0.10";

/// The service's name at the control plane.
pub const SERVICE_NAME: &str = "shop/front";

/// One of the two clusters.
#[derive(Clone, Copy, Debug)]
pub struct Cluster {
    /// The place of its tunnel router and of its agent, and its name at the control plane.
    pub place: &'static str,
    /// The place of the cluster's pod.
    pub pod: &'static str,
    /// The address of the cluster's pod.
    pub pod_address: &'static str,
    /// The prefix of the addresses of the cluster's pods.
    pub pods: &'static str,
    /// The locator of the cluster's tunnel router.
    pub locator: &'static str,
    /// The Site-ID of the cluster.
    pub site: &'static str,
    /// The priority of its locator: the lower one is used.
    pub priority: &'static str,
    /// The names of its programs.
    pub names: Names,
}

/// The names of a cluster's programs.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    pub xtr: &'static str,
    pub agent: &'static str,
    pub service: &'static str,
}

/// The cluster that is used.
pub const B: Cluster = Cluster {
    place: "b",
    pod: "pod-b",
    pod_address: "10.1.0.2",
    pods: "10.1.0.0/24",
    locator: "10.0.0.11",
    site: "1",
    priority: "1",
    names: Names {
        xtr: "xtr-b",
        agent: "agent-b",
        service: "service-b",
    },
};

/// The cluster that is used when the other one is not.
pub const C: Cluster = Cluster {
    place: "c",
    pod: "pod-c",
    pod_address: "10.2.0.2",
    pods: "10.2.0.0/24",
    locator: "10.0.0.12",
    site: "2",
    priority: "2",
    names: Names {
        xtr: "xtr-c",
        agent: "agent-c",
        service: "service-c",
    },
};

/// The control plane's configuration, where it is not the same in every experiment.
#[derive(Clone, Copy, Debug, Default)]
pub struct ControlPlan {
    /// The client's tunnel router has no identity, and so no subscription.
    pub anonymous_client: bool,
    /// The site of cluster b takes xTRs without an identity.
    pub anonymous_b: bool,
    /// The Map-Server solicits nobody.
    pub is_silent: bool,
}

impl Fleet {
    /// Starts the control plane, in a place of its own.
    pub fn start_control(&mut self, plan: ControlPlan) -> anyhow::Result<()> {
        let key = self.file("key")?;
        let mut config = format!(
            "address = \"10.0.0.9\"\nsolicits = {}\n\
             [[pool]]\nname = \"default\"\nprefix = \"10.112.0.0/16\"\n\
             [[reservation]]\nservice = {SERVICE_NAME:?}\naddress = {SERVICE:?}\n",
            !plan.is_silent
        );
        let b = (B.site, B.place, format!("{:?}, \"{SERVICE}/32\"", B.pods));
        let c = (C.site, C.place, format!("{:?}, \"{SERVICE}/32\"", C.pods));
        let client = ("3", "clients", "\"192.168.1.0/24\"".to_owned());
        for ((id, name, prefixes), anonymous) in [
            (b, plan.anonymous_b),
            (c, false),
            (client, plan.anonymous_client),
        ] {
            config += &format!(
                "[[site]]\nid = {id}\nname = {name:?}\nkey = [{{ id = 1, file = {key:?} }}]\n\
                 prefixes = [{prefixes}]\nanonymous = {anonymous}\n"
            );
        }
        let file = self.file("lisp.toml")?;
        std::fs::write(&file, config)?;
        let (store, token) = (self.file("store")?, self.file("token")?);
        let args: [&[&str]; 3] = [
            &["control", "--events", "--config", &file, "--store", &store],
            &["--token-file", &token, "--listen", "10.0.0.9:4342"],
            &["--api", "10.0.0.9:4380", "--ops", "127.0.0.1:9095"],
        ];
        self.start_ready("control", "control", &args.concat())?;
        Ok(())
    }

    /// Starts the client's tunnel router, with these arguments more: where its locator is from, and whether it has an identity.
    pub fn start_client_xtr(&mut self, more: &[&str]) -> anyhow::Result<()> {
        self.start_xtr_for_client("a", "xtr-a", more)
    }

    /// Starts the tunnel router that the client may move to, as [`Self::start_client_xtr`] does.
    pub fn start_other_client_xtr(&mut self, more: &[&str]) -> anyhow::Result<()> {
        self.start_xtr_for_client("d", "xtr-d", more)
    }

    fn start_xtr_for_client(
        &mut self,
        place: &str,
        name: &'static str,
        more: &[&str],
    ) -> anyhow::Result<()> {
        let key = self.file("key")?;
        let args = [
            ["xtr", "--events", "--ops", "127.0.0.1:9096"].as_slice(),
            &["--endpoint", "192.168.1.0/24"],
            &["--route", "10.112.0.0/16,10.1.0.0/24,10.2.0.0/24"],
            &["--map-server", "10.0.0.9", "--key-file", &key],
            &["--register", "192.168.1.0/24"],
            more,
        ];
        self.start_ready(place, name, &args.concat())?;
        Ok(())
    }

    /// Starts a cluster's tunnel router; it registers the service itself where no agent does.
    pub fn start_xtr(
        &mut self,
        cluster: Cluster,
        has_agent: bool,
        is_anonymous: bool,
    ) -> anyhow::Result<()> {
        let key = self.file("key")?;
        let endpoints = format!("10.112.0.0/16,{}", cluster.pods);
        let register = if has_agent {
            cluster.pods.to_owned()
        } else {
            format!("{SERVICE}/32,{}", cluster.pods)
        };
        let site = ["--site", cluster.site];
        let args = [
            ["xtr", "--events", "--ops", "127.0.0.1:9096"].as_slice(),
            &["--locator", cluster.locator, "--endpoint", &endpoints],
            &["--route", "192.168.1.0/24"],
            &["--map-server", "10.0.0.9", "--key-file", &key],
            &["--register", &register, "--priority", cluster.priority],
            if is_anonymous { &[] } else { &site },
        ];
        self.start_ready(cluster.place, cluster.names.xtr, &args.concat())?;
        Ok(())
    }

    /// Starts a cluster's service; its process.
    pub fn start_service(&mut self, cluster: Cluster) -> anyhow::Result<u32> {
        let listen = format!("{SERVICE}:7,{}:7", cluster.pod_address);
        let page = format!("{}:8080", cluster.pod_address);
        let args: [&[&str]; 2] = [
            &["bench", "serve", "--name", cluster.place],
            &["--listen", &listen, "--page", &page],
        ];
        let service = self.start_ready(cluster.pod, cluster.names.service, &args.concat())?;
        Ok(service.pid())
    }

    /// Starts a cluster's agent, and waits until it has registered the service.
    pub fn start_agent(&mut self, cluster: Cluster, more: &[&str]) -> anyhow::Result<()> {
        let token = self.file("token")?;
        let locator = format!("{}@{}/100", cluster.locator, cluster.priority);
        let name = cluster.names.agent;
        let args: [&[&str]; 6] = [
            &["bench", "agent", "--cluster", cluster.place],
            &["--locator", &locator, "--control", "http://10.0.0.9:4380"],
            &["--token-file", &token, "--service", SERVICE_NAME],
            &["--address", SERVICE, "--pod", cluster.pod_address],
            &["--probe", "http:8080/ready"],
            more,
        ];
        self.start(cluster.place, name, &args.concat())?;
        self.until(&format!("{name} has registered"), PATIENCE, |fleet| {
            fleet.first(name, 0, is_registered).is_ok()
        })
    }

    /// Starts the client's requests, and waits for the first answer of cluster b.
    pub fn start_stream(&mut self, more: &[&str]) -> anyhow::Result<()> {
        let to = format!("{SERVICE}:7");
        let args: [&[&str]; 2] = [&["bench", "stream", "--to", &to], more];
        self.start("client", "stream", &args.concat())?;
        self.until("the first answer", PATIENCE, |fleet| {
            fleet
                .answers
                .last()
                .is_some_and(|answer| answer.by == B.place)
        })
    }
}

/// Whether an agent has said that its cluster is registered.
fn is_registered(told: &Told) -> bool {
    matches!(told, Told::Registered { .. })
}
