//! The client: where everything begins.

use std::fmt;
use std::time::Duration;

use crate::connection::Connection;
use crate::v1::image_service_client::ImageServiceClient;
use crate::v1::model_service_client::ModelServiceClient;
use crate::v1::{cancel_request, resume_request};
use crate::{Channel, ClientBuilder, Error, Image, ImageModel, Model, ModelList, Resume};
use crate::{cancel, models, read, upload};

/// A connection to an imagegen server. It is made by the first call, and made again whenever it broke. Cheap to clone;
/// clones share the connection.
#[derive(Clone)]
pub struct Client {
    connection: Connection,
}

impl Client {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Says where the server is and how to reach it.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Where the server is.
    pub fn address(&self) -> &str {
        self.connection.address()
    }

    /// The same connection with another time limit for each call that has none of its own.
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { connection: self.connection.with_timeout(Some(timeout)) }
    }

    /// Binds a model: "provider/model", or an alias of the server's configuration.
    pub fn image(&self, model: impl Into<String>) -> ImageModel {
        ImageModel::new(self.connection.clone(), model.into())
    }

    /// Reads a generation that runs or has ended, by the server's id for it, to the same end; where the connection
    /// breaks, it is read on. Leaving this stream does not stop the generation, `abort` does.
    ///
    /// Awaiting fails with GENERATION_NOT_FOUND, RESULT_EXPIRED, WRONG_INSTANCE, or if the server could not be asked.
    pub fn resume(&self, generation_id: impl Into<String>) -> Resume {
        Resume::new(self.connection.clone(), resume_request::Generation::GenerationId(generation_id.into()))
    }

    /// As [`Client::resume`], by one's own id for it.
    pub fn resume_request(&self, request_id: impl Into<String>) -> Resume {
        Resume::new(self.connection.clone(), resume_request::Generation::RequestId(request_id.into()))
    }

    /// Stops a generation, by the server's id for it, whoever reads it. Its finished images are kept; the provider may
    /// bill what it has begun. True: it was running and is stopped. False: it had ended already.
    ///
    /// # Errors
    ///
    /// GENERATION_NOT_FOUND, WRONG_INSTANCE, or the server could not be told.
    pub async fn cancel(&self, generation_id: impl Into<String>) -> Result<bool, Error> {
        self.stop("generation_id", generation_id.into(), cancel_request::Generation::GenerationId).await
    }

    /// As [`Client::cancel`], by one's own id for it.
    ///
    /// # Errors
    ///
    /// As [`Client::cancel`].
    pub async fn cancel_request(&self, request_id: impl Into<String>) -> Result<bool, Error> {
        self.stop("request_id", request_id.into(), cancel_request::Generation::RequestId).await
    }

    /// Fetches the bytes of an image that was delivered by reference; one that has its bytes is returned as it is. A
    /// read that breaks off goes on once where it broke.
    ///
    /// # Errors
    ///
    /// IMAGE_NOT_FOUND; INVALID_RESPONSE if the bytes are not the ones told of; the way to the server; or the image has
    /// neither bytes nor an id.
    pub async fn read(&self, image: impl Into<Image>) -> Result<Image, Error> {
        read::read(&self.connection, &image.into()).await
    }

    /// Fetches an image by its id, as [`Client::read`].
    ///
    /// # Errors
    ///
    /// As [`Client::read`].
    pub async fn read_image(&self, image_id: impl Into<String>) -> Result<Image, Error> {
        self.read(Image::from_id(image_id)).await
    }

    /// Gives an image to the server once, for as many edits as wanted; only what it does not have yet is sent. Returns a
    /// reference, good until its expire time. It is without bytes: keep `image` for these.
    ///
    /// # Errors
    ///
    /// It could not be given, or is no image.
    pub async fn upload(&self, image: impl Into<Image>) -> Result<Image, Error> {
        upload::upload(&self.connection, &image.into()).await
    }

    /// The models that the caller may use, ordered by name; only those of one provider, by its name in the server's
    /// configuration, if that is given. The time limit is for each page.
    ///
    /// # Errors
    ///
    /// A page could not be had.
    pub async fn models(&self, provider: Option<&str>) -> Result<ModelList, Error> {
        models::list(&self.connection, provider.unwrap_or_default().to_owned()).await
    }

    /// One model, or the first candidate of an alias.
    ///
    /// # Errors
    ///
    /// MODEL_NOT_FOUND, PROVIDER_NOT_CONFIGURED, or the server could not be asked.
    pub async fn model(&self, name: impl Into<String>) -> Result<Model, Error> {
        models::get(&self.connection, name.into(), self.connection.deadline(None)).await
    }

    /// The generated stub of the image service, on this client's connection.
    pub fn image_service(&self) -> ImageServiceClient<Channel> {
        self.connection.images()
    }

    /// The generated stub of the model service, on this client's connection.
    pub fn model_service(&self) -> ModelServiceClient<Channel> {
        self.connection.models()
    }

    /// The connection, for stubs of other services, such as gRPC's health checks.
    pub fn channel(&self) -> Channel {
        self.connection.channel()
    }

    async fn stop(
        &self,
        field: &str,
        id: String,
        by: impl FnOnce(String) -> cancel_request::Generation,
    ) -> Result<bool, Error> {
        if id.is_empty() {
            return Err(Error::refused(field, "the id of a generation cannot be empty"));
        }
        cancel::cancel(&self.connection, by(id), self.connection.deadline(None)).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("address", &self.address()).finish_non_exhaustive()
    }
}
