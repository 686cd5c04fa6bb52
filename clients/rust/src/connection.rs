//! What all calls of a client share.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use crate::Error;
use crate::address::Address;
use crate::backoff::Pace;
use crate::channel::Channel;
use crate::image::MAX_IMAGE_BYTES;
use crate::spare::Spare;
use crate::v1::image_service_client::ImageServiceClient;
use crate::v1::model_service_client::ModelServiceClient;

/// The largest image, and facts and framing around it.
const MAX_MESSAGE_BYTES: usize = MAX_IMAGE_BYTES + 1024 * 1024;

/// The header grpc-timeout has room for eight digits, of hours at the most.
const LONGEST_LIMIT: Duration = Duration::from_secs(99_999_999 * 3600);

/// When a call is given up. None = never.
pub(crate) type Deadline = Option<Instant>;

#[derive(Debug, Clone)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
    timeout: Option<Duration>,
}

#[derive(Debug)]
struct Shared {
    channel: Channel,
    address: Address,
    runtime: Handle,
    spare: Spare,
    pace: Pace,
}

impl Connection {
    pub(crate) fn new(
        channel: Channel,
        address: Address,
        timeout: Option<Duration>,
        runtime: Handle,
        pace: Pace,
    ) -> Self {
        let spare = Spare::new(runtime.clone());
        Self { shared: Arc::new(Shared { channel, address, runtime, spare, pace }), timeout }
    }

    /// The same connection with another time limit.
    pub(crate) fn with_timeout(&self, timeout: Option<Duration>) -> Self {
        Self { shared: self.shared.clone(), timeout }
    }

    pub(crate) fn address(&self) -> &str {
        self.shared.address.as_str()
    }

    pub(crate) fn pace(&self) -> Pace {
        self.shared.pace
    }

    pub(crate) fn spare(&self) -> Spare {
        self.shared.spare.clone()
    }

    pub(crate) fn channel(&self) -> Channel {
        self.shared.channel.clone()
    }

    pub(crate) fn images(&self) -> ImageServiceClient<Channel> {
        ImageServiceClient::new(self.channel()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) fn models(&self) -> ModelServiceClient<Channel> {
        ModelServiceClient::new(self.channel()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// When a call that begins now is over: by its own limit, else the client's.
    pub(crate) fn deadline(&self, own: Option<Duration>) -> Deadline {
        let limit = own.or(self.timeout).filter(|limit| *limit <= LONGEST_LIMIT)?;
        Instant::now().checked_add(limit)
    }

    /// Works on where nobody need wait for it, as long as the runtime of the client runs.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.shared.runtime.spawn(work)
    }
}

/// The request with the time that is left to it; the server is told.
pub(crate) fn timed<M>(message: M, deadline: Deadline) -> Request<M> {
    let mut request = Request::new(message);
    if let Some(deadline) = deadline {
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
    }
    request
}

/// The answer of a unary method that is free.
pub(crate) async fn free<T>(
    deadline: Deadline,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Error> {
    match within(deadline, call).await {
        Some(Ok(response)) => Ok(response.into_inner()),
        Some(Err(status)) => Err(Error::from_status(status, None, true)),
        None => Err(Error::timeout(true)),
    }
}

/// What comes of it, or None once the deadline has passed.
pub(crate) async fn within<T>(deadline: Deadline, work: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, work).await.ok(),
        None => Some(work.await),
    }
}
