//! Commands of the identity context that touch more than one aggregate, or the outside world.
