//! Service addresses: one for each namespace and name, whichever clusters the service runs in.

mod book;
mod name;
mod pool;
#[cfg(test)]
mod tests;

pub use book::{Book, Change, NoAddress, Service};
pub use name::{NoName, ServiceName, check_label};
pub use pool::Pool;
