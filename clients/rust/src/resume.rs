//! Reading a generation by its name.

use std::future::IntoFuture;
use std::time::Duration;

use crate::assembly::Assembler;
use crate::call::Answer;
use crate::connection::Connection;
use crate::generation::Generation;
use crate::request::{Lifetime, Request, delivery};
use crate::v1::{DeliveryMode, ResumeRequest, resume_request};
use crate::{Error, ImageStream};

/// A call that reads a generation, made by [`crate::Client::resume`]. It is sent when it is awaited.
#[derive(Debug)]
#[must_use = "a call is sent when it is awaited"]
pub struct Resume {
    connection: Connection,
    generation: resume_request::Generation,
    after_sequence: u32,
    delivery: DeliveryMode,
    timeout: Option<Duration>,
}

impl Resume {
    pub(crate) fn new(connection: Connection, generation: resume_request::Generation) -> Self {
        Self { connection, generation, after_sequence: 0, delivery: DeliveryMode::Inline, timeout: None }
    }

    /// [`ImageStream::last_sequence`] of the stream that was left. 0, or unset = everything. With another number, images
    /// that had begun before are in the result without their bytes: [`crate::Client::read`] fetches them.
    pub fn after_sequence(mut self, after_sequence: u32) -> Self {
        self.after_sequence = after_sequence;
        self
    }

    /// As in a call. The sequence numbers are the same for both.
    pub fn delivery(mut self, delivery: DeliveryMode) -> Self {
        self.delivery = delivery;
        self
    }

    /// When reading is given up. Unset = that of the client.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for Resume {
    type Output = Result<ImageStream, Error>;
    type IntoFuture = Answer<ImageStream>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (field, id) = match &self.generation {
                resume_request::Generation::GenerationId(id) => ("generation_id", id),
                resume_request::Generation::RequestId(id) => ("request_id", id),
            };
            if id.is_empty() {
                return Err(Error::refused(field, "the id of a generation cannot be empty"));
            }
            let request = ResumeRequest {
                generation: Some(self.generation),
                after_sequence: self.after_sequence,
                delivery: Some(delivery(self.delivery)),
            };
            let chunked = self.delivery != DeliveryMode::Reference;
            let assembler = Assembler::new(chunked, self.after_sequence == 0, self.connection.spare());
            let request = Request::Resume(request);
            let generation = Generation::new(self.connection, request, self.timeout, Lifetime::RESUMED);
            ImageStream::new(generation, assembler).opened().await
        })
    }
}
