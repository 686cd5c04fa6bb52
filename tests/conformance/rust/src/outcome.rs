//! What was seen, in the words of the protocol.

use imagegen_client::v1 as api;
use imagegen_client::{Billed, Error, GeneratedImage, Image, ImageResult, Preview};
use sha2::{Digest, Sha256};

use crate::v1::{Failure, Outcome, Picture, Violation, event::Kind};

pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|half| DIGITS[usize::from(half)]).collect()
}

pub fn sha256(data: &[u8]) -> String {
    if data.is_empty() { String::new() } else { hex(&Sha256::digest(data)) }
}

/// An event was handed out.
pub fn push(outcome: &mut Outcome, kind: Kind) {
    outcome.events.push(crate::v1::Event { kind: Some(kind) });
}

/// Facts without the bytes.
pub fn facts(image: &Image) -> api::Image {
    api::Image { data: Default::default(), ..image.facts().clone() }
}

fn picture(index: u32, preview_number: u32, image: &Image, made: api::GeneratedImage) -> Picture {
    let data = image.bytes().map_or(&[][..], |data| data);
    Picture {
        index,
        preview_number,
        media_type: image.media_type().to_owned(),
        size_bytes: data.len() as u32,
        sha256: sha256(data),
        made: Some(made),
    }
}

fn made(image: &GeneratedImage) -> api::GeneratedImage {
    api::GeneratedImage {
        index: image.index,
        image: Some(facts(&image.image)),
        revised_prompt: image.revised_prompt.clone(),
        seed: image.seed,
        metadata: image.image.metadata().clone(),
    }
}

pub fn of_image(image: &GeneratedImage) -> Picture {
    picture(image.index, 0, &image.image, made(image))
}

pub fn of_preview(preview: &Preview) -> Picture {
    let metadata = preview.image.metadata().clone();
    let made = api::GeneratedImage { image: Some(facts(&preview.image)), metadata, ..Default::default() };
    picture(preview.index, preview.number, &preview.image, made)
}

/// An image that was read by its id.
pub fn of_read(image: &Image) -> Picture {
    picture(0, 0, image, api::GeneratedImage { image: Some(facts(image)), ..Default::default() })
}

pub fn result(outcome: &mut Outcome, result: &ImageResult) {
    outcome.pictures = result.images.iter().filter(|image| image.image.bytes().is_some()).map(of_image).collect();
    outcome.result = Some(api::ImageResult {
        generation_id: result.generation_id.clone(),
        request_id: result.request_id.clone(),
        model: result.model.clone(),
        images: result.images.iter().map(made).collect(),
        failures: result.failures.clone(),
        usage: result.usage.clone(),
        warnings: result.warnings.clone(),
        attempts: result.attempts.clone(),
        metadata: result.metadata.clone(),
    });
}

/// How a call of the helper failed, or that it was refused.
pub fn failure(outcome: &mut Outcome, error: &Error) {
    if error.is_refused() {
        outcome.refused = error.to_string();
        return;
    }
    outcome.failure = Some(Failure {
        code: error.code() as u32,
        reason: error.reason_name().to_owned(),
        billed: match error.billed() {
            Billed::No => "no",
            Billed::Yes => "yes",
            _ => "unknown",
        }
        .to_owned(),
        message: error.message().to_owned(),
        provider: error.provider().to_owned(),
        model: error.model().to_owned(),
        retry_delay: error.retry_delay().and_then(|delay| delay.try_into().ok()),
        violations: error
            .violations()
            .iter()
            .map(|told| Violation { field: told.field.clone(), description: told.description.clone() })
            .collect(),
        failures: error.failures().to_vec(),
        attempts: error.attempts().to_vec(),
        usage: error.usage().cloned(),
        metadata: error.metadata().clone(),
        generation_id: error.generation_id().to_owned(),
        request_id: error.request_id().to_owned(),
    });
}

/// How a call of a plain stub failed.
pub fn plain_failure(outcome: &mut Outcome, status: &tonic::Status) {
    let trailer = |key: &str| status.metadata().get(key).and_then(|value| value.to_str().ok()).unwrap_or_default();
    outcome.failure = Some(Failure {
        code: status.code() as u32,
        reason: trailer("imagegen-reason").to_owned(),
        billed: trailer("imagegen-billed").to_owned(),
        message: status.message().to_owned(),
        ..Default::default()
    });
}
