//! What came of a generation.

use std::collections::HashMap;

use bytes::Bytes;
use prost_types::Struct;

use crate::v1::{Attempt, ImageFailure, ImageUsage, Warning};
use crate::{Image, v1};

/// One finished image.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GeneratedImage {
    /// 0-based, below the count asked for; the same in all events and in the result.
    pub index: u32,
    /// The picture. Its size and SHA-256 were checked if its bytes came with it.
    pub image: Image,
    /// The prompt as rewritten by the provider. None = not told.
    pub revised_prompt: Option<String>,
    /// As used. None = not told.
    pub seed: Option<i64>,
}

impl GeneratedImage {
    /// `data` are its bytes if they came apart from its facts.
    pub(crate) fn from_server(made: v1::GeneratedImage, data: Bytes) -> Self {
        Self {
            index: made.index,
            image: Image::from_server(made.image.unwrap_or_default(), data, made.metadata),
            revised_prompt: made.revised_prompt,
            seed: made.seed,
        }
    }
}

/// What came of a generation: at least one image.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ImageResult {
    /// The server's id for it: for resume, cancel and support.
    pub generation_id: String,
    /// The name of the wish: as given, or made by client or server.
    pub request_id: String,
    /// The "provider/model" that made the images.
    pub model: String,
    /// At least one, ordered by index.
    pub images: Vec<GeneratedImage>,
    /// The images that will not come, ordered by index.
    pub failures: Vec<ImageFailure>,
    /// What is known of use. None = nothing.
    pub usage: Option<ImageUsage>,
    /// What was not done as asked.
    pub warnings: Vec<Warning>,
    /// All provider calls, oldest first.
    pub attempts: Vec<Attempt>,
    /// What else the provider said of the whole answer, by provider name. Numbers are doubles.
    pub metadata: HashMap<String, Struct>,
}

impl ImageResult {
    /// The first image: all there is when one was asked for.
    pub fn image(&self) -> &Image {
        &self.images[0].image // a result without images is never made
    }
}
