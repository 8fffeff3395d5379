/// Names an event's variants for the log: `TYPES` (for filters and for the check that every
/// type has a sample), `type_name` and cqrs-es's `DomainEvent`.
macro_rules! named_events {
    ($event:ident, version $version:literal, $($variant:ident => $name:literal),+ $(,)?) => {
        impl $event {
            /// Every type name, for filters.
            pub const TYPES: &'static [&'static str] = &[$($name),+];

            /// The tag with the aggregate's type before it.
            pub fn type_name(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $name),+
                }
            }
        }

        impl cqrs_es::DomainEvent for $event {
            fn event_type(&self) -> String {
                self.type_name().to_string()
            }

            fn event_version(&self) -> String {
                $version.to_string()
            }
        }
    };
}

pub(crate) use named_events;
