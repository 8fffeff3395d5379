//! The OpenAPI 3.1 document, from the handlers' annotations and the registry of routes; Swagger UI at `/api`.

mod document;
mod pages;

pub use document::document;
pub use pages::system;
