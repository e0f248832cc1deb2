//! Makes the first group of a tree in each hierarchy that has what is asked for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::group::write;
use super::hierarchy::{self, CONTROLLERS_V1, CONTROLLERS_V2, Hierarchy};
use super::model::{Missing, Version};
use super::remove;

/// The first group of a tree in one hierarchy. Dropping it removes it with everything in it.
#[derive(Debug)]
pub(super) struct Place {
    /// What it controls and counts.
    pub(super) controllers: Vec<String>,
    /// The group's folder.
    pub(super) root: PathBuf,
    /// Controllers that were handed down to it for its sake, to be taken back from this group.
    handed_down: Option<(PathBuf, Vec<String>)>,
}

impl Place {
    pub(super) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|one| one == controller)
    }

    /// Makes a group below the first, with its controllers.
    pub(super) fn below(
        &self,
        unified: bool,
        part: &str,
        name: Option<&str>,
    ) -> io::Result<PathBuf> {
        let mut dir = self.root.clone();
        for step in [Some(part), name].into_iter().flatten() {
            if unified {
                hand_down(&dir, &self.controllers)?;
            }
            dir.push(step);
            match fs::create_dir(&dir) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made?,
            }
        }
        Ok(dir)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = remove::tree(&self.root) {
            tracing::warn!(
                "cannot remove the control group {}: {error}",
                self.root.display()
            );
        }
        if let Some((from, controllers)) = &self.handed_down {
            take_back(from, controllers);
        }
    }
}

/// What was made, and what could not be.
pub(super) type Made = (Option<Version>, Vec<Place>, Vec<Missing>);

/// Makes the first group of a tree, in the unified hierarchy where that one has the controllers.
pub(super) fn make(hierarchies: &[Hierarchy], name: &str) -> Made {
    match hierarchy::unified(hierarchies) {
        Some(unified) => make_v2(unified, name, &CONTROLLERS_V2),
        None => make_v1(hierarchies, name),
    }
}

/// The nearest group that can hand down most of what is wanted. One with nothing at all still counts processor time.
pub(super) fn make_v2(hierarchy: &Hierarchy, name: &str, wanted: &[&str]) -> Made {
    let mut why = None;
    'places: for least in (0..=wanted.len()).rev() {
        for parent in hierarchy.candidates() {
            // Who moves a process needs to write to the nearest group that is above both places.
            if access(&parent.join("cgroup.procs"), AccessFlags::W_OK).is_err() {
                why.get_or_insert_with(|| format!("{} is not ours to write to", parent.display()));
                continue;
            }
            match place_v2(parent, name, wanted, least) {
                Ok(place) => {
                    let missing = wanted
                        .iter()
                        .filter(|one| !place.controllers.iter().any(|got| got == *one))
                        .map(|one| {
                            let cause = format!("{} does not hand it down", parent.display());
                            Missing::new(one, why.clone().unwrap_or(cause))
                        })
                        .collect();
                    return (Some(Version::V2), vec![place], missing);
                }
                Err(error) => {
                    let taken = error.kind() == io::ErrorKind::ResourceBusy;
                    why.get_or_insert_with(|| format!("{}: {error}", parent.display()));
                    // EBUSY is also what a group with processes of its own says, to which nothing can be handed down.
                    if taken && parent.join(name).exists() {
                        break 'places;
                    }
                }
            }
        }
    }
    let why = why.unwrap_or_else(|| "no cgroup hierarchy is mounted".into());
    let missing = wanted.iter().map(|one| Missing::new(one, &*why));
    (None, Vec::new(), missing.collect())
}

fn place_v2(parent: &Path, name: &str, wanted: &[&str], least: usize) -> io::Result<Place> {
    let has = |file: &str| -> Vec<String> {
        let text = fs::read_to_string(parent.join(file)).unwrap_or_default();
        text.split_whitespace().map(ToOwned::to_owned).collect()
    };
    let (available, before) = (has("cgroup.controllers"), has("cgroup.subtree_control"));
    let mut refused = None;
    let (mut controllers, mut new) = (Vec::new(), Vec::new());
    for one in available {
        if !wanted.contains(&one.as_str()) {
            continue;
        }
        if !before.contains(&one) {
            if let Err(error) = hand_down(parent, std::slice::from_ref(&one)) {
                refused = Some(error);
                continue;
            }
            new.push(one.clone());
        }
        controllers.push(one);
    }
    let root = parent.join(name);
    let made = if controllers.len() < least {
        Err(refused.unwrap_or_else(|| io::Error::other(format!("it lacks one of {wanted:?}"))))
    } else {
        create(&root)
    };
    if let Err(error) = made {
        take_back(parent, &new);
        return Err(error);
    }
    Ok(Place {
        controllers,
        root,
        handed_down: (!new.is_empty()).then(|| (parent.to_owned(), new)),
    })
}

fn make_v1(hierarchies: &[Hierarchy], name: &str) -> Made {
    let mut places: Vec<(PathBuf, Place)> = Vec::new();
    let mut missing = Vec::new();
    for wanted in CONTROLLERS_V1 {
        let Some(hierarchy) = hierarchies
            .iter()
            .find(|one| one.controllers.contains(&wanted))
        else {
            missing.push(Missing::new(wanted, "its hierarchy is not mounted"));
            continue;
        };
        if let Some((_, place)) = places.iter_mut().find(|(at, _)| *at == hierarchy.mount) {
            place.controllers.push(wanted.to_owned());
            continue;
        }
        let mut why = None;
        let mut root = None;
        for parent in hierarchy.candidates() {
            let here = parent.join(name);
            match create(&here) {
                Ok(()) => root = Some(here),
                Err(error) => {
                    why.get_or_insert_with(|| format!("{}: {error}", here.display()));
                    if error.kind() != io::ErrorKind::ResourceBusy {
                        continue;
                    }
                }
            }
            break;
        }
        match root {
            Some(root) => places.push((
                hierarchy.mount.clone(),
                Place {
                    controllers: vec![wanted.to_owned()],
                    root,
                    handed_down: None,
                },
            )),
            None => missing.push(Missing::new(wanted, why.unwrap_or_default())),
        }
    }
    let version = (!places.is_empty()).then_some(Version::V1);
    (
        version,
        places.into_iter().map(|(_, place)| place).collect(),
        missing,
    )
}

/// Makes a group of that name; one that was left behind by a process of the same number gives way.
fn create(root: &Path) -> io::Result<()> {
    match fs::create_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if remove::is_in_use(root) {
                return Err(io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    "another run has this name",
                ));
            }
            remove::empty(root)?;
            fs::create_dir(root)
        }
        made => made,
    }
}

fn hand_down(group: &Path, controllers: &[String]) -> io::Result<()> {
    control(group, '+', controllers)
}

fn take_back(group: &Path, controllers: &[String]) {
    // Another lab may use it by now: the kernel then refuses, and that lab takes nothing back.
    let _ = control(group, '-', controllers);
}

fn control(group: &Path, sign: char, controllers: &[String]) -> io::Result<()> {
    let words: Vec<_> = controllers
        .iter()
        .map(|one| format!("{sign}{one}"))
        .collect();
    if words.is_empty() {
        return Ok(());
    }
    write(&group.join("cgroup.subtree_control"), &words.join(" "))
}
