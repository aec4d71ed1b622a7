//! From the folders of a data directory to products.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::catalog::{Session, TableProvider};
use datafusion::prelude::SessionContext;
use weft_governance::contract::{self, Contract, Node, Property, SchemaObject, Value};
use weft_governance::{DomainId, FlowTo, KeyDisclosure, ProductRef};

use super::declared::Declared;
use super::files;
use super::labels::labels;
use super::problem::{Problem, Trouble};
use super::source;
use super::{Discoverable, ForeignKey, Product, Remark, Table};

/// The ending of a contract's file name.
const CONTRACT: &str = ".odcs.yaml";

/// The custom property that says who may know of a product.
const DISCOVERABLE: &str = "weft.discoverable";

/// How much of a product, a table or a column may travel to other domains as join keys.
const KEY_DISCLOSURE: &str = "weft.keyDisclosure";

/// To which other domains' nodes rows of a product or a table may be sent.
const FLOW_TO: &str = "weft.flowTo";

/// In its place: to all of them.
const ANYWHERE: &str = "*";

/// How a contract begins to refer to another of the mesh: `weft://DOMAIN/PRODUCT`.
const MESH: &str = "weft://";

/// The products of a data directory, and what keeps others from being served.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// Products whose contract is valid and whose data keeps it.
    pub products: Vec<Product>,
    /// At least one for every product that is left out.
    pub problems: Vec<Problem>,
}

/// Loads the products of `domain` from the folders in `data_dir`. A folder without a contract is
/// no product. Every file is opened; a product with a problem is left out as a whole.
pub async fn load(domain: &DomainId, data_dir: &Path) -> Loaded {
    let mut loaded = Loaded::default();
    let (root, folders) = match folders(data_dir) {
        Ok(found) => found,
        Err(error) => {
            let message = format!("the data directory cannot be read: {error}");
            let trouble = Trouble::file(data_dir, message);
            loaded.problems.push(trouble.into_problem("", data_dir));
            return loaded;
        }
    };
    let session = SessionContext::new().state();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for Folder { name, path } in folders {
        let loader = Loader {
            domain,
            root: &root,
            name: &name,
            folder: &path,
        };
        let Some(contract) = loader.contract(&mut loaded.problems) else {
            continue;
        };
        if let Some(other) = names.insert(name.to_lowercase(), name.clone()) {
            let message =
                format!("products `{other}` and `{name}` are one name after folding to lower case");
            loaded
                .problems
                .push(Trouble::file(&path, message).into_problem(&name, &path));
            continue;
        }
        match loader.product(&session, &contract).await {
            Ok(product) => loaded.products.push(product),
            Err(troubles) => loaded.problems.extend(
                troubles
                    .into_iter()
                    .map(|trouble| trouble.into_problem(&name, &contract)),
            ),
        }
    }
    loaded
}

/// A folder that may be a product.
struct Folder {
    name: String,
    path: PathBuf,
}

/// The resolved data directory and the folders in it, in the order of their names.
fn folders(data_dir: &Path) -> std::io::Result<(PathBuf, Vec<Folder>)> {
    let root = data_dir.canonicalize()?;
    let mut folders = Vec::new();
    for entry in fs::read_dir(&root)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // Messages name the directory as its owner does, not as it resolves.
        let path = data_dir.join(&name);
        if path.is_dir() && !name.starts_with('.') {
            folders.push(Folder { name, path });
        }
    }
    folders.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok((root, folders))
}

/// One folder on its way to a product.
#[derive(Debug, Clone, Copy)]
struct Loader<'a> {
    domain: &'a DomainId,
    root: &'a Path,
    name: &'a str,
    folder: &'a Path,
}

