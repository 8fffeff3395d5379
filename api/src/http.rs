//! What every route shares: the envelope, errors, bodies, who calls, what they may.

pub mod answer;
pub mod body;
pub mod caller;
