//! Calls of a model: what is said of one, and how it is sent when it is awaited.

use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use crate::assembly::Assembler;
use crate::connection::{Connection, free, timed};
use crate::generation::Generation;
use crate::request::{self, Lifetime, Pictures, Request};
use crate::settings::{Settings, setters};
use crate::v1::{DeliveryMode, ExplainRequest, explain_request};
use crate::{Error, Image, ImageResult, ImageStream, PlannedCall};

/// What awaiting a call comes to. Dropping it leaves the call, as dropping an [`ImageStream`] does.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// What a call can come to: [`ImageResult`], [`ImageStream`], or planned calls.
pub trait Outcome: sealed::Outcome {}
impl<T: sealed::Outcome> Outcome for T {}

/// A call for new pictures, made by [`crate::ImageModel`]. It is sent when it is awaited; what is said here goes before
/// what the model was bound with.
#[must_use = "a call is sent when it is awaited"]
pub struct Draw<T> {
    wish: Wish,
    settings: Arc<Settings>,
    outcome: PhantomData<fn() -> T>,
}

/// A call for changed pictures, as [`Draw`]. The first image is the one that is changed, others are references.
#[must_use = "a call is sent when it is awaited"]
pub struct Edit<T> {
    wish: Wish,
    settings: Arc<Settings>,
    pictures: Pictures,
    outcome: PhantomData<fn() -> T>,
}

/// What a call has that its model has not.
struct Wish {
    connection: Connection,
    model: String,
    prompt: String,
    request_id: String,
}

impl Wish {
    fn new(connection: Connection, model: String, prompt: String) -> Self {
        Self { connection, model, prompt, request_id: String::new() }
    }
}

impl<T: Outcome> Draw<T> {
    pub(crate) fn new(connection: Connection, model: String, settings: Arc<Settings>, prompt: String) -> Self {
        Self { wish: Wish::new(connection, model, prompt), settings, outcome: PhantomData }
    }

    setters!();

    /// One's own id for this wish, best a UUID. The same id and wish again joins the running generation or replays its
    /// result. Implies `OnDisconnect::Detach`.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.wish.request_id = request_id.into();
        self
    }
}

impl<T: Outcome> Edit<T> {
    pub(crate) fn new(connection: Connection, model: String, settings: Arc<Settings>, prompt: String) -> Self {
        let wish = Wish::new(connection, model, prompt);
        Self { wish, settings, pictures: Pictures::default(), outcome: PhantomData }
    }

    setters!();

    /// One's own id for this wish, as [`Draw::request_id`].
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.wish.request_id = request_id.into();
        self
    }

    /// A picture to change or, after the first, to take as a reference.
    pub fn image(mut self, image: impl Into<Image>) -> Self {
        self.pictures.images.push(image.into());
        self
    }

    /// Several of them.
    pub fn images<I: Into<Image>>(mut self, images: impl IntoIterator<Item = I>) -> Self {
        self.pictures.images.extend(images.into_iter().map(Into::into));
        self
    }

    /// What may change: where the mask is transparent or, if it has no transparency, white. Of the first image's pixel
    /// size. Unset = everything.
    pub fn mask(mut self, mask: impl Into<Image>) -> Self {
        self.pictures.mask = Some(mask.into());
        self
    }
}

impl<T: Outcome> IntoFuture for Draw<T> {
    type Output = Result<T, Error>;
    type IntoFuture = Answer<T>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { wish, mut settings, .. } = self;
        let (lifetime, request_id) = prepare::<T>(&mut settings, wish.request_id);
        let request = request::generate(wish.model, wish.prompt, &settings, request_id).map(Request::Generate);
        T::ask(sealed::Asked { connection: wish.connection, request, settings, lifetime })
    }
}

impl<T: Outcome> IntoFuture for Edit<T> {
    type Output = Result<T, Error>;
    type IntoFuture = Answer<T>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { wish, mut settings, pictures, .. } = self;
        let (lifetime, request_id) = prepare::<T>(&mut settings, wish.request_id);
        let request = request::edit(wish.model, wish.prompt, &pictures, &settings, request_id).map(Request::Edit);
        T::ask(sealed::Asked { connection: wish.connection, request, settings, lifetime })
    }
}

/// How the generation lives, and the name of the wish.
fn prepare<T: Outcome>(settings: &mut Arc<Settings>, request_id: String) -> (Lifetime, String) {
    if !T::SHOWS && settings.options.preview_count.is_none() {
        Arc::make_mut(settings).options.preview_count = Some(0);
    }
    let lifetime = Lifetime::of(settings, &request_id);
    (lifetime, if T::RUNS { lifetime.name(request_id) } else { request_id })
}

mod sealed {
    use super::*;

    /// A call that is ready to be sent, unless it was refused.
    pub struct Asked {
        pub(super) connection: Connection,
        pub(super) request: Result<Request, Error>,
        pub(super) settings: Arc<Settings>,
        pub(super) lifetime: Lifetime,
    }

    pub trait Outcome: Sized + Send + 'static {
        /// Previews can be seen. Whoever waits for the end only gets none, unless they were asked for.
        const SHOWS: bool = false;
        /// A generation is begun.
        const RUNS: bool = true;

        fn ask(asked: Asked) -> Answer<Self>;
    }

    fn begin(asked: Asked) -> Result<ImageStream, Error> {
        let Asked { connection, request, settings, lifetime } = asked;
        let chunked = settings.delivery != DeliveryMode::Reference;
        let assembler = Assembler::new(chunked, true, connection.spare());
        Ok(ImageStream::new(Generation::new(connection, request?, settings.timeout, lifetime), assembler))
    }

    impl Outcome for ImageStream {
        const SHOWS: bool = true;

        fn ask(asked: Asked) -> Answer<Self> {
            Box::pin(async move { begin(asked)?.opened().await })
        }
    }

    impl Outcome for ImageResult {
        fn ask(asked: Asked) -> Answer<Self> {
            Box::pin(async move {
                // Not `into_result`, in which the stream would be moved once more.
                let mut stream = begin(asked)?;
                poll_fn(|cx| stream.poll_only_result(cx)).await
            })
        }
    }

    impl Outcome for Vec<PlannedCall> {
        const RUNS: bool = false;

        fn ask(asked: Asked) -> Answer<Self> {
            Box::pin(async move {
                let Asked { connection, request, settings, .. } = asked;
                let request = match request? {
                    Request::Generate(asked) => Some(explain_request::Request::Generate(asked)),
                    Request::Edit(asked) => Some(explain_request::Request::Edit(asked)),
                    Request::Resume(_) => None, // nothing plans one
                };
                let deadline = connection.deadline(settings.timeout);
                let asked = timed(ExplainRequest { request }, deadline);
                Ok(free(deadline, connection.images().explain(asked)).await?.calls)
            })
        }
    }
}

impl<T> fmt::Debug for Draw<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draw")
            .field("model", &self.wish.model)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Edit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edit")
            .field("model", &self.wish.model)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
