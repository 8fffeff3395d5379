//! Publishing what is due, and commands of the publishing context that need a platform.
