//! The modules of a crate and what each of them imports, read from the source text: the graph behind the rule that no two
//! modules import each other.
//!
//! A module is a file. Tests (`#[cfg(test)]`) do not count, and neither does a parent that only declares or re-exports its
//! children: a path that goes through a re-export leads to the module that has the item. A re-export whose name the same file
//! uses is an import like any other. Of a re-exported trait no call of a method is seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, File, Item, ItemMod, ItemUse, UseTree,
    buffer::{Cursor, TokenBuffer},
    visit::{self, Visit},
};

/// A module's path below its crate: `["run", "place"]`; empty for the crate root.
type Name = Vec<String>;

/// The imports of one module, as they stand in the text.
#[derive(Default)]
struct Module {
    children: BTreeSet<String>,
    /// Names that a `use` brings into scope, with the absolute path behind each.
    names: BTreeMap<String, Name>,
    /// Absolute paths that code of the module mentions.
    mentions: BTreeSet<Name>,
}

/// Every module of a crate.
#[derive(Default)]
pub(crate) struct Modules(BTreeMap<Name, Module>);

impl Modules {
    /// Reads the crate with this root file, `src/lib.rs` or `src/main.rs`.
    pub(crate) fn read(root: &Path) -> Self {
        let mut modules = Self::default();
        let folder = root.parent().expect("a root file lies in a folder");
        modules.add(&Vec::new(), root, folder);
        modules
    }

    fn add(&mut self, name: &Name, file: &Path, folder: &Path) {
        let text = fs::read_to_string(file)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
        let parsed: File = syn::parse_file(&text)
            .unwrap_or_else(|error| panic!("cannot parse {}: {error}", file.display()));
        let mut reader = Reader {
            here: name.clone(),
            module: Module::default(),
            exported: Vec::new(),
            words: BTreeSet::new(),
            files: Vec::new(),
        };
        reader.visit_file(&parsed);
        reader.mention_used_exports();
        self.0.insert(name.clone(), reader.module);
        for (child, path) in reader.files {
            let (file, below) = place_of(&child, path.as_deref(), file, folder);
            let name = [name.clone(), vec![child]].concat();
            self.add(&name, &file, &below);
        }
    }

    /// The module that has the item at `path`, through re-exports; none for a path that leads out of the crate.
    fn home(&self, path: &[String], patience: u32) -> Option<Name> {
        if patience == 0 {
            return None;
        }
        let depth = (0..=path.len())
            .rev()
            .find(|depth| self.0.contains_key(&path[..*depth]))?;
        let module = &self.0[&path[..depth]];
        let Some(item) = path.get(depth) else {
            return Some(path.to_vec());
        };
        if let Some(target) = module.names.get(item) {
            let further = [target.as_slice(), &path[depth + 1..]].concat();
            if further != path {
                return self.home(&further, patience - 1);
            }
        }
        Some(path[..depth].to_vec())
    }

    /// The modules that each module imports from.
    pub(crate) fn imports(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut graph = BTreeMap::new();
        for (name, module) in &self.0 {
            let to: BTreeSet<String> = module
                .mentions
                .iter()
                .filter_map(|path| self.home(path, 16))
                .filter(|home| home != name)
                .map(|home| show(&home))
                .collect();
            graph.insert(show(name), to);
        }
        graph
    }
}

fn show(name: &[String]) -> String {
    if name.is_empty() {
        "(root)".to_owned()
    } else {
        name.join("::")
    }
}

/// The file of a child module, and the folder where its own children are.
fn place_of(child: &str, path: Option<&str>, parent: &Path, folder: &Path) -> (PathBuf, PathBuf) {
    if let Some(path) = path {
        let beside = parent.parent().expect("a file lies in a folder");
        return (beside.join(path), folder.join(child));
    }
    let flat = folder.join(format!("{child}.rs"));
    let below = folder.join(child);
    if flat.exists() {
        (flat, below)
    } else {
        (below.join("mod.rs"), below)
    }
}

struct Reader {
    here: Name,
    module: Module,
    /// What is re-exported: the name that it gets here, and the absolute path behind it.
    exported: Vec<(String, Name)>,
    /// The first words of paths, and every word in a macro's tokens: names that the file uses are among them.
    words: BTreeSet<String>,
    files: Vec<(String, Option<String>)>,
}

impl Reader {
    /// The absolute form of a path written here; none for one that cannot lead into this crate.
    fn absolute(&self, segments: &[String]) -> Option<Name> {
        let (first, rest) = segments.split_first()?;
        let mut base = match first.as_str() {
            "crate" => Vec::new(),
            "self" => self.here.clone(),
            "super" => self.here[..self.here.len().checked_sub(1)?].to_vec(),
            child if self.module.children.contains(child) => {
                [self.here.clone(), vec![first.clone()]].concat()
            }
            _ => return None,
        };
        for segment in rest {
            if segment == "super" {
                base.pop()?;
            } else {
                base.push(segment.clone());
            }
        }
        Some(base)
    }

    fn mention(&mut self, segments: &[String]) {
        if let Some(path) = self.absolute(segments) {
            self.module.mentions.insert(path);
        }
    }

