//! The order of the fields of a response. The library tells them as they get ready; the standard
//! (GraphQL, 6.3) wants them as they were asked for. So the same data are the same bytes, too.

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Name, Request, Value};

use super::document::shape;

/// The names of an object's fields as they were asked for, each with those below it.
#[derive(Default)]
pub(super) struct Order(Vec<(Name, Self)>);

impl Order {
    /// That of a request; none where it cannot be read.
    pub(super) fn of(request: &mut Request) -> Self {
        let name = request.operation_name.clone();
        let mut order = Self::default();
        if let Ok(document) = request.parsed_query()
            && let Ok(operation) = shape::operation(document, name.as_deref())
        {
            order.add(&operation.selection_set.node, document);
        }
        order
    }

    /// Fields of one name are one field.
    fn add(&mut self, set: &SelectionSet, document: &ExecutableDocument) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let name = &field.node.response_key().node;
                    let known = self.0.iter().position(|(known, _)| known == name);
                    let place = known.unwrap_or_else(|| {
                        self.0.push((name.clone(), Self::default()));
                        self.0.len() - 1
                    });
                    self.0[place]
                        .1
                        .add(&field.node.selection_set.node, document);
                }
                Selection::InlineFragment(fragment) => {
                    self.add(&fragment.node.selection_set.node, document);
                }
                Selection::FragmentSpread(spread) => {
                    let fragment = document.fragments.get(&spread.node.fragment_name.node);
                    if let Some(fragment) = fragment {
                        self.add(&fragment.node.selection_set.node, document);
                    }
                }
            }
        }
    }

    /// Puts the fields of a value into it.
    pub(super) fn arrange(&self, value: &mut Value) {
        match value {
            Value::List(items) => items.iter_mut().for_each(|item| self.arrange(item)),
            Value::Object(fields) => {
                let there = |(name, _): &&(Name, Self)| fields.contains_key(name);
                let wanted = self.0.iter().filter(there).map(|(name, _)| name);
                if !fields.keys().eq(wanted) {
                    let mut rest = std::mem::take(fields);
                    for (name, _) in &self.0 {
                        if let Some(field) = rest.swap_remove(name) {
                            fields.insert(name.clone(), field);
                        }
                    }
                    fields.extend(rest);
                }
                for (name, below) in self.0.iter().filter(|(_, below)| !below.0.is_empty()) {
                    if let Some(field) = fields.get_mut(name) {
                        below.arrange(field);
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::value;

    use super::*;

    #[test]
    fn fields_stand_as_they_were_asked_for_whatever_was_ready_first() {
        let query =
            "query Q { b { y x } ...F l { n m } b { z } } fragment F on Query { a ... { c } }";
        let mut told = value!({
            "l": [{"m": 1, "n": 2}, {"n": 3, "m": 4}], "c": {"p": 1, "o": 2}, "a": 1,
            "b": {"z": 3, "x": 1, "y": 2},
        });
        Order::of(&mut Request::new(query)).arrange(&mut told);
        assert_eq!(
            serde_json::to_string(&told).unwrap(),
            // What has no fields of its own is left as it is.
            r#"{"b":{"y":2,"x":1,"z":3},"a":1,"c":{"p":1,"o":2},"l":[{"n":2,"m":1},{"n":3,"m":4}]}"#
        );
    }
}
