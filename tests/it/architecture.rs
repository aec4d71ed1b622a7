//! The shape of the repository: which crate may use which, and what stands at the top.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// The crates from the ground up. A crate uses those of the rows before its own, never one of its
/// own row: the coordinator and the node do not know each other.
const LAYERS: [&[&str]; 8] = [
    &["weft-governance"],
    &["weft-wire", "weft-ledger", "weft-operations"],
    &["weft-sql"],
    &["weft-plan"],
    &["weft-door"],
    &["weft-authority", "weft-coordinator", "weft-node"],
    &["weft"],
    &["tests"],
];

/// Data and queries: uses no crate of Weft, and only these use it.
const WORKLOAD: &str = "benches";
const WORKLOAD_USERS: [&str; 2] = ["weft", "tests"];

/// What may stand at the top of the repository.
const TOP_LEVEL: [&str; 21] = [
    ".ci",
    ".config",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "benches",
    "cli",
    "clippy.toml",
    "coordinator",
    "deny.toml",
    "fuzz",
    "node",
    "proto",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "tests",
];

/// What a working copy may hold beside the repository.
const LOCAL: [&str; 7] = [
    ".git",
    ".idea",
    ".venv",
    ".vscode",
    ".weft",
    "__pycache__",
    "target",
];

#[test]
fn crates_depend_downwards_only() {
    let metadata = workspace();
    let upward: Vec<String> = edges(&metadata)
        .filter(|edge| !edge.is_allowed())
        .map(|edge| format!("{} -> {} ({:?})", edge.user, edge.used, edge.kind))
        .collect();
    assert!(
        upward.is_empty(),
        "edges that point up or sideways: {upward:#?}"
    );
}

#[test]
fn every_crate_has_a_place_in_the_order() {
    let metadata = workspace();
    let placed: BTreeSet<&str> = LAYERS
        .iter()
        .copied()
        .flatten()
        .copied()
        .chain([WORKLOAD])
        .collect();
    let members: BTreeSet<&str> = members(&metadata)
        .map(|package| package.name.as_str())
        .collect();
    assert_eq!(members, placed);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let metadata = workspace();
    let without: Vec<&str> = members(&metadata)
        .filter(|package| !takes_workspace_lints(package))
        .map(|package| package.name.as_str())
        .collect();
    assert!(
        without.is_empty(),
        "crates without `[lints] workspace = true`: {without:?}"
    );
}

#[test]
fn nothing_new_stands_at_the_top() {
    let allowed = |name: &str| TOP_LEVEL.contains(&name) || LOCAL.contains(&name);
    let strangers: Vec<String> = std::fs::read_dir(root())
        .expect("the repository is readable")
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| !allowed(name))
        .collect();
    assert!(
        strangers.is_empty(),
        "the top level is fixed, these do not belong: {strangers:?}"
    );
}

#[test]
fn the_order_refuses_what_it_should() {
    use DependencyKind::{Development, Normal};
    let allowed = |user, used, kind| Edge { user, used, kind }.is_allowed();
    assert!(allowed("weft-node", "weft-door", Normal));
    assert!(allowed("weft", "benches", Normal));
    assert!(allowed("weft", "tests", Development));
    assert!(!allowed("weft-door", "weft-node", Normal));
    assert!(!allowed("weft-coordinator", "weft-node", Development));
    assert!(!allowed("weft", "tests", Normal));
    assert!(!allowed("benches", "weft-sql", Normal));
    assert!(!allowed("weft-node", "benches", Normal));
    assert!(!allowed("weft-governance", "unheard-of", Normal));
}

/// What cargo says of the workspace.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// Where it lies, if that is in the workspace.
    path: Option<PathBuf>,
    /// `None` for what the crate itself uses.
    kind: Option<DependencyKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DependencyKind {
    Normal,
    #[serde(rename = "dev")]
    Development,
    Build,
}

/// One crate of the workspace in the manifest of another.
struct Edge<'a> {
    user: &'a str,
    used: &'a str,
    kind: DependencyKind,
}

impl Edge<'_> {
    fn is_allowed(&self) -> bool {
        if self.user == WORKLOAD {
            // Measuring is a development dependency: the library stays free of Weft.
            return self.kind == DependencyKind::Development;
        }
        if self.used == WORKLOAD {
            return WORKLOAD_USERS.contains(&self.user);
        }
        // The tests of the command line start processes and use the harness.
        let is_harness =
            self.user == "weft" && self.used == "tests" && self.kind == DependencyKind::Development;
        is_harness || layer(self.used).is_some_and(|used| Some(used) < layer(self.user))
    }
}

fn layer(package: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&package))
}

fn edges(metadata: &Metadata) -> impl Iterator<Item = Edge<'_>> {
    members(metadata).flat_map(|package| {
        let inside = package
            .dependencies
            .iter()
            .filter(|used| used.path.is_some());
        inside.map(|used| Edge {
            user: package.name.as_str(),
            used: used.name.as_str(),
            kind: used.kind.unwrap_or(DependencyKind::Normal),
        })
    })
}

fn members(metadata: &Metadata) -> impl Iterator<Item = &Package> {
    metadata.packages.iter()
}

fn takes_workspace_lints(package: &Package) -> bool {
    let manifest = std::fs::read_to_string(&package.manifest_path).expect("a readable manifest");
    let manifest: toml::Table = manifest.parse().expect("a manifest in TOML");
    let lints = manifest
        .get("lints")
        .and_then(|lints| lints.get("workspace"));
    lints.and_then(toml::Value::as_bool) == Some(true)
}

fn workspace() -> Metadata {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1"])
        .arg("--manifest-path")
        .arg(root().join("Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(cargo.status.success(), "{}", cargo.status);
    serde_json::from_slice(&cargo.stdout).expect("cargo describes the workspace")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
