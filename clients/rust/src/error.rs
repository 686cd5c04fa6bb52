//! The one error of this crate.

mod reading;

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use tonic::{Code, Status};

use crate::v1::{Attempt, Billed, ErrorReason, GenerationFailure, ImageFailure, ImageUsage};

/// Initial metadata: the server's id for the generation.
pub(crate) const GENERATION_ID: &str = "imagegen-generation-id";
/// Initial metadata: the id of the wish.
pub(crate) const REQUEST_ID: &str = "imagegen-request-id";

/// Why something failed: every failure that the server, the network or this client reports.
///
/// [`Error::is_refused`] tells what this client saw to be wrong before anything was sent. [`std::error::Error::source`]
/// is the gRPC status if there was one.
#[derive(Clone)]
pub struct Error(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    message: String,
    code: Code,
    reason: String,
    billed: Billed,
    retry_delay: Option<Duration>,
    violations: Vec<FieldViolation>,
    failure: GenerationFailure,
    metadata: HashMap<String, String>,
    generation_id: String,
    request_id: String,
    maker: Maker,
    status: Option<Status>,
}

/// Who says that it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker {
    /// This client, before anything was sent.
    Refused,
    /// This client, of what it received or was told to do.
    Client,
    /// A proxy or the transport.
    Line,
    /// The imagegen server.
    Server,
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldViolation {
    /// Path in the request: "options.size.width".
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

impl Error {
    /// For people. Holds no prompt and no key.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The gRPC status code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Why. `Unspecified` = nobody told: the status was made by a proxy or the transport. `ProviderError` stands also
    /// for a reason that this client is too old to know; [`Error::reason_name`] has its name.
    pub fn reason(&self) -> ErrorReason {
        if self.0.reason.is_empty() {
            return ErrorReason::Unspecified;
        }
        ErrorReason::from_str_name(&self.0.reason).unwrap_or(ErrorReason::ProviderError)
    }

    /// The full name of the reason, "ERROR_REASON_RATE_LIMITED", also of one that this client is too old to know.
    /// Empty = nobody told.
    pub fn reason_name(&self) -> &str {
        &self.0.reason
    }

    /// Whether the call was paid for; `Unknown` = it may have been.
    pub fn billed(&self) -> Billed {
        self.0.billed
    }

    /// The provider that failed, by its name in the server's configuration. Empty = not told.
    pub fn provider(&self) -> &str {
        self.told("provider")
    }

    /// The model, as "provider/model" or as asked for. Empty = not told.
    pub fn model(&self) -> &str {
        self.told("model")
    }

    /// How long to wait before the same call can succeed. None = not known, or waiting does not help.
    pub fn retry_delay(&self) -> Option<Duration> {
        self.0.retry_delay
    }

    /// What is wrong with the request, field by field.
    pub fn violations(&self) -> &[FieldViolation] {
        &self.0.violations
    }

    /// One for each image that did not come, once a provider was called.
    pub fn failures(&self) -> &[ImageFailure] {
        &self.0.failure.failures
    }

    /// The provider calls made, oldest first.
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.failure.attempts
    }

    /// What is known of use. None = nothing.
    pub fn usage(&self) -> Option<&ImageUsage> {
        self.0.failure.usage.as_ref()
    }

    /// What else the server told: such as stage, http_status, provider_code, provider_request_id.
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.0.metadata
    }

    /// The server's id for the generation, for support. Empty = none was made, or it was not told.
    pub fn generation_id(&self) -> &str {
        &self.0.generation_id
    }

    /// The name of the wish. Empty = not told.
    pub fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// The gRPC status, if the call came so far.
    pub fn status(&self) -> Option<&Status> {
        self.0.status.as_ref()
    }

    /// Whether this client saw something to be wrong before anything was sent: [`Error::violations`] names what.
    pub fn is_refused(&self) -> bool {
        self.0.maker == Maker::Refused
    }

    /// The server itself said why, rather than a proxy, the transport or this client.
    pub(crate) fn is_from_server(&self) -> bool {
        self.0.maker == Maker::Server
    }

    /// The transport or a proxy ended the call on its way, so that the server may know better how it went.
    pub(crate) fn is_break(&self) -> bool {
        self.0.maker == Maker::Line
            && matches!(self.0.code, Code::Unavailable | Code::Internal | Code::Unknown | Code::Cancelled)
    }

    /// What came is not what the API promises.
    pub(crate) fn is_invalid_response(&self) -> bool {
        self.0.maker == Maker::Client && self.reason() == ErrorReason::InvalidResponse
    }

    /// What is wrong with what was asked for; nothing was sent.
    pub(crate) fn refused(field: impl Into<String>, description: impl Into<String>) -> Self {
        let violation = FieldViolation { field: field.into(), description: description.into() };
        let mut error = Self::made_here(ErrorReason::InvalidRequest, Code::InvalidArgument, &violation.description);
        error.0.billed = Billed::No;
        error.0.violations.extend(Some(violation).filter(|violation| !violation.field.is_empty()));
        error.0.maker = Maker::Refused;
        error
    }

    /// The server's answer does not keep what the API promises; what became of the money is not known.
    pub(crate) fn invalid_response(message: impl AsRef<str>) -> Self {
        Self::made_here(ErrorReason::InvalidResponse, Code::Internal, message.as_ref())
    }

    /// The call was stopped on this side.
    pub(crate) fn cancelled(message: &str) -> Self {
        Self::made_here(ErrorReason::Cancelled, Code::Cancelled, message)
    }

    /// The call's time is over.
    pub(crate) fn timeout(free: bool) -> Self {
        let mut error =
            Self::made_here(ErrorReason::Timeout, Code::DeadlineExceeded, "the time limit of the call has passed");
        if free {
            error.0.billed = Billed::No;
        }
        error
    }

    /// Adds the ids that the caller knows, where the error has none.
    pub(crate) fn with_ids(mut self, generation_id: &str, request_id: &str) -> Self {
        for (mine, known) in [(&mut self.0.generation_id, generation_id), (&mut self.0.request_id, request_id)] {
            if mine.is_empty() {
                known.clone_into(mine);
            }
        }
        self
    }

    /// What the transport says of this RPC alone says nothing of the money that one before it may have spent.
    pub(crate) fn unless_told_billed_unknown(mut self) -> Self {
        if self.0.maker == Maker::Line {
            self.0.billed = Billed::Unknown;
        }
        self
    }

    /// Out of a method that never costs anything.
    pub(crate) fn of_free_method(mut self) -> Self {
        if self.0.maker == Maker::Client {
            self.0.billed = Billed::No;
        }
        self
    }

    fn made_here(reason: ErrorReason, code: Code, message: &str) -> Self {
        Self(Box::new(Parts {
            message: message.to_owned(),
            code,
            reason: reason.as_str_name().to_owned(),
            billed: Billed::Unknown,
            retry_delay: None,
            violations: Vec::new(),
            failure: GenerationFailure::default(),
            metadata: HashMap::new(),
            generation_id: String::new(),
            request_id: String::new(),
            maker: Maker::Client,
            status: None,
        }))
    }

    fn told(&self, key: &str) -> &str {
        self.0.metadata.get(key).map_or("", String::as_str)
    }
}

impl fmt::Display for Error {
    /// Reason, message, and what is wrong by field unless the message has said it, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.reason.strip_prefix("ERROR_REASON_").unwrap_or(&self.0.reason) {
            "" => write!(f, "{:?}", self.0.code)?,
            reason => f.write_str(reason)?,
        }
        if !self.0.message.is_empty() {
            write!(f, ": {}", self.0.message)?;
        }
        let mut between = " (";
        for violation in &self.0.violations {
            if !self.is_refused() && self.0.message.contains(&violation.description) {
                continue;
            }
            if self.is_refused() {
                write!(f, "{between}{}", violation.field)?;
            } else {
                write!(f, "{between}{}: {}", violation.field, violation.description)?;
            }
            between = "; ";
        }
        if between == "; " { f.write_str(")") } else { Ok(()) }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Error").field(&self.0).finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.status.as_ref().map(|status| status as _)
    }
}
