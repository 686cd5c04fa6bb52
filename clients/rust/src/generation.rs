//! The generation behind a stream: its RPC, what is done when that breaks, and how it is stopped.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use tokio::task::JoinHandle;
use tokio::time::Sleep;
use tonic::metadata::MetadataMap;
use tonic::{Response, Status, Streaming};

use crate::backoff::Backoff;
use crate::connection::{Connection, Deadline, timed};
use crate::error::{GENERATION_ID, REQUEST_ID};
use crate::request::{Lifetime, Request};
use crate::v1::image_stream_event::Event as Told;
use crate::v1::{Delivery, ErrorReason, ImageStreamEvent, ResumeRequest, cancel_request, resume_request};
use crate::{Error, cancel};

type Opened = Result<Response<Streaming<ImageStreamEvent>>, Status>;

/// Reads a generation's events, over one RPC or, when that breaks and may be resumed, over several.
pub(crate) struct Generation {
    connection: Connection,
    /// None once it was sent and is not to be sent again.
    request: Option<Request>,
    delivery: Option<Delivery>,
    lifetime: Lifetime,
    deadline: Deadline,
    timer: Option<Pin<Box<Sleep>>>,
    backoff: Backoff,
    line: Line,
    /// The RPC at hand is a Resume.
    resuming: bool,
    /// The server has it: it is resumed, not asked for again.
    known: bool,
    /// The server told the end, so there is nothing to stop.
    ended: bool,
    /// It broke before, so that the server may have begun it whatever became of the RPC at hand.
    broke: bool,
    /// The connection broke for good, and who knows the generation's name may come back to it.
    lost: bool,
    cancelling: Option<JoinHandle<Result<(), Error>>>,
    generation_id: String,
    request_id: String,
    sequence: u32,
}

/// The RPC at hand. Dropping it cancels it.
enum Line {
    Opening(Pin<Box<dyn Future<Output = Opened> + Send>>),
    Open(Box<Streaming<ImageStreamEvent>>, MetadataMap),
    Waiting(Pin<Box<Sleep>>),
    Closed,
}

