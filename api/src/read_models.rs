//! Every read model of the product, in one list: what workers build and what readiness asks for.

use annals_eventstore::EventStore;
use annals_projections::{
    Projection, Projector,
    engagement::Notifications,
    history::Causation,
    identity::{
        api_keys::ApiKeys, external_identities::ExternalIdentities, organizations::Organizations,
        sessions::Sessions, usage::Usage, users::Users,
    },
    publishing::{
        Activity, Channels, Figures, Imports, Media, PostOrigins, PostingTimes, Posts, Series, Tags,
    },
};

macro_rules! read_models {
    ($($model:ident),+ $(,)?) => {
        /// The projector of a node: start it on workers, take its reader everywhere.
        pub fn projector(store: EventStore) -> Projector {
            Projector::new(store)$(.with($model))+
        }

        /// Name and version of each shape that this program reads.
        pub const SHAPES: &[(&str, u32)] = &[$(($model::NAME, $model::VERSION)),+];
    };
}

read_models![
    Users,
    Sessions,
    Organizations,
    ApiKeys,
    ExternalIdentities,
    Usage,
    Channels,
    Imports,
    Media,
    PostOrigins,
    PostingTimes,
    Posts,
    Series,
    Tags,
    Figures,
    Activity,
    Notifications,
    Causation
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_read_models_have_one_name() {
        let names: BTreeSet<_> = SHAPES.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), SHAPES.len());
    }
}
