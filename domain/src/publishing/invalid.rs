//! Input with more than one thing wrong: all of it is said at once.

use crate::{Refusal, RefusalKind};

/// One input at fault, as the HTTP body names it (`integrations[0].content`), and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidField {
    pub field: String,
    /// Follows the field's name: `must not be empty`.
    pub message: String,
}

impl InvalidField {
    pub fn new(field: impl Into<String>, message: impl ToString) -> Self {
        Self { field: field.into(), message: message.to_string() }
    }
}

/// At least one invalid field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub Vec<InvalidField>);

impl Invalid {
    /// One field at fault.
    pub fn field(field: impl Into<String>, message: impl ToString) -> Self {
        Self(vec![InvalidField::new(field, message)])
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, invalid) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{} {}", invalid.field, invalid.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

impl Refusal for Invalid {
    fn kind(&self) -> RefusalKind {
        RefusalKind::Invalid
    }

    fn code(&self) -> &'static str {
        "VALIDATION_ERROR"
    }

    fn field(&self) -> Option<&str> {
        self.0.first().map(|invalid| invalid.field.as_str())
    }

    fn fields(&self) -> Vec<(String, String)> {
        self.0.iter().map(|invalid| (invalid.field.clone(), invalid.message.clone())).collect()
    }
}
