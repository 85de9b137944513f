//! What a statement is, and what it may do: the engine itself has no accounts, so the endpoint has to see to it.
//! `lexer` cuts the text, `statement` finds its kind and clauses, `policy` refuses what reaches outside the tables.

mod lexer;
mod policy;
mod statement;

pub(crate) use policy::{Policy, Role};
pub(crate) use statement::{Kind, Statement};

use crate::exec::Exception;

/// Refused by the lexer or the classifier before the engine saw it.
pub(crate) fn syntax(message: impl std::fmt::Display) -> Exception {
    Exception::new(62, "SYNTAX_ERROR", message)
}

/// Refused by the policy.
pub(crate) fn denied(message: impl std::fmt::Display) -> Exception {
    Exception::new(497, "ACCESS_DENIED", message)
}
