//! What a contract says of a column: tags and classifications, for the rules of the mesh.

use weft_governance::contract::{Contract, Property, SchemaObject};
use weft_governance::federated::Labels;

/// The labels of each column of `object`, in order. A tag of the product or the table is one of every
/// column, and what is said of a part of a column is said of the column.
pub(super) fn labels(contract: &Contract, object: &SchemaObject) -> Vec<Labels> {
    let mut outer = Labels::default();
    for tag in contract.tags.iter().chain(&object.tags) {
        outer.tag(tag);
    }
    let of_column = |column| {
        let mut labels = outer.clone();
        add(column, &mut labels);
        labels
    };
    object.properties.iter().map(of_column).collect()
}

fn add(property: &Property, labels: &mut Labels) {
    for tag in &property.tags {
        labels.tag(tag);
    }
    if let Some(classification) = &property.classification {
        labels.classify(classification);
    }
    for part in property.properties.iter().chain(property.items.as_deref()) {
        add(part, labels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str = "\
apiVersion: v3.1.0
kind: DataContract
id: c
version: 1.0.0
status: active
tags: [Customer]
schema:
  - name: t
    tags: [live]
    properties:
      - name: plain
      - name: person
        classification: Confidential
        properties:
          - name: email
            tags: [pii]
      - name: phones
        items: { logicalType: object, properties: [{ name: number, classification: secret }] }
";

    #[test]
    fn labels_of_product_table_and_parts_are_those_of_the_column() {
        let contract = Contract::parse(CONTRACT).expect("valid");
        let object = contract.schema.first().expect("a table");
        let labels = labels(&contract, object);
        let words = |tags: &[&str], classifications: &[&str]| {
            let mut labels = Labels::default();
            tags.iter().for_each(|it| labels.tag(it));
            classifications.iter().for_each(|it| labels.classify(it));
            labels
        };
        assert_eq!(
            labels,
            [
                words(&["customer", "live"], &[]),
                words(&["customer", "live", "pii"], &["confidential"]),
                words(&["customer", "live"], &["secret"]),
            ]
        );
    }
}
