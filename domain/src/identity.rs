//! People and their organizations: users, sessions, organizations, API keys.
