//! Calls the stages in order, side by side where that is faster; decides nothing itself.

pub mod metadata;
