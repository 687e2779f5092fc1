//! Trees for many machines that do not make them: versions on a repository of CernVM-FS.

mod cvmfs;

pub use cvmfs::{
    Collecting, CvmfsOptions, CvmfsRepository, Expected, Ingest, OpenTransaction, Revision, Words,
};
