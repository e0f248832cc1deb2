//! What survives the process: a file of `SQLite`.
//!
//! The schema holds what must never be broken whatever the code does: a name has one address, and an address one name. A change is
//! on disk when the call returns.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use timeline::UnixMicros;

use crate::server::{SavedNonce, SavedState, SavedSubscription};
use crate::services::{Change, Service, ServiceName};

/// The version of the schema below.
const VERSION: i64 = 2;

const SCHEMA: &str = "
CREATE TABLE services (
    name TEXT PRIMARY KEY,
    eid TEXT NOT NULL UNIQUE,
    number INTEGER NOT NULL,
    released_us INTEGER
) STRICT;
CREATE TABLE members (
    name TEXT NOT NULL REFERENCES services (name) ON DELETE CASCADE,
    cluster TEXT NOT NULL,
    PRIMARY KEY (name, cluster)
) STRICT, WITHOUT ROWID;
CREATE TABLE conflicts (eid TEXT NOT NULL, cluster TEXT NOT NULL, PRIMARY KEY (eid, cluster)) STRICT, WITHOUT ROWID;
CREATE TABLE nonces (key TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE subscriptions (key TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
";

/// How long another process that has the file is waited for.
const BUSY: Duration = Duration::from_secs(2);

/// The file is not what this program wrote.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("the store")]
    Sqlite(#[from] rusqlite::Error),
    #[error(
        "the store has a schema of version {0}, this program one of {VERSION}: start the program that wrote it"
    )]
    Version(i64),
    #[error("the store has a row that is none: {0}")]
    Row(String),
}

/// An open store.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
}

impl Store {
    /// Opens the file, and makes it if it is not there.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        // FULL: a commit in the log is flushed before it counts.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        // Nobody else may write what we believe to know; the lock ends with the process.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        let mut store = Self { connection };
        let transaction = store
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 =
            transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match version {
            0 => {
                transaction.execute_batch(SCHEMA)?;
                transaction.pragma_update(None, "user_version", VERSION)?;
            }
            VERSION => {}
            other => return Err(StoreError::Version(other)),
        }
        transaction.commit()?;
        Ok(store)
    }

    /// Makes changes durable, all or none.
    pub(super) fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        for change in changes {
            write(&transaction, change)?;
        }
        Ok(transaction.commit()?)
    }

    /// Every service, in the order in which they got their addresses.
    pub(super) fn services(&self) -> Result<Vec<(ServiceName, Service)>, StoreError> {
        let mut members = self
            .connection
            .prepare("SELECT cluster FROM members WHERE name = ?1")?;
        let mut statement = self
            .connection
            .prepare("SELECT name, eid, released_us FROM services ORDER BY number")?;
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let (name, eid): (String, String) = (row.get(0)?, row.get(1)?);
            let released: Option<i64> = row.get(2)?;
            let clusters = members
                .query_map([&name], |row| row.get(0))?
                .collect::<Result<BTreeSet<String>, _>>()?;
            let wrong = || StoreError::Row(format!("{name:?} with {eid:?}"));
            let service = Service {
                eid: eid.parse().map_err(|_| wrong())?,
                clusters,
                released: released.map(|us| UnixMicros(us.cast_unsigned())),
            };
            all.push((name.parse().map_err(|_| wrong())?, service));
        }
        Ok(all)
    }

    /// Addresses that clusters have given to something of their own.
    pub(super) fn conflicts(&self) -> Result<Vec<Change>, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT eid, cluster FROM conflicts")?;
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let (eid, cluster): (String, String) = (row.get(0)?, row.get(1)?);
            let eid = eid.parse().map_err(|_| StoreError::Row(eid.clone()))?;
            all.push(Change::Block { eid, cluster });
        }
        Ok(all)
    }

    /// Makes what the Map-Server has to keep durable.
    pub(super) fn save(&mut self, state: &SavedState) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        for one in &state.nonces {
            let key = format!("{}/{}", one.identity, one.key_id);
            put(&transaction, "nonces", &key, one)?;
        }
        for one in &state.subscriptions {
            let key = format!("{}/{}", one.identity, one.eid);
            put(&transaction, "subscriptions", &key, one)?;
        }
        for (eid, identity) in &state.gone {
            let key = format!("{identity}/{eid}");
            transaction.execute("DELETE FROM subscriptions WHERE key = ?1", [&key])?;
        }
        Ok(transaction.commit()?)
    }

    /// The state of the Map-Server that was saved.
    pub(super) fn saved(&self) -> Result<SavedState, StoreError> {
        Ok(SavedState {
            nonces: self.bodies::<SavedNonce>("nonces")?,
            subscriptions: self.bodies::<SavedSubscription>("subscriptions")?,
            gone: Vec::new(),
        })
    }

    fn bodies<T: serde::de::DeserializeOwned>(&self, table: &str) -> Result<Vec<T>, StoreError> {
        let mut statement = self
            .connection
            .prepare(&format!("SELECT body FROM {table}"))?;
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let body: String = row.get(0)?;
            all.push(
                serde_json::from_str(&body).map_err(|error| StoreError::Row(error.to_string()))?,
            );
        }
        Ok(all)
    }
}

fn put(
    transaction: &Transaction<'_>,
    table: &str,
    key: &str,
    body: &impl serde::Serialize,
) -> Result<(), StoreError> {
    let body = serde_json::to_string(body).map_err(|error| StoreError::Row(error.to_string()))?;
    let sql = format!(
        "INSERT INTO {table} VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET body = excluded.body"
    );
    transaction.prepare(&sql)?.execute(params![key, body])?;
    Ok(())
}

