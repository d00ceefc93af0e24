//! Bounds of what a document asks for once its fragments are put in. Each fragment is counted once,
//! so a document that grows by the power of two with each line is counted in no time.

use std::collections::HashMap;

use async_graphql::parser::types::{
    Directive, DocumentOperations, ExecutableDocument, OperationDefinition, OperationType,
    Selection, SelectionSet,
};
use async_graphql::{Name, Positioned, Value, Variables};

use crate::error::{Code, Problem};
use crate::graphql::limits;

/// The operation that a request names, or the only one.
///
/// # Errors
/// [`Code::UnknownOperation`].
pub(in crate::graphql) fn operation<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<&'a OperationDefinition, Problem> {
    let unknown = |detail: String| Problem::with(Code::UnknownOperation, detail);
    let found = match (&document.operations, name) {
        (DocumentOperations::Single(only), None) => Some(only),
        (DocumentOperations::Single(_), Some(_)) => None,
        (DocumentOperations::Multiple(all), Some(name)) => all.get(name),
        (DocumentOperations::Multiple(all), None) if all.len() == 1 => all.values().next(),
        (DocumentOperations::Multiple(_), None) => {
            let detail = "The document has several operations: name one with `operationName`.";
            return Err(unknown(detail.to_owned()));
        }
    };
    let found = found.map(|operation| &operation.node);
    found.ok_or_else(|| {
        unknown("The document has no operation of the name that `operationName` says.".to_owned())
    })
}

/// Passes a document that the schema can be given.
///
/// # Errors
/// The bound that it does not keep.
pub(in crate::graphql) fn check(
    document: &ExecutableDocument,
    introspection: bool,
) -> Result<(), Problem> {
    let mut counter = Counter {
        document,
        counted: HashMap::new(),
        introspects: false,
    };
    for (_, operation) in document.operations.iter() {
        let operation = &operation.node;
        let mut count = counter.set(&operation.selection_set.node, 1)?;
        count.directives += directives(&operation.directives)?;
        for variable in &operation.variable_definitions {
            count.directives += directives(&variable.node.directives)?;
        }
        count.require()?;
        let roots = counter.roots(&operation.selection_set.node);
        if roots > limits::ROOT_FIELDS {
            return Err(Code::TooManyRootFields.into());
        }
        if operation.ty == OperationType::Subscription && roots != 1 {
            let detail = "A subscription has exactly one field at its root.";
            return Err(Problem::with(Code::InvalidQuery, detail));
        }
    }
    // Also those that no operation uses: the rules look at them.
    for name in document.fragments.keys() {
        counter.fragment(name, 1)?.require()?;
    }
    if counter.introspects && !introspection {
        return Err(Code::IntrospectionDisabled.into());
    }
    Ok(())
}

/// Passes a request that has a value for each variable which must have one.
///
/// # Errors
/// [`Code::InvalidVariables`].
pub(in crate::graphql) fn check_variables(
    operation: &OperationDefinition,
    variables: &Variables,
) -> Result<(), Problem> {
    let missing = operation.variable_definitions.iter().find(|definition| {
        let definition = &definition.node;
        let must = !definition.var_type.node.nullable;
        let given = variables.get(&definition.name.node);
        match given {
            None => must && definition.default_value.is_none(),
            Some(value) => must && *value == Value::Null,
        }
    });
    missing.map_or(Ok(()), |definition| {
        let definition = &definition.node;
        let detail = format!(
            "The variable `${}` of type `{}` has no value.",
            definition.name.node, definition.var_type.node
        );
        Err(Problem::with(Code::InvalidVariables, detail))
    })
}

