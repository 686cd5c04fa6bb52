//! What is sent for a call, and how the generation behind it outlives its connection.

use uuid::Uuid;

use crate::settings::Settings;
use crate::v1::{
    Delivery, DeliveryMode, EditRequest, GenerateRequest, ImageEditInput, ImageInput, OnDisconnect, ResumeRequest,
    RetryPolicy,
};
use crate::{Error, Image, params};

/// What a stream is asked for with.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    Generate(GenerateRequest),
    Edit(EditRequest),
    Resume(ResumeRequest),
}

/// How a generation outlives its RPC.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime {
    /// A broken stream is read on.
    pub(crate) resumable: bool,
    /// It may run on at the server without this reader: stopping it takes a Cancel.
    pub(crate) shared: bool,
    /// Nobody else can know its name, so leaving it stops it.
    pub(crate) owned: bool,
}

/// What is to be changed, with what.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pictures {
    pub(crate) images: Vec<Image>,
    pub(crate) mask: Option<Image>,
}

impl Lifetime {
    pub(crate) const RESUMED: Self = Self { resumable: true, shared: true, owned: false };

    pub(crate) fn of(settings: &Settings, request_id: &str) -> Self {
        let resumable = settings.resumable;
        Self {
            resumable,
            shared: resumable || !request_id.is_empty() || settings.on_disconnect == OnDisconnect::Detach,
            owned: resumable && request_id.is_empty() && settings.on_disconnect == OnDisconnect::Unspecified,
        }
    }

    /// The name of a wish that may run on without its reader, so that it can be found again and stopped from the start.
    pub(crate) fn name(self, request_id: String) -> String {
        if self.shared && request_id.is_empty() { Uuid::new_v4().to_string() } else { request_id }
    }
}

/// The request for new pictures; what cannot be carried is refused.
pub(crate) fn generate(
    model: String,
    prompt: String,
    settings: &Settings,
    request_id: String,
) -> Result<GenerateRequest, Error> {
    settings.check()?;
    Ok(GenerateRequest {
        model,
        input: Some(ImageInput { prompt }),
        options: Some(settings.options.clone()),
        params: params::to_proto(&settings.params)?,
        strict: settings.strict,
        delivery: Some(delivery(settings.delivery)),
        request_id,
        on_disconnect: settings.on_disconnect.into(),
        retry: retry(settings),
    })
}

/// The request for changed pictures; what cannot be carried is refused.
pub(crate) fn edit(
    model: String,
    prompt: String,
    pictures: &Pictures,
    settings: &Settings,
    request_id: String,
) -> Result<EditRequest, Error> {
    settings.check()?;
    let images = pictures.images.iter().enumerate();
    let images = images.map(|(position, image)| image.to_source(&format!("input.images[{position}]")));
    let mask = pictures.mask.as_ref().map(|mask| mask.to_source("input.mask"));
    Ok(EditRequest {
        model,
        input: Some(ImageEditInput { prompt, images: images.collect::<Result<_, _>>()?, mask: mask.transpose()? }),
        options: Some(settings.options.clone()),
        params: params::to_proto(&settings.params)?,
        strict: settings.strict,
        delivery: Some(delivery(settings.delivery)),
        request_id,
        on_disconnect: settings.on_disconnect.into(),
        retry: retry(settings),
    })
}

/// What a request carries for it; unset = inline, as in the API.
pub(crate) fn delivery(mode: DeliveryMode) -> Delivery {
    let mode = if mode == DeliveryMode::Reference { mode } else { DeliveryMode::Inline };
    Delivery { mode: mode.into(), inline_limit_bytes: None }
}

/// What was said of retries; None = nothing, so the server's configuration holds.
fn retry(settings: &Settings) -> Option<RetryPolicy> {
    if settings.fallback_models.is_none()
        && settings.retry_ambiguous.is_none()
        && settings.fallback_on_content_filtered.is_none()
    {
        return None;
    }
    Some(RetryPolicy {
        fallback_models: settings.fallback_models.clone().unwrap_or_default(),
        retry_ambiguous: settings.retry_ambiguous.unwrap_or_default(),
        fallback_on_content_filtered: settings.fallback_on_content_filtered.unwrap_or_default(),
    })
}
