//! Problems as GraphQL errors: `extensions.code` is from the one table.

use async_graphql::{Error, ErrorExtensionValues, ServerError, Value};

use crate::error::{Code, Problem};

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", problem.code.name());
        if let Some(wait) = problem.retry_after() {
            extensions.set("retryAfter", wait.as_secs());
        }
        Self {
            message: problem.message().to_owned(),
            source: None,
            extensions: Some(extensions),
        }
    }
}

/// A problem as the error of a whole request.
pub(super) fn of_problem(problem: &Problem) -> ServerError {
    let Error {
        message,
        extensions,
        ..
    } = problem.clone().into();
    let mut error = ServerError::new(message, None);
    error.extensions = extensions;
    error
}

/// The code of an error in an answer.
pub(super) fn code_of(error: &ServerError) -> Option<Code> {
    match error.extensions.as_ref()?.get("code")? {
        Value::String(name) => Code::from_name(name),
        _ => None,
    }
}

/// Gives a code to what the library itself refuses: a query that cannot be parsed, does not fit
/// the schema or asks for too much.
pub(super) fn ensure_code(error: &mut ServerError) {
    if code_of(error).is_some() {
        return;
    }
    let too_deep = error.message == "Query is nested too deep."
        || error.message.starts_with("The recursion depth")
        || error.message.ends_with("stack limit reached");
    let code = if error.message == "Query is too complex." {
        Code::QueryTooComplex
    } else if too_deep {
        Code::QueryTooDeep
    } else {
        Code::InvalidQuery
    };
    if code != Code::InvalidQuery {
        code.sentence().clone_into(&mut error.message);
    }
    let extensions = error.extensions.get_or_insert_default();
    extensions.set("code", code.name());
}
