//! Compares the resolver with dnf.
