//! Each line of what must not break anything: a clear refusal that names cause and remedy, and a service that goes on.

mod configuration;
mod disk;
mod feeds;
mod peers;
mod sources;
