//! The platform `nostr` against nostr-relay, a relay that others wrote, which checks ids and signatures:
//! `scripts/parts/nostr-relay start` prints the URL that `ANNALS_TEST_NOSTR` takes. What a relay does only when
//! it is unwell, or wants to know who one is, is told by a stub that speaks as NIP-01 and NIP-42 say.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod connecting;
mod faults;
mod publishing;
mod relay;
mod stub;
