//! What an auditor does: over HTTP, with the command line, and with a program that nobody here wrote.

mod command_line;
mod http;
mod interop;
mod nodes;
mod publishing;
mod support;
