//! The events of a generation, as a reader of a stream gets them: images arrive whole.

use crate::v1::{GenerationStarted, ImageFailure, Progress};
use crate::{GeneratedImage, Image};

/// One step of a generation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The generation exists, and nothing was spent before this.
    Started(GenerationStarted),
    /// News without pixels; also the heartbeat, at least every 10 seconds.
    Progress(Progress),
    /// A picture that is not finished, whole as far as it goes.
    Preview(Preview),
    /// A finished image.
    Complete(GeneratedImage),
    /// One image will not come; others may.
    Failed(ImageFailure),
}

/// A picture that is not finished.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Preview {
    /// The image it is a preview of.
    pub index: u32,
    /// Counts the previews of this index from 1.
    pub number: u32,
    /// The picture; without id, SHA-256 and expiry, as it cannot be read again.
    pub image: Image,
}
