//! A change of a batch in words, read from its bytes: errors name what was refused without keeping names for all.

use crate::batch::{SUBSYSTEM, kind};
use crate::wire::{messages, netfilter_attributes, text};

/// `delete chain input in table ip example`.
pub(crate) fn describe(change: &[u8]) -> Option<String> {
    let message = messages(change).next()?;
    let family = match message.content.first()? {
        1 => "inet",
        2 => "ip",
        _ => "ip6",
    };
    let names: Vec<(u16, String)> = netfilter_attributes(message.content)
        .filter(|(kind, _)| *kind <= 3)
        .map(|(kind, name)| (kind, text(name)))
        .collect();
    let name =
        |wanted: u16| names.iter().find(|(kind, _)| *kind == wanted).map(|(_, name)| name.as_str()).unwrap_or("?");
    let table = format!("table {family} {}", name(1));
    Some(match message.kind & !SUBSYSTEM {
        kind::NEW_TABLE => format!("add {table}"),
        kind::DELETE_TABLE => format!("delete {table}"),
        kind::NEW_CHAIN => format!("add chain {} in {table}", name(3)),
        kind::DELETE_CHAIN => format!("delete chain {} in {table}", name(3)),
        kind::NEW_RULE => format!("add a rule to chain {} in {table}", name(2)),
        kind::DELETE_RULE => format!("flush chain {} in {table}", name(2)),
        kind::NEW_SET => format!("add set {} in {table}", name(2)),
        kind::DELETE_SET => format!("delete set {} in {table}", name(2)),
        kind::NEW_ELEMENT => format!("add elements to set {} in {table}", name(2)),
        kind::DELETE_ELEMENT => format!("delete elements of set {} in {table}", name(2)),
        other => format!("change of type {other} in {table}"),
    })
}

#[cfg(test)]
mod tests {
    use crate::{Batch, Chain, Element, Family, Rule, Table};

    #[test]
    fn changes_are_named() {
        let table = Table::new(Family::Ipv4, "t");
        let mut batch = Batch::new();
        batch.add_table(&table);
        batch.add_chain(&table, &Chain::plain("c"));
        batch.add_rule(&table, "c", &Rule::new().counter());
        batch.flush_chain(&table, "c");
        batch.add_elements(&table, "s", &[Element::new([1])]);
        let words: Vec<String> = (1..=5).filter_map(|n| super::describe(batch.change(n)?)).collect();
        assert_eq!(
            words,
            [
                "add table ip t",
                "add chain c in table ip t",
                "add a rule to chain c in table ip t",
                "flush chain c in table ip t",
                "add elements to set s in table ip t",
            ]
        );
        assert!(batch.change(0).is_none() && batch.change(6).is_none());
    }
}