impl Loader<'_> {
    /// The contract in the folder, if there is one and only one.
    fn contract(&self, problems: &mut Vec<Problem>) -> Option<PathBuf> {
        let mut report = |message: String| {
            let trouble = Trouble::file(self.folder, message);
            problems.push(trouble.into_problem(self.name, self.folder));
        };
        match contracts(self.folder) {
            Err(error) => report(format!("the folder cannot be read: {error}")),
            Ok(contracts) => match contracts.as_slice() {
                [] => {}
                [only] => return Some(only.clone()),
                [first, second, ..] => report(format!(
                    "a product has one contract, but there are `{}` and `{}`",
                    first.display(),
                    second.display()
                )),
            },
        }
        None
    }

    async fn product(&self, session: &dyn Session, file: &Path) -> Result<Product, Vec<Trouble>> {
        let contract = self.read(file)?;
        let reference = ProductRef::new(self.domain.clone(), self.name)
            .map_err(|invalid| vec![Trouble::file(self.folder, invalid.to_string())])?;
        let discoverable = self.check_head(&contract)?;
        let mut tables = Vec::new();
        let mut troubles = Vec::new();
        for object in &contract.schema {
            match self.table(session, &reference, &contract, object).await {
                Ok(table) => tables.push(table),
                Err(more) => troubles.extend(more),
            }
        }
        if !troubles.is_empty() {
            return Err(troubles);
        }
        let Contract {
            name,
            version,
            status,
            description,
            ..
        } = contract;
        let description = description
            .purpose
            .or(description.usage)
            .or(name)
            .unwrap_or_default();
        Ok(Product {
            reference,
            version,
            status,
            description,
            discoverable,
            tables,
        })
    }

    fn read(&self, file: &Path) -> Result<Contract, Vec<Trouble>> {
        let unreadable = |reason: String| vec![Trouble::file(file, reason)];
        let resolved = file
            .canonicalize()
            .map_err(|error| unreadable(format!("cannot be read: {error}")))?;
        if !resolved.starts_with(self.root) {
            return Err(unreadable(
                "the contract is outside the data directory".to_owned(),
            ));
        }
        let text = fs::read_to_string(&resolved)
            .map_err(|error| unreadable(format!("cannot be read: {error}")))?;
        Contract::parse(&text).map_err(|invalid| invalid.faults().map(Trouble::from).collect())
    }

    /// Checks what the contract says of the product as a whole.
    fn check_head(&self, contract: &Contract) -> Result<Discoverable, Vec<Trouble>> {
        let mut troubles = Vec::new();
        if let Some(name) = contract.data_product.as_deref()
            && name != self.name
        {
            let message = format!(
                "`dataProduct` is `{name}`, but the product's folder is `{}`",
                self.name
            );
            troubles.push(
                Trouble::contract(contract.data_product_at, message)
                    .with_hint("Give the folder the name of the product."),
            );
        }
        let stated = contract.custom_property(DISCOVERABLE);
        let discoverable = match stated.map(|node| (node, node.as_text())) {
            None | Some((_, Some("everyone"))) => Discoverable::Everyone,
            Some((_, Some("granted"))) => Discoverable::Granted,
            Some((Node { at, .. }, _)) => {
                let message = format!("`{DISCOVERABLE}` must be `everyone` or `granted`");
                troubles.push(Trouble::contract(*at, message));
                Discoverable::Granted
            }
        };
        if troubles.is_empty() {
            Ok(discoverable)
        } else {
            Err(troubles)
        }
    }

    async fn table(
        &self,
        session: &dyn Session,
        product: &ProductRef,
        contract: &Contract,
        object: &SchemaObject,
    ) -> Result<Table, Vec<Trouble>> {
        let reference = product
            .table(&object.name)
            .map_err(|invalid| vec![Trouble::contract(object.at, invalid.to_string())])?;
        let declared = Declared {
            table: &reference,
            object,
            version: contract.api_version,
        };
        if object.properties.is_empty() {
            return Err(vec![declared.trouble("it declares no columns").with_hint(
                "List the columns as `properties`: only declared columns can be read.",
            )]);
        }
        let files = files::find(&declared, &contract.servers, self.folder, self.root)
            .map_err(|trouble| vec![trouble])?;
        let source: Arc<dyn TableProvider> =
            Arc::new(source::open(session, &declared, files).await?);
        let description = object.description.clone().unwrap_or_default();
        let disclosure = disclosure(contract, object)?;
        let flow_to = flow_to(contract, object)?;
        let key = object.properties.iter().filter(|it| it.primary_key);
        Ok(Table {
            key: key.map(|it| it.name.clone()).collect(),
            schema: source.schema(),
            reference,
            description,
            source,
            disclosure,
            flow_to,
            foreign_keys: foreign_keys(product, contract, object),
            id: object.id.clone(),
            remarks: object.properties.iter().map(remark).collect(),
            labels: labels(contract, object),
        })
    }
}