/// What a selection comes to.
#[derive(Clone, Copy, Default)]
struct Count {
    fields: usize,
    aliases: usize,
    directives: usize,
    /// How many fields lie in one another.
    depth: usize,
    /// The same of selections, whatever they belong to.
    nesting: usize,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.fields = self.fields.saturating_add(other.fields);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.directives = self.directives.saturating_add(other.directives);
        self.depth = self.depth.max(other.depth);
        self.nesting = self.nesting.max(other.nesting);
    }

    fn require(self) -> Result<(), Problem> {
        for (has, may, code) in [
            (self.nesting, limits::NESTING, Code::QueryTooDeep),
            (self.depth, limits::DEPTH, Code::QueryTooDeep),
            (self.aliases, limits::ALIASES, Code::TooManyAliases),
            (
                self.directives,
                limits::ALL_DIRECTIVES,
                Code::TooManyDirectives,
            ),
            (self.fields, limits::FIELDS, Code::QueryTooComplex),
        ] {
            if has > may {
                return Err(code.into());
            }
        }
        Ok(())
    }
}

struct Counter<'a> {
    document: &'a ExecutableDocument,
    /// What each fragment comes to; nothing while it is being counted.
    counted: HashMap<&'a Name, Option<Count>>,
    introspects: bool,
}

impl<'a> Counter<'a> {
    /// Counts a selection that lies `level` deep in what is being counted.
    fn set(&mut self, set: &'a SelectionSet, level: usize) -> Result<Count, Problem> {
        // Fragments that lead to one another would go on for as long as they are.
        if level > limits::NESTING {
            return Err(Code::QueryTooDeep.into());
        }
        let mut sum = Count::default();
        for item in &set.items {
            let mut count = match &item.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    self.introspects |= matches!(field.name.node.as_str(), "__schema" | "__type");
                    let mut count = self.set(&field.selection_set.node, level + 1)?;
                    count.fields = count.fields.saturating_add(1);
                    count.aliases = count
                        .aliases
                        .saturating_add(usize::from(field.alias.is_some()));
                    count.depth += 1;
                    count
                }
                Selection::InlineFragment(fragment) => {
                    self.set(&fragment.node.selection_set.node, level + 1)?
                }
                Selection::FragmentSpread(spread) => {
                    let mut count = self.fragment(&spread.node.fragment_name.node, level + 1)?;
                    // Rules visit it, whether or not there is anything in it.
                    count.fields = count.fields.saturating_add(1);
                    count
                }
            };
            let more = directives(item.node.directives())?;
            count.directives = count.directives.saturating_add(more);
            count.nesting += 1;
            sum.add(count);
        }
        Ok(sum)
    }

    /// Counts a fragment, once. One that is not there is nothing: the schema will say so.
    fn fragment(&mut self, name: &'a Name, level: usize) -> Result<Count, Problem> {
        match self.counted.get(name) {
            Some(Some(count)) => return Ok(*count),
            Some(None) => {
                let detail = format!("The fragment `{name}` leads to itself.");
                return Err(Problem::with(Code::InvalidQuery, detail));
            }
            None => {}
        }
        let Some(fragment) = self.document.fragments.get(name) else {
            return Ok(Count::default());
        };
        self.counted.insert(name, None);
        let mut count = self.set(&fragment.node.selection_set.node, level)?;
        count.directives += directives(&fragment.node.directives)?;
        self.counted.insert(name, Some(count));
        Ok(count)
    }

    /// How many fields a selection has itself, those of its fragments included. Called once nothing
    /// leads to itself any more; bounded by the sum of all fields.
    fn roots(&self, set: &SelectionSet) -> usize {
        let of = |item: &Positioned<Selection>| match &item.node {
            Selection::Field(_) => 1,
            Selection::InlineFragment(fragment) => self.roots(&fragment.node.selection_set.node),
            Selection::FragmentSpread(spread) => {
                let fragment = self.document.fragments.get(&spread.node.fragment_name.node);
                fragment.map_or(0, |fragment| self.roots(&fragment.node.selection_set.node))
            }
        };
        set.items.iter().map(of).sum()
    }
}

/// How many directives stand at one place.
fn directives(directives: &[Positioned<Directive>]) -> Result<usize, Problem> {
    if directives.len() > limits::DIRECTIVES {
        return Err(Code::TooManyDirectives.into());
    }
    Ok(directives.len())
}
