//! An image model, bound with its parameters: the object in the middle of the interface.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use crate::connection::Connection;
use crate::settings::{Settings, setters};
use crate::{Draw, Edit, Error, ImageOptions, ImageResult, ImageStream, ModelCapabilities, PlannedCall, models};

/// A model with parameters, options and settings that hold for all of its calls; made by [`crate::Client::image`].
///
/// What a call says goes before what the model was bound with: options field by field, parameters key by key. A call is
/// sent when it is awaited. Cheap to clone.
#[derive(Debug, Clone)]
#[must_use]
pub struct ImageModel {
    connection: Connection,
    model: String,
    settings: Arc<Settings>,
    capabilities: Arc<OnceCell<ModelCapabilities>>,
}

impl ImageModel {
    pub(crate) fn new(connection: Connection, model: String) -> Self {
        Self { connection, model, settings: Arc::default(), capabilities: Arc::default() }
    }

    setters!();

    /// As it was asked for: "provider/model", or an alias of the server's configuration.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The provider's own parameters that every call carries.
    pub fn params(&self) -> &Map<String, Value> {
        &self.settings.params
    }

    /// The portable wishes that every call carries.
    pub fn options(&self) -> &ImageOptions {
        &self.settings.options
    }

    /// What the model can do; an absent field = unknown. Asked of the server once, then remembered.
    ///
    /// # Errors
    ///
    /// MODEL_NOT_FOUND, PROVIDER_NOT_CONFIGURED, or the server could not be asked.
    pub async fn capabilities(&self) -> Result<&ModelCapabilities, Error> {
        self.capabilities
            .get_or_try_init(|| async {
                let deadline = self.connection.deadline(self.settings.timeout);
                let model = models::get(&self.connection, self.model.clone(), deadline).await?;
                Ok(model.capabilities.unwrap_or_default())
            })
            .await
    }

    /// Draws, and waits for the end.
    ///
    /// Awaiting fails if no image came, or if something is to be refused before it is sent. If some images came and
    /// others failed, that is no error: see [`ImageResult::failures`].
    pub fn generate(&self, prompt: impl Into<String>) -> Draw<ImageResult> {
        self.draw(prompt)
    }

    /// Draws, and tells and shows how it goes. Awaiting sends the request and gives the stream once the server has
    /// taken it; it fails as `generate` does.
    pub fn stream(&self, prompt: impl Into<String>) -> Draw<ImageStream> {
        self.draw(prompt)
    }

    /// Changes a picture ([`Edit::image`], [`Edit::mask`]), and waits for the end. The prompt may be empty where the
    /// model edits without words. Awaiting fails as that of `generate` does.
    pub fn edit(&self, prompt: impl Into<String>) -> Edit<ImageResult> {
        self.change(prompt)
    }

    /// Changes a picture as `edit` does, and tells and shows how it goes, as `stream` does.
    pub fn stream_edit(&self, prompt: impl Into<String>) -> Edit<ImageStream> {
        self.change(prompt)
    }

    /// What `generate` would do with the same words, without doing it and without cost: the provider calls in the order
    /// in which they would be tried. Awaiting fails for a request that would be refused.
    pub fn explain(&self, prompt: impl Into<String>) -> Draw<Vec<PlannedCall>> {
        self.draw(prompt)
    }

    /// What `edit` would do, as `explain`.
    pub fn explain_edit(&self, prompt: impl Into<String>) -> Edit<Vec<PlannedCall>> {
        self.change(prompt)
    }

    fn draw<T: crate::Outcome>(&self, prompt: impl Into<String>) -> Draw<T> {
        Draw::new(self.connection.clone(), self.model.clone(), self.settings.clone(), prompt.into())
    }

    fn change<T: crate::Outcome>(&self, prompt: impl Into<String>) -> Edit<T> {
        Edit::new(self.connection.clone(), self.model.clone(), self.settings.clone(), prompt.into())
    }
}
