//! Names of services and clusters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest label of DNS, which names of Kubernetes are.
const MOST_BYTES: usize = 63;

/// A service, by its namespace and name: the same in every cluster. Its text is `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceName {
    namespace: String,
    name: String,
}

/// A text that is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no {1}: 1 to 63 lower-case letters, digits and dashes, with a letter or digit at both ends"
)]
pub struct NoName(pub String, pub &'static str);

/// Checks the name of a cluster, a namespace or a service; `what` says which.
pub fn check_label(text: &str, what: &'static str) -> Result<(), NoName> {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    let is_label = bytes.len() <= MOST_BYTES
        && ends
            .iter()
            .all(|end| end.is_some_and(|byte| is_letter(*byte)))
        && bytes.iter().all(|byte| is_letter(*byte) || *byte == b'-');
    let shown = || text.chars().take(MOST_BYTES + 1).collect();
    is_label.then_some(()).ok_or_else(|| NoName(shown(), what))
}

impl ServiceName {
    /// The service with this name in this namespace.
    pub fn new(namespace: &str, name: &str) -> Result<Self, NoName> {
        check_label(namespace, "namespace")?;
        check_label(name, "name of a service")?;
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl ServiceName {
    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name in its namespace.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for ServiceName {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        let (namespace, name) = text.split_once('/').unwrap_or((text, ""));
        Self::new(namespace, name)
    }
}

impl TryFrom<String> for ServiceName {
    type Error = NoName;

    fn try_from(text: String) -> Result<Self, NoName> {
        text.parse()
    }
}

impl From<ServiceName> for String {
    fn from(name: ServiceName) -> Self {
        name.to_string()
    }
}