impl Generation {
    /// Prepares to send `request`; `own` is the time limit for all of it, that of the client if None.
    pub(crate) fn new(
        connection: Connection,
        request: Request,
        own: Option<Duration>,
        lifetime: Lifetime,
    ) -> Box<Self> {
        let deadline = connection.deadline(own);
        let (mut generation_id, mut request_id, mut sequence) = Default::default();
        let delivery;
        match &request {
            Request::Generate(asked) => (request_id, delivery) = (asked.request_id.clone(), asked.delivery),
            Request::Edit(asked) => (request_id, delivery) = (asked.request_id.clone(), asked.delivery),
            Request::Resume(asked) => {
                (sequence, delivery) = (asked.after_sequence, asked.delivery);
                match &asked.generation {
                    Some(resume_request::Generation::GenerationId(id)) => generation_id = id.clone(),
                    Some(resume_request::Generation::RequestId(id)) => request_id = id.clone(),
                    None => {}
                }
            }
        }
        let backoff = Backoff::new(connection.pace());
        let mut generation = Box::new(Self {
            connection,
            known: matches!(request, Request::Resume(_)),
            request: Some(request),
            delivery,
            lifetime,
            deadline,
            timer: deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline))),
            backoff,
            line: Line::Closed,
            resuming: false,
            ended: false,
            broke: false,
            lost: false,
            cancelling: None,
            generation_id,
            request_id,
            sequence,
        });
        generation.begin();
        generation
    }

    pub(crate) fn generation_id(&self) -> &str {
        &self.generation_id
    }

    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
    }

    pub(crate) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Until the server has taken the request.
    pub(crate) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            match ready!(self.poll_line(cx)) {
                Ok(_) => return Poll::Ready(Ok(())),
                Err(error) => self.again(error)?,
            }
        }
    }

    /// The next event, or None behind the result, unless the generation failed or the connection broke for good.
    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<ImageStreamEvent>, Error>> {
        loop {
            match ready!(self.poll_line(cx)) {
                Ok(None) if !matches!(self.line, Line::Closed) => {}
                Ok(event) => return Poll::Ready(Ok(event)),
                Err(error) => self.again(error)?,
            }
        }
    }

    /// The next event, or None once the RPC is open or has ended well, or how it failed.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<ImageStreamEvent>, Error>> {
        if self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Err(Error::timeout(false)));
        }
        loop {
            match &mut self.line {
                Line::Waiting(sleep) => {
                    ready!(sleep.as_mut().poll(cx));
                    self.begin();
                }
                Line::Opening(opening) => match ready!(opening.as_mut().poll(cx)) {
                    Ok(response) => {
                        let (initial, stream, _) = response.into_parts();
                        self.name(text(&initial, GENERATION_ID), text(&initial, REQUEST_ID));
                        self.line = Line::Open(Box::new(stream), initial);
                        return Poll::Ready(Ok(None));
                    }
                    Err(status) => {
                        let error = Error::from_status(status, None, false);
                        return Poll::Ready(Err(self.ended_with(error)));
                    }
                },
                Line::Open(stream, initial) => match ready!(Pin::new(stream.as_mut()).poll_next(cx)) {
                    Some(Ok(event)) => {
                        self.saw(&event);
                        return Poll::Ready(Ok(Some(event)));
                    }
                    Some(Err(status)) => {
                        let error = Error::from_status(status, Some(initial), false);
                        return Poll::Ready(Err(self.ended_with(error)));
                    }
                    None if self.ended => {
                        self.line = Line::Closed;
                        return Poll::Ready(Ok(None));
                    }
                    None => return Poll::Ready(Err(Error::invalid_response("the stream ended without a result"))),
                },
                Line::Closed => return Poll::Ready(Err(Error::cancelled("the call was stopped on this side"))),
            }
        }
    }

    fn saw(&mut self, event: &ImageStreamEvent) {
        self.backoff.renew();
        self.sequence = self.sequence.max(event.sequence);
        match &event.event {
            Some(Told::Started(started)) => self.name(&started.generation_id, &started.request_id),
            Some(Told::Result(_)) => self.ended = true,
            _ => {}
        }
    }

    fn ended_with(&mut self, error: Error) -> Error {
        // What a Resume or a wish that is sent again is refused for says nothing of the generation, and CANCELLED may be
        // said to this reader alone, who took nothing for too long. To stop what has ended does no harm.
        let told_end = error.is_from_server() && error.reason() != ErrorReason::Cancelled;
        if told_end && !self.resuming && !self.broke {
            self.ended = true;
        }
        self.name(error.generation_id(), "");
        if self.broke { error.unless_told_billed_unknown() } else { error }
    }

    fn name(&mut self, generation_id: &str, request_id: &str) {
        if !generation_id.is_empty() {
            generation_id.clone_into(&mut self.generation_id);
            self.known = true;
        }
        if !request_id.is_empty() {
            request_id.clone_into(&mut self.request_id);
        }
    }

    /// Begins anew where the stream broke with `error`, which is returned if that is not to be.
    fn again(&mut self, error: Error) -> Result<(), Error> {
        // A server that is busy has no place for another reader right now; the generation goes on all the same.
        let busy = self.resuming && error.reason() == ErrorReason::ServerBusy;
        let broke = error.is_break() || error.is_invalid_response() || busy;
        self.line = Line::Closed;
        if !self.ended
            && self.lifetime.resumable
            && broke
            && let Some(delay) = self.backoff.next_delay()
        {
            self.broke = true;
            self.line = Line::Waiting(Box::pin(tokio::time::sleep(delay)));
            return Ok(());
        }
        self.lost = error.is_break();
        Err(error.with_ids(&self.generation_id, &self.request_id))
    }

    fn begin(&mut self) {
        let wish = match self.lifetime.resumable {
            _ if self.known => None,
            true => self.request.clone(),
            false => self.request.take(), // begun once
        };
        let request = wish.unwrap_or_else(|| Request::Resume(self.rest()));
        self.resuming = matches!(request, Request::Resume(_));
        let mut images = self.connection.images();
        let deadline = self.deadline;
        self.line = Line::Opening(match request {
            Request::Generate(asked) => Box::pin(async move { images.stream_generate(timed(asked, deadline)).await }),
            Request::Edit(asked) => Box::pin(async move { images.stream_edit(timed(asked, deadline)).await }),
            Request::Resume(asked) => Box::pin(async move { images.resume(timed(asked, deadline)).await }),
        });
    }

    /// What reads on from where it broke.
    fn rest(&self) -> ResumeRequest {
        let generation = if self.generation_id.is_empty() {
            resume_request::Generation::RequestId(self.request_id.clone())
        } else {
            resume_request::Generation::GenerationId(self.generation_id.clone())
        };
        ResumeRequest { generation: Some(generation), after_sequence: self.sequence, delivery: self.delivery }
    }

    /// Goes away. What nobody else can know of is stopped at the server, in the background.
    pub(crate) fn leave(&mut self) {
        self.line = Line::Closed;
        if self.lifetime.owned && !self.ended && !self.lost {
            self.cancel();
        }
    }

    /// Goes away, and stops the generation also where it would run on without this reader.
    pub(crate) async fn stop(&mut self) -> Result<(), Error> {
        self.leave();
        if self.lifetime.shared && !self.ended {
            self.cancel();
        }
        self.told_to_stop().await
    }

    /// Until the server has heard of what `leave` had to tell it.
    pub(crate) async fn told_to_stop(&mut self) -> Result<(), Error> {
        let Some(cancelling) = &mut self.cancelling else { return Ok(()) };
        let told = cancelling.await;
        self.cancelling = None;
        match told {
            Ok(told) => {
                self.ended |= told.is_ok();
                told
            }
            Err(_) => Err(Error::cancelled("the runtime ended before the server was told to stop")),
        }
    }

    fn cancel(&mut self) {
        if self.cancelling.is_some() {
            return;
        }
        let generation = if self.generation_id.is_empty() {
            cancel_request::Generation::RequestId(self.request_id.clone())
        } else {
            cancel_request::Generation::GenerationId(self.generation_id.clone())
        };
        self.cancelling = Some(self.connection.spawn(cancel::if_there(self.connection.clone(), generation)));
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.leave();
    }
}

fn text<'a>(metadata: &'a MetadataMap, key: &str) -> &'a str {
    metadata.get(key).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
