//! A running generation: its events, its result, its end.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;

use crate::assembly::Assembler;
use crate::generation::Generation;
use crate::{Error, Event, ImageResult};

/// How long leaving waits for the server to hear of it.
const LEAVE_LIMIT: Duration = Duration::from_secs(1);

/// A generation that runs: a [`Stream`] of [`Event`]s, and [`ImageStream::result`] for the whole, in either order or
/// both.
///
/// [`ImageStream::abort`] stops it. So does dropping it, unless it was meant to go on without its reader: one with a
/// `request_id` of one's own or `OnDisconnect::Detach`, or one that was resumed by its id.
///
/// The stream ends when the result is there; if the generation fails, it ends with the error. Events that `result`
/// passes by are kept and can be read after it. What nobody reads is held back at the server but for a window of some
/// megabytes.
#[must_use = "dropping a stream stops its generation"]
pub struct ImageStream {
    generation: Box<Generation>,
    assembler: Assembler,
    events: VecDeque<Event>,
    outcome: Option<Result<ImageResult, Error>>,
    /// The stream has handed out the error that it ended with.
    told: bool,
}

impl ImageStream {
    /// Nothing is sent before it is waited for.
    pub(crate) fn new(generation: Box<Generation>, assembler: Assembler) -> Self {
        Self { generation, assembler, events: VecDeque::new(), outcome: None, told: false }
    }

    /// Sends the request and waits until the server has taken it.
    pub(crate) async fn opened(mut self) -> Result<Self, Error> {
        poll_fn(|cx| self.generation.poll_open(cx)).await?;
        Ok(self)
    }

    /// The server's id for it, for `resume`, `cancel` and support. Empty if the server has not told it.
    pub fn generation_id(&self) -> &str {
        self.generation.generation_id()
    }

    /// The id of the wish, good for the same. Empty if none was sent and the server has not told one.
    pub fn request_id(&self) -> &str {
        self.generation.request_id()
    }

    /// Where the generation's log was read to: `after_sequence` for a `resume` that goes on from here.
    pub fn last_sequence(&self) -> u32 {
        self.generation.sequence()
    }

    /// The next event, or None when the result is there; the same as `StreamExt::next`. Dropping the future loses
    /// nothing.
    ///
    /// # Errors
    ///
    /// The generation failed or was stopped; None follows.
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Waits for the end and returns what came of it; asked again, returns the same again. Dropping the future loses
    /// nothing.
    ///
    /// # Errors
    ///
    /// The generation failed or was stopped. If some images came and others failed, that is no error: see
    /// [`ImageResult::failures`].
    pub async fn result(&mut self) -> Result<ImageResult, Error> {
        poll_fn(|cx| self.poll_result(cx)).await
    }

    /// As [`ImageStream::result`], without keeping events and without a copy of the result: for whoever looks at
    /// nothing else.
    ///
    /// # Errors
    ///
    /// As [`ImageStream::result`].
    pub async fn into_result(mut self) -> Result<ImageResult, Error> {
        self.events.clear();
        poll_fn(|cx| self.poll_only_result(cx)).await
    }

    /// Stops the generation at once. No event follows; `result` gives CANCELLED. Does nothing once the result is there.
    ///
    /// The provider may bill what it has begun. Where the generation would run on without its reader, the server is
    /// told to stop it; that goes on if the future is dropped.
    ///
    /// # Errors
    ///
    /// The server could not be told, so the generation may run on. It can be called again.
    pub async fn abort(&mut self) -> Result<(), Error> {
        self.end("the generation was aborted");
        self.generation.stop().await
    }

    /// Leaves the stream as dropping it does, and waits a moment, at most a second, for the server to have heard of it:
    /// for programs that are about to end.
    pub async fn leave(mut self) {
        self.end("the stream was left");
        self.generation.leave();
        // Whoever leaves asks for nothing; whoever must know calls abort.
        let _ = tokio::time::timeout(LEAVE_LIMIT, self.generation.told_to_stop()).await;
    }

    /// The result, once: no event is kept, and no copy.
    pub(crate) fn poll_only_result(&mut self, cx: &mut Context<'_>) -> Poll<Result<ImageResult, Error>> {
        loop {
            if let Some(outcome) = self.outcome.take() {
                return Poll::Ready(outcome);
            }
            ready!(self.poll_advance(cx));
        }
    }

    fn poll_result(&mut self, cx: &mut Context<'_>) -> Poll<Result<ImageResult, Error>> {
        loop {
            if let Some(outcome) = &self.outcome {
                return Poll::Ready(outcome.clone());
            }
            let event = ready!(self.poll_advance(cx));
            self.events.extend(event);
        }
    }

    /// Takes one more message in; the event that it completes, if it does.
    fn poll_advance(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let fed = match ready!(self.generation.poll_receive(cx)) {
            Ok(Some(message)) => self.assembler.feed(message),
            Ok(None) => {
                self.outcome = self.assembler.take_result().map(Ok);
                return Poll::Ready(None);
            }
            Err(error) => Err(error),
        };
        Poll::Ready(fed.unwrap_or_else(|error| {
            self.finish(error);
            self.generation.leave(); // bytes that are not the promised ones: nobody shall pay for more of them
            None
        }))
    }

    fn end(&mut self, why: &str) {
        if self.outcome.is_none() {
            self.events.clear();
            self.told = true;
            self.finish(Error::cancelled(why));
        }
    }

    /// Ends the stream with `error`, unless it came to a result: that stands, whatever becomes of the call.
    fn finish(&mut self, error: Error) {
        let error = error.with_ids(self.generation.generation_id(), self.generation.request_id());
        self.outcome = Some(self.assembler.take_result().ok_or(error));
    }
}

impl Stream for ImageStream {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            match &self.outcome {
                Some(Err(error)) if !self.told => {
                    let error = error.clone();
                    self.told = true;
                    return Poll::Ready(Some(Err(error)));
                }
                Some(_) => return Poll::Ready(None),
                None => {
                    let event = ready!(self.poll_advance(cx));
                    if event.is_some() {
                        return Poll::Ready(event.map(Ok));
                    }
                }
            }
        }
    }
}

impl fmt::Debug for ImageStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageStream")
            .field("generation_id", &self.generation_id())
            .field("request_id", &self.request_id())
            .field("last_sequence", &self.last_sequence())
            .finish_non_exhaustive()
    }
}
