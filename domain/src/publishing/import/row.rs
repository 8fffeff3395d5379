//! A row of a file, and what became of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    kernel::PostId,
    publishing::{
        InvalidField,
        post::{Composition, Schedule},
    },
};

/// Problems of one row that are kept.
const PROBLEMS_MAX: usize = 10;
/// Characters of a field's name and of a message that are kept.
const FIELD_CHARS_MAX: usize = 100;
const MESSAGE_CHARS_MAX: usize = 300;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportRow {
    /// From 1; the header is none.
    pub number: u32,
    pub content: RowContent,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RowContent {
    Post {
        composition: Composition,
        /// Names or ids, as they stood in the file.
        tags: Vec<String>,
        plan: RowPlan,
    },
    /// It can't be a post.
    Unusable { problems: Vec<Problem> },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RowPlan {
    Draft { schedule: Option<Schedule> },
    Schedule { schedule: Schedule },
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// As the body of a post names it: `integrations[0].id`.
    pub field: String,
    /// Follows the field's name.
    pub message: String,
}

impl Problem {
    /// What is told of a row: the first few, each of bounded length.
    pub fn all(problems: impl IntoIterator<Item = InvalidField>) -> Vec<Self> {
        let problem = |invalid: InvalidField| Self {
            field: invalid.field.chars().take(FIELD_CHARS_MAX).collect(),
            message: invalid.message.chars().take(MESSAGE_CHARS_MAX).collect(),
        };
        problems.into_iter().take(PROBLEMS_MAX).map(problem).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WrittenRow {
    pub row: u32,
    pub post_id: PostId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailedRow {
    pub row: u32,
    pub problems: Vec<Problem>,
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowOutcome {
    Written(WrittenRow),
    Failed(FailedRow),
}

impl RowOutcome {
    pub fn row(&self) -> u32 {
        match self {
            Self::Written(written) => written.row,
            Self::Failed(failed) => failed.row,
        }
    }
}