fn remark(column: &Property) -> Remark {
    Remark {
        description: column.description.clone(),
        classification: column.classification.clone(),
        id: column.id.clone(),
    }
}

/// What the table's columns refer to, as far as it is data of a mesh.
fn foreign_keys(
    product: &ProductRef,
    contract: &Contract,
    object: &SchemaObject,
) -> Vec<ForeignKey> {
    let keys = contract.foreign_keys(object).into_iter();
    keys.filter_map(|key| {
        let contract::ForeignKey {
            columns,
            contract,
            to,
        } = key;
        let product = match contract {
            None => product.clone(),
            Some(contract) => product_of(product, &contract)?,
        };
        Some(ForeignKey {
            columns,
            product,
            to,
        })
    })
    .collect()
}

/// The product whose contract the one of `product` calls `contract`: by domain and product, or by the
/// way to the file in the folder of another product.
fn product_of(product: &ProductRef, contract: &str) -> Option<ProductRef> {
    if let Some(name) = contract.strip_prefix(MESH) {
        let (domain, name) = name.split_once('/')?;
        return ProductRef::new(domain.parse().ok()?, name).ok();
    }
    let steps: Vec<&str> = contract.split('/').filter(|step| *step != ".").collect();
    match steps.as_slice() {
        ["..", name, _] => ProductRef::new(product.domain().clone(), name).ok(),
        _ => None,
    }
}

/// What the contract says of each column: the narrowest of product, table and column, nothing for
/// a product that says nothing.
fn disclosure(
    contract: &Contract,
    object: &SchemaObject,
) -> Result<Vec<KeyDisclosure>, Vec<Trouble>> {
    let product = stated_disclosure(contract.custom_property(KEY_DISCLOSURE))?;
    let table = stated_disclosure(object.custom_property(KEY_DISCLOSURE))?;
    let outer = product
        .unwrap_or_default()
        .min(table.unwrap_or(KeyDisclosure::List));
    object
        .properties
        .iter()
        .map(|column| {
            let stated = column.custom_property(KEY_DISCLOSURE);
            Ok(outer.min(stated_disclosure(stated)?.unwrap_or(KeyDisclosure::List)))
        })
        .collect()
}

fn stated_disclosure(stated: Option<&Node>) -> Result<Option<KeyDisclosure>, Vec<Trouble>> {
    stated
        .map(|node| {
            let parsed = node.as_text().and_then(|text| text.parse().ok());
            parsed.ok_or_else(|| {
                let message =
                    format!("`{KEY_DISCLOSURE}` must be `none`, `range`, `bloom` or `list`");
                vec![Trouble::contract(node.at, message)]
            })
        })
        .transpose()
}

/// Where the contract lets rows of the table flow: the narrower of product and table, nowhere for a
/// product that says nothing.
fn flow_to(contract: &Contract, object: &SchemaObject) -> Result<FlowTo, Vec<Trouble>> {
    let product = contract.custom_property(FLOW_TO).map(stated_flow);
    let table = object.custom_property(FLOW_TO).map(stated_flow);
    let product = product.transpose()?.unwrap_or_default();
    Ok(match table.transpose()? {
        Some(table) => product.narrowed(&table),
        None => product,
    })
}

fn stated_flow(node: &Node) -> Result<FlowTo, Vec<Trouble>> {
    if node.as_text() == Some(ANYWHERE) {
        return Ok(FlowTo::Anywhere);
    }
    let domains = match &node.value {
        Value::List(domains) => domains
            .iter()
            .map(|domain| domain.as_text()?.parse().ok())
            .collect::<Option<_>>(),
        _ => None,
    };
    domains.map(FlowTo::Domains).ok_or_else(|| {
        let message = format!("`{FLOW_TO}` must be a list of domains, or `{ANYWHERE}` for all");
        vec![Trouble::contract(node.at, message)]
    })
}

/// The contracts in `folder`, in the order of their names.
fn contracts(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut contracts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let ours = name.to_str().is_some_and(|name| {
            name.ends_with(CONTRACT) && !name.starts_with('.') && name.len() > CONTRACT.len()
        });
        if ours {
            contracts.push(folder.join(name));
        }
    }
    contracts.sort_unstable();
    Ok(contracts)
}

#[cfg(test)]
mod tests;
