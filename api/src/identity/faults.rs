//! Collects what is wrong with a body, so that one answer names every field.

use annals_domain::kernel::InvalidText;

use crate::http::{ApiError, FieldError};

#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<FieldError>);

impl Faults {
    /// The value, or `None` with the fault noted under the field's name.
    pub(crate) fn check<T, E: std::fmt::Display>(&mut self, field: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|fault| self.0.push(FieldError::new(field, fault))).ok()
    }

    /// The same for a field that may be left out.
    pub(crate) fn check_optional<T>(
        &mut self,
        field: &str,
        text: Option<&str>,
        parse: impl Fn(&str) -> Result<T, InvalidText>,
    ) -> Option<T> {
        text.and_then(|text| self.check(field, parse(text)))
    }

    /// # Errors
    /// 400 with every fault noted, if there is one.
    pub(crate) fn done(self) -> Result<(), ApiError> {
        if self.0.is_empty() { Ok(()) } else { Err(ApiError::validation(self.0)) }
    }

    /// The answer when a value is missing that only a fault can have kept away.
    pub(crate) fn refused(self) -> ApiError {
        ApiError::validation(self.0)
    }
}

/// A password that is only compared: nobody has a longer one than may be set.
pub(crate) fn presented_password(text: &str) -> Result<String, InvalidText> {
    use annals_domain::identity::Password;
    if text.is_empty() {
        return Err(InvalidText::new("must not be empty"));
    }
    if text.chars().count() > Password::MAX_CHARS {
        return Err(InvalidText::new(format!("must have at most {} characters", Password::MAX_CHARS)));
    }
    Ok(text.to_string())
}

/// A token as it was presented: bounded, what it is worth is decided elsewhere.
pub(crate) fn presented_token(text: &str) -> Result<String, InvalidText> {
    annals_domain::kernel::bounded(text, 500)
}
