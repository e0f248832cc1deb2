//! The HTTP client for what a run has started: no variable of the environment leads its requests elsewhere.

/// A client that uses no proxy.
///
/// # Panics
/// Never: without proxies and certificates nothing can be wrong with one.
pub(super) fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().build();
    client.expect("there are no proxies and no certificates to be wrong")
}
