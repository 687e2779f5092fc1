//! What can go wrong with an image.

use crate::layers::LayerError;
use crate::model::{Checksum, escape};

/// Why an image could not be had, or used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It is none that can be unpacked.
    #[error("{}: {}", escape(name), escape(why))]
    Unusable {
        /// The image.
        name: String,
        /// Why.
        why: String,
    },
    /// It is not there for a machine.
    #[error("{}: it has nothing for {wanted}: it has {}", escape(name), escape(&there.join(", ")))]
    Platform {
        /// The image.
        name: String,
        /// The machine, `OS/ARCHITECTURE[/VARIANT]`.
        wanted: String,
        /// Those that it is for.
        there: Vec<String>,
    },
    /// A layer did not become files.
    #[error("the layer {digest} of {}", escape(name))]
    Layer {
        /// The image.
        name: Box<str>,
        /// The layer, as the image names it.
        digest: Box<str>,
        /// Why.
        source: Box<LayerError>,
    },
    /// A layer is not what the image's configuration says.
    #[error(
        "the layer {layer} of {} is not what the image's configuration says: its content has {got}",
        escape(name)
    )]
    Changed {
        /// The image.
        name: Box<str>,
        /// The layer, as the image names it.
        layer: Box<str>,
        /// The digest of its content.
        got: Box<Checksum>,
    },
}

impl ImageError {
    /// The exit status of it.
    pub(super) fn exit_status(&self) -> u8 {
        match self {
            Self::Unusable { .. } => 2,
            Self::Platform { .. } => 5,
            Self::Layer { source, .. } => match **source {
                LayerError::Write { .. } => 6,
                _ => 4,
            },
            Self::Changed { .. } => 4,
        }
    }

    /// Whether the user asked to stop.
    pub(super) fn is_cancelled(&self) -> bool {
        matches!(self, Self::Layer { source, .. } if matches!(**source, LayerError::Cancelled))
    }

    /// What to do about it.
    pub(super) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unusable { .. } => return None,
            Self::Platform { .. } => {
                "name one of these: --platform OS/ARCHITECTURE[/VARIANT]".to_owned()
            }
            Self::Layer { source, .. } => match &**source {
                LayerError::Write { .. } => "is there room, and may this user write there?".to_owned(),
                _ => "the image itself is so, in its registry: whoever made it must make it anew".to_owned(),
            },
            Self::Changed { .. } => {
                "whoever made the image, or has changed it since, made a mistake: no part of it is used".to_owned()
            }
        })
    }
}
