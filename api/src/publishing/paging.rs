//! Which page of a list is asked for.

use annals_projections::publishing::posts::Paging;

use crate::http::{ApiError, FieldError};

const PER_PAGE: u64 = 20;
const PER_PAGE_MAX: u64 = 100;
const PAGE_MAX: u64 = 100_000;

/// Checks both, which may be left out.
pub(super) fn paging(page: Option<u64>, per_page: Option<u64>) -> Result<Paging, ApiError> {
    let paging = Paging { page: page.unwrap_or(1), per_page: per_page.unwrap_or(PER_PAGE) };
    let mut errors = Vec::new();
    if !(1..=PAGE_MAX).contains(&paging.page) {
        errors.push(FieldError::new("page", format!("must be between 1 and {PAGE_MAX}")));
    }
    if !(1..=PER_PAGE_MAX).contains(&paging.per_page) {
        errors.push(FieldError::new("perPage", format!("must be between 1 and {PER_PAGE_MAX}")));
    }
    if errors.is_empty() { Ok(paging) } else { Err(ApiError::validation(errors)) }
}
