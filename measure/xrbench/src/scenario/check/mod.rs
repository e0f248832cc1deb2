//! What the types of a scenario cannot say: keys that must agree, and options that the services refuse.

mod fault;
mod server;

use settings::{ClusterName, Pipeline, Refused, SourceSpec, Span};

use super::error::{CheckError, HOLDS_A_PASSWORD};
use super::model::Scenario;

impl Scenario {
    /// Whether it can be run.
    pub fn check(&self) -> Result<(), CheckError> {
        self.check_itself()?;
        self.check_services()?;
        self.check_network()?;
        if let Some(server) = &self.server {
            server::check(server, self)?;
        }
        for fault in &self.fault {
            fault::check(fault, self)?;
        }
        Ok(())
    }

    fn check_itself(&self) -> Result<(), CheckError> {
        let wrong = |key: &str, value: &dyn ToString, why: &str| {
            Err(CheckError::new(key, &value.to_string(), why))
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !(1..=64).contains(&self.name.len()) || !self.name.chars().all(plain) {
            let why = "a name is 1 to 64 letters, digits, `-` or `_`: it names a folder";
            return wrong("name", &self.name, why);
        }
        if self.name.starts_with("floor-") {
            let why = "names that begin with floor- are the floors' own";
            return wrong("name", &self.name, why);
        }
        if self.pipeline == Pipeline::Floor {
            let why = "ask for it by `floor = {}` in the scenario that needs it";
            return wrong("pipeline", &self.pipeline, why);
        }
        if self.duration < Span::seconds(1) {
            return wrong("duration", &self.duration, "it must be at least 1s");
        }
        if self.source.has_secret() {
            return wrong("source", &self.source, HOLDS_A_PASSWORD);
        }
        if self.pipeline.is_reference() && matches!(self.source, SourceSpec::Launch(_)) {
            let why = "ffmpeg cannot read it; give the reference file:PATH or test";
            return wrong("source", &self.source, why);
        }
        Ok(())
    }

    /// Each service's own parser reads its options.
    fn check_services(&self) -> Result<(), CheckError> {
        let of = |service: &str, refused: Refused| {
            let Refused { key, value, why } = refused;
            CheckError::new(format!("{service}.{key}"), &value, why)
        };
        settings::check(&self.renderer).map_err(|refused| of("renderer", refused))?;
        settings::check(&self.streamer).map_err(|refused| of("streamer", refused))?;
        settings::check(&self.client).map_err(|refused| of("client", refused))
    }

    /// What a fabric, its WAN and its limits must agree on.
    fn check_network(&self) -> Result<(), CheckError> {
        let fabric = self.fabric;
        if self.transport.is_quic() && (self.pipeline.is_reference() || self.server.is_some()) {
            let why = "of what is played here only xr-streamer and xr-client speak RTP over QUIC; use udp or tcp for the \
                 reference and for another server";
            return Err(CheckError::new("transport", &self.transport, why));
        }
        if self.feed.is_quic() && (self.pipeline.is_reference() || self.server.is_some()) {
            let why = "of what is played here only xr-renderer and xr-streamer speak RTP over QUIC; use http for the reference, and \
                 for another server what it takes";
            return Err(CheckError::new("feed", &self.feed, why));
        }
        if self.pipeline.is_reference() && !self.fault.is_empty() {
            let why = "an unmodified ffmpeg ends with the connection that it loses, and does not come back; leave the faults \
                 out for this one";
            return Err(CheckError::new("fault", &"", why));
        }
        if self.overlapping && !fabric.is_liqo() {
            let why = "only Liqo translates addresses; this goes with fabric = \"liqo\"";
            return Err(CheckError::new("overlapping", &true, why));
        }
        if self.standby && (!fabric.shares_services() || self.server.is_some()) {
            let why = "only LISP leads one address to several clusters, and only xr-streamer stands by; this goes with fabric = \"lisp\" \
                 and without another server";
            return Err(CheckError::new("standby", &true, why));
        }
        if self.standby && self.service.is_headless() {
            let why = "a pod's own address leads to nobody else; leave service = \"headless\" out";
            return Err(CheckError::new("standby", &true, why));
        }
        if self.renderer.cluster == ClusterName::B && !fabric.has_wan() {
            let why = format!("fabric \"{fabric}\" has no cluster B");
            return Err(CheckError::new("renderer.cluster", &ClusterName::B, why));
        }
        if self.limits && !fabric.is_lab() {
            let why = "it limits clusters, and this scenario has none; give it a fabric";
            return Err(CheckError::new("limits", &true, why));
        }
        let Some(keys) = &self.wan else {
            return Ok(());
        };
        if !fabric.has_wan() {
            let why = format!("fabric \"{fabric}\" has no WAN: one needs two clusters");
            let preset = keys.preset.as_deref().unwrap_or_default();
            return Err(CheckError::new("wan", &preset, why));
        }
        let wan = keys.wan()?;
        let bps = u64::from(self.bitrate.bits_per_second());
        for (name, direction) in [("a_to_b", wan.a_to_b), ("b_to_a", wan.b_to_a)] {
            if let Some(rate) = direction.rate_bps.filter(|rate| *rate <= bps) {
                let why = format!(
                    "{name} carries {rate} bits a second, no more than the video's {bps} before any header: the queue \
                     would grow until packets are dropped; raise the rate or lower the bitrate"
                );
                return Err(CheckError::new("wan.rate", &rate, why));
            }
        }
        Ok(())
    }
}
