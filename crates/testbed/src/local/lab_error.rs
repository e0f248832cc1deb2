//! Why a lab could not be brought up, or changed.

use std::io;

use thiserror::Error;
use tokio::task::JoinError;

use super::command::{CommandError, Missing};
use crate::netns::Netns;
use crate::{NotReady, StartError};

/// A lab could not be brought up, or changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LabError {
    /// A namespace could not be made or entered.
    #[error("namespace {namespace}: {source}")]
    Namespace {
        namespace: String,
        source: io::Error,
    },
    /// The links between namespaces were refused.
    #[error("links between namespaces: {0}")]
    Links(CommandError),
    /// A line was refused in a namespace.
    #[error("namespace {namespace}: {source}")]
    Command {
        namespace: String,
        source: CommandError,
    },
    /// A kernel parameter was refused.
    #[error("namespace {namespace}: sysctl {key} = {value}: {source}")]
    Sysctl {
        namespace: String,
        key: String,
        value: String,
        source: io::Error,
    },
    /// A daemon's program is not installed.
    #[error("{role}: {source}")]
    Missing { role: String, source: Missing },
    /// A daemon could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A service of the fabric is not ready.
    #[error(transparent)]
    NotReady(#[from] NotReady),
    /// The folder of the lab's files cannot be used.
    #[error("files of the lab: {0}")]
    Files(io::Error),
    /// A task of the fabric failed, or took too long.
    #[error("{role} {how}; the end of its log:\n{tail}")]
    Task {
        role: String,
        /// What it did instead of ending well.
        how: String,
        /// The end of its log.
        tail: String,
    },
    /// A daemon ended, or took too long, before its interface was there.
    #[error(
        "{role} {how} before {interface} was there in {namespace}; the end of its log:\n{tail}"
    )]
    NotMade {
        role: String,
        /// What it did instead.
        how: String,
        /// What was waited for.
        interface: String,
        namespace: String,
        /// The end of its log.
        tail: String,
    },
    /// There is nothing of that name.
    #[error("the lab has no {what} {name:?}; it has {known}")]
    Unknown {
        /// A namespace or a daemon.
        what: &'static str,
        /// What was asked for.
        name: String,
        known: String,
    },
    /// A thread of ours failed.
    #[error("a thread that sets the lab up failed: {0}")]
    Thread(#[from] JoinError),
}

impl LabError {
    pub(super) fn namespace(name: &str, source: io::Error) -> Self {
        Self::Namespace {
            namespace: name.to_owned(),
            source,
        }
    }

    pub(super) fn command(netns: &Netns, source: CommandError) -> Self {
        Self::Command {
            namespace: netns.name().to_owned(),
            source,
        }
    }
}
