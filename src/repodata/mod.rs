//! Reads repositories' metadata: bytes in, types out. Metalinks and mirror lists, `repomd.xml`,
//! `primary.xml` and `modules.yaml`, all of them hostile until their digests were compared, and
//! read with bounded memory all the same.

mod budget;
mod decode;
mod entry;
mod error;
pub mod metalink;
pub mod modules;
pub mod primary;
pub mod repomd;
#[cfg(test)]
mod tests;
mod values;
mod xml;

pub use error::RepodataError;
