//! What happens, as it happens: nothing missed, nothing twice, nothing that is not for the listener,
//! and no listener who costs the others anything.

mod following;
mod load;
mod sessions;
mod stream;