fn write(transaction: &Transaction<'_>, change: &Change) -> Result<(), StoreError> {
    let execute = |sql, params: &[&dyn rusqlite::ToSql]| transaction.prepare(sql)?.execute(params);
    match change {
        Change::Assign { name, eid } => {
            let sql = "INSERT INTO services (name, eid, number) \
                       VALUES (?1, ?2, (SELECT coalesce(max(number), 0) + 1 FROM services))";
            execute(sql, &[&name.to_string(), &eid.to_string()])?;
        }
        Change::Join { name, cluster } => {
            let name = name.to_string();
            execute("INSERT INTO members VALUES (?1, ?2)", &[&name, cluster])?;
            execute(
                "UPDATE services SET released_us = NULL WHERE name = ?1",
                &[&name],
            )?;
        }
        Change::Leave {
            name,
            cluster,
            released,
        } => {
            let name = name.to_string();
            let released = released.map(|at| at.0.cast_signed());
            execute(
                "DELETE FROM members WHERE name = ?1 AND cluster = ?2",
                &[&name, cluster],
            )?;
            execute(
                "UPDATE services SET released_us = ?2 WHERE name = ?1",
                &[&name as &dyn rusqlite::ToSql, &released],
            )?;
        }
        Change::Block { eid, cluster } => {
            execute(
                "INSERT INTO conflicts VALUES (?1, ?2)",
                &[&eid.to_string(), cluster],
            )?;
        }
        Change::Forget { name } => {
            execute("DELETE FROM services WHERE name = ?1", &[&name.to_string()])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Identity;

    fn name(text: &str) -> ServiceName {
        text.parse().unwrap()
    }

    fn assign(text: &str, eid: &str) -> Change {
        Change::Assign {
            name: name(text),
            eid: eid.parse().unwrap(),
        }
    }

    #[test]
    fn what_is_committed_is_read_again_and_an_address_has_one_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let join = |cluster: &str| Change::Join {
            name: name("a/one"),
            cluster: cluster.into(),
        };
        let mut store = Store::open(&path).unwrap();
        store
            .commit(&[assign("a/one", "10.0.0.1"), join("seoul"), join("busan")])
            .unwrap();
        let doubled = store.commit(&[assign("a/two", "10.0.0.2"), assign("a/three", "10.0.0.1")]);
        assert!(doubled.is_err(), "the schema says no");
        store.commit(&[assign("a/four", "[7]2001:db8::1")]).unwrap();
        assert!(Store::open(&path).is_err(), "one process at a time");
        drop(store);

        let mut store = Store::open(&path).unwrap();
        let services = store.services().unwrap();
        let names: Vec<_> = services
            .iter()
            .map(|(name, service)| format!("{name} {}", service.eid))
            .collect();
        assert_eq!(
            names,
            ["a/one 10.0.0.1/32", "a/four [7]2001:db8::1/128"],
            "all or none of a commit"
        );
        assert_eq!(services[0].1.clusters.len(), 2);
        for (cluster, released) in [("seoul", None), ("busan", Some(UnixMicros(9)))] {
            let leave = Change::Leave {
                name: name("a/one"),
                cluster: cluster.into(),
                released,
            };
            store.commit(&[leave]).unwrap();
        }
        let block = Change::Block {
            eid: "10.0.0.7".parse().unwrap(),
            cluster: "seoul".into(),
        };
        store.commit(std::slice::from_ref(&block)).unwrap();
        assert_eq!(store.conflicts().unwrap(), [block]);
        assert_eq!(store.services().unwrap()[0].1.released, Some(UnixMicros(9)));
        store
            .commit(&[
                Change::Forget {
                    name: name("a/one"),
                },
                assign("a/five", "10.0.0.1"),
            ])
            .unwrap();
        assert_eq!(store.services().unwrap()[1].0, name("a/five"));
    }

    #[test]
    fn the_last_of_what_was_saved_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let identity = Identity {
            xtr_id: u128::MAX,
            site_id: u64::MAX,
        };
        let nonce = |nonce| SavedNonce {
            identity,
            key_id: 1,
            nonce,
            address: [10, 0, 0, 1].into(),
            eid: "10.0.0.1".parse().unwrap(),
        };
        let state = |number| SavedState {
            nonces: vec![nonce(number)],
            gone: vec![],
            subscriptions: vec![SavedSubscription {
                eid: "[7]10.0.0.0/8".parse().unwrap(),
                identity,
                itr_rlocs: vec!["2001:db8::1".parse().unwrap()],
                nonce: number,
                lifetime_s: 60,
                ended: false,
            }],
        };
        let mut store = Store::open(&path).unwrap();
        for number in [1, u64::MAX, 2] {
            store.save(&state(number)).unwrap();
        }
        drop(store);
        let mut store = Store::open(&path).unwrap();
        assert_eq!(store.saved().unwrap(), state(2));
        let gone = SavedState {
            gone: vec![("[7]10.0.0.0/8".parse().unwrap(), identity)],
            ..SavedState::default()
        };
        store.save(&gone).unwrap();
        assert_eq!(store.saved().unwrap().subscriptions, []);
    }

    #[test]
    fn a_store_of_another_version_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = Store::open(&path).unwrap();
        store
            .connection
            .pragma_update(None, "user_version", 9)
            .unwrap();
        drop(store);
        assert!(matches!(Store::open(&path), Err(StoreError::Version(9))));
    }
}