    fn take_use(&mut self, tree: &UseTree, before: &[String], exported: bool) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => {
                self.take_use(&path.tree, &with(path.ident.to_string()), exported);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.take_use(tree, before, exported);
                }
            }
            // Which names of a glob are used cannot be seen: it counts as an import, re-exported or not.
            UseTree::Glob(_) => self.mention(before),
            UseTree::Name(name) if name.ident == "self" => self.bind(before, None, exported),
            UseTree::Name(name) => self.bind(&with(name.ident.to_string()), None, exported),
            UseTree::Rename(rename) => {
                let path = with(rename.ident.to_string());
                self.bind(&path, Some(rename.rename.to_string()), exported);
            }
        }
    }

    fn bind(&mut self, segments: &[String], name: Option<String>, exported: bool) {
        let Some(path) = self.absolute(segments) else {
            return;
        };
        let name = name.or_else(|| segments.last().cloned());
        if !exported {
            self.module.mentions.insert(path.clone());
        } else if let Some(name) = &name {
            self.exported.push((name.clone(), path.clone()));
        }
        if let Some(name) = name {
            self.module.names.insert(name, path);
        }
    }

    /// Counts re-exports whose names the file uses as imports.
    fn mention_used_exports(&mut self) {
        for (name, path) in self.exported.drain(..) {
            if self.words.contains(&name) {
                self.module.mentions.insert(path);
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_file(&mut self, file: &'ast File) {
        for item in &file.items {
            if let Item::Mod(module) = item
                && module.content.is_none()
                && !is_test(&module.attrs)
            {
                let child = module.ident.to_string();
                self.files.push((child.clone(), path_of(&module.attrs)));
                self.module.children.insert(child);
            }
        }
        visit::visit_file(self, file);
    }

    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let written_here = item.content.is_some();
        if written_here {
            self.here.push(item.ident.to_string());
        }
        visit::visit_item_mod(self, item);
        if written_here {
            self.here.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let exported = !matches!(item.vis, syn::Visibility::Inherited);
        self.take_use(&item.tree, &[], exported);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if segments.len() > 1 {
            self.mention(&segments);
        }
        self.words.extend(segments.into_iter().next());
        visit::visit_path(self, path);
    }

    /// A constant in a pattern looks like a variable, but for its first letter.
    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        let word = pattern.ident.to_string();
        if word.starts_with(char::is_uppercase) {
            self.words.insert(word);
        }
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        for path in paths_in(&called.tokens.to_string()) {
            self.mention(&path);
        }
        let tokens = TokenBuffer::new2(called.tokens.clone());
        take_words(tokens.begin(), &mut self.words);
        visit::visit_macro(self, called);
    }
}

/// Adds the identifiers among tokens, at any depth, to `words`.
fn take_words(mut at: Cursor<'_>, words: &mut BTreeSet<String>) {
    while !at.eof() {
        if let Some((word, after)) = at.ident() {
            words.insert(word.to_string());
            at = after;
        } else if let Some((inside, _, _, after)) = at.any_group() {
            take_words(inside, words);
            at = after;
        } else if let Some((_, after)) = at.token_tree() {
            at = after;
        } else {
            return;
        }
    }
}

/// The paths among a macro's tokens, which are printed with spaces between them.
fn paths_in(tokens: &str) -> Vec<Vec<String>> {
    let joined = tokens.replace(" :: ", "::");
    joined
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
        .filter(|word| word.starts_with("crate::") || word.starts_with("super::"))
        .map(|word| word.split("::").map(ToOwned::to_owned).collect())
        .collect()
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    })
}

fn path_of(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let syn::Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        let syn::Expr::Lit(literal) = &pair.value else {
            return None;
        };
        match &literal.lit {
            syn::Lit::Str(text) if attribute.path().is_ident("path") => Some(text.value()),
            _ => None,
        }
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The imports between whole folders: for each module with children, what each child and all below it imports from its
/// siblings and all below those.
pub(crate) fn between_siblings(
    imports: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<BTreeMap<String, BTreeSet<String>>> {
    let mut folders: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (from, to) in imports
        .iter()
        .flat_map(|(from, to)| to.iter().map(move |to| (from, to)))
    {
        let (from, to): (Vec<_>, Vec<_>) = (from.split("::").collect(), to.split("::").collect());
        let shared = from
            .iter()
            .zip(&to)
            .take_while(|(one, other)| one == other)
            .count();
        if shared < from.len() && shared < to.len() {
            let siblings = folders.entry(from[..shared].join("::")).or_default();
            let below = |name: &[&str]| name[..=shared].join("::");
            siblings.entry(below(&to)).or_default();
            siblings.entry(below(&from)).or_default().insert(below(&to));
        }
    }
    folders.into_values().collect()
}

/// The groups of modules that import each other, directly or around a circle: the strongly connected components of more
/// than one module.
pub(crate) fn circles(imports: &BTreeMap<String, BTreeSet<String>>) -> Vec<BTreeSet<String>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> = imports
        .keys()
        .map(|from| (from.as_str(), reached(imports, from)))
        .collect();
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for (from, to) in &reach {
        let circle: BTreeSet<String> = to
            .iter()
            .filter(|other| reach.get(**other).is_some_and(|back| back.contains(from)))
            .map(|other| (*other).to_owned())
            .collect();
        if circle.len() > 1 && !found.contains(&circle) {
            found.push(circle);
        }
    }
    found
}

fn reached<'a>(
    imports: &'a BTreeMap<String, BTreeSet<String>>,
    from: &'a str,
) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut todo = vec![from];
    while let Some(module) = todo.pop() {
        for next in imports.get(module).into_iter().flatten() {
            if seen.insert(next.as_str()) {
                todo.push(next);
            }
        }
    }
    seen
}
