//! What kinds of trees there are launchers for.

/// What launchers run programs of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaunchedTrees {
    /// Of trees beside them.
    Own,
    /// Of links to such trees, which may lead nowhere one day, or to an older version than there is.
    Shadow,
}
