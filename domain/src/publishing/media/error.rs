use crate::{Refusal, RefusalKind, kernel::PostId};

/// Why a command on a file of the library is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediaAssetError {
    #[error("there is no such media")]
    NotFound,
    #[error("there is media with this id already")]
    AlreadyStored,
    #[error("the same file was deleted while it came in; send it again")]
    DeletedMeanwhile,
    #[error("posts that are not finished show it: {}; take it out of them or delete them first", listed(.0))]
    InUse(Vec<PostId>),
}

fn listed(posts: &[PostId]) -> String {
    const NAMED_MAX: usize = 10;
    let mut text = posts.iter().take(NAMED_MAX).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if posts.len() > NAMED_MAX {
        text.push_str(&format!(" and {} more", posts.len() - NAMED_MAX));
    }
    text
}

impl Refusal for MediaAssetError {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NotFound => RefusalKind::NotFound,
            Self::AlreadyStored | Self::DeletedMeanwhile | Self::InUse(_) => RefusalKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "MEDIA_NOT_FOUND",
            Self::AlreadyStored => "MEDIA_ALREADY_STORED",
            Self::DeletedMeanwhile => "MEDIA_DELETED_MEANWHILE",
            Self::InUse(_) => "MEDIA_IN_USE",
        }
    }
}
