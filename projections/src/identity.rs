//! Read models of people and their organizations.
