//! Puts a stream of API events together: chunks become whole images, and the end becomes a result.

use std::collections::HashMap;

use bytes::Bytes;

use crate::byte_run::ByteRun;
use crate::spare::Spare;
use crate::v1::{self, image_stream_event};
use crate::{Error, Event, GeneratedImage, Image, ImageResult, Preview};

/// The preview number of chunks that belong to a finished image.
const FINISHED: u32 = 0;

/// Takes the events of one stream in order, which may come over several connections one after the other.
pub(crate) struct Assembler {
    /// The bytes of images follow as chunks (inline delivery). False: images are facts and an id.
    chunked: bool,
    /// The events come from the start. False: an image whose beginning is missing is left to its id.
    whole: bool,
    spare: Spare,
    open: Option<Opening>,
    images: HashMap<u32, Bytes>,
    result: Option<ImageResult>,
}

/// The image opened last.
struct Opening {
    made: Made,
    run: ByteRun,
}

enum Made {
    Preview(v1::ImagePreview),
    Finished(v1::GeneratedImage),
}

impl Opening {
    fn takes(&self, chunk: &v1::ImageChunk) -> bool {
        let mine = match &self.made {
            Made::Preview(preview) => (preview.index, preview.number),
            Made::Finished(made) => (made.index, FINISHED),
        };
        mine == (chunk.index, chunk.preview_number)
    }
}

impl Assembler {
    pub(crate) fn new(chunked: bool, whole: bool, spare: Spare) -> Self {
        Self { chunked, whole, spare, open: None, images: HashMap::new(), result: None }
    }

    /// What the stream came to, once it was told.
    pub(crate) fn take_result(&mut self) -> Option<ImageResult> {
        self.result.take()
    }

    /// Takes the next event; what it completes is returned. An unset or newer event is ignored.
    ///
    /// It is an error that the stream breaks a promise of the API that a finished image depends on. A preview that is
    /// damaged is left out instead.
    pub(crate) fn feed(&mut self, event: v1::ImageStreamEvent) -> Result<Option<Event>, Error> {
        use image_stream_event::Event as Told;
        if self.result.is_some() {
            return Ok(None);
        }
        match event.event {
            Some(Told::Started(started)) => Ok(Some(Event::Started(started))),
            Some(Told::Progress(progress)) => Ok(Some(Event::Progress(progress))),
            Some(Told::Preview(preview)) => self.preview(preview),
            Some(Told::Complete(made)) => self.complete(made),
            Some(Told::Chunk(chunk)) => self.chunk(&chunk),
            Some(Told::Failure(failure)) => Ok(Some(Event::Failed(failure))),
            Some(Told::Result(result)) => {
                self.end_open()?;
                self.result = Some(self.finish(result)?);
                Ok(None)
            }
            None => Ok(None),
        }
    }

    fn preview(&mut self, preview: v1::ImagePreview) -> Result<Option<Event>, Error> {
        self.end_open()?;
        if !self.chunked {
            return Ok(Some(preview_event(preview, Bytes::new())));
        }
        let run = preview.image.as_ref().map(|facts| ByteRun::new(facts, &self.spare));
        if let Some(Ok(run)) = run {
            self.open = Some(Opening { made: Made::Preview(preview), run });
        }
        Ok(None)
    }

    fn complete(&mut self, made: v1::GeneratedImage) -> Result<Option<Event>, Error> {
        self.end_open()?;
        if !self.chunked {
            return Ok(Some(self.complete_event(made, Bytes::new())));
        }
        let run = ByteRun::new(made.image.as_ref().unwrap_or(&v1::Image::default()), &self.spare)?;
        self.open = Some(Opening { made: Made::Finished(made), run });
        Ok(None)
    }

    fn chunk(&mut self, chunk: &v1::ImageChunk) -> Result<Option<Event>, Error> {
        let Some(mut opening) = self.open.take_if(|opening| opening.takes(chunk)) else {
            if chunk.preview_number != FINISHED {
                return Ok(None); // the rest of a preview that was given up
            }
            if !self.whole && self.open.is_none() && !self.images.contains_key(&chunk.index) {
                return Ok(None); // the rest of an image that was begun before
            }
            let why = format!("bytes of image {} came outside of their place", chunk.index);
            return Err(Error::invalid_response(why));
        };
        let appended = opening.run.append(chunk.offset, &chunk.data);
        if appended.is_ok() && !opening.run.is_whole() {
            self.open = Some(opening);
            return Ok(None);
        }
        let data = appended.and_then(|()| opening.run.join());
        match (opening.made, data) {
            (Made::Preview(preview), Ok(data)) => Ok(Some(preview_event(preview, data))),
            (Made::Preview(_), Err(_)) => Ok(None), // a damaged preview is no reason to lose the image
            (Made::Finished(made), data) => Ok(Some(self.complete_event(made, data?))),
        }
    }

    fn complete_event(&mut self, made: v1::GeneratedImage, data: Bytes) -> Event {
        self.images.insert(made.index, data.clone());
        Event::Complete(GeneratedImage::from_server(made, data))
    }

    /// An opening ends an unfinished preview; a finished image may not be cut short.
    fn end_open(&mut self) -> Result<(), Error> {
        match self.open.take() {
            Some(Opening { made: Made::Finished(made), .. }) => {
                Err(Error::invalid_response(format!("image {} was cut short", made.index)))
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self, result: v1::ImageResult) -> Result<ImageResult, Error> {
        if result.images.is_empty() {
            let why = "the server ended the generation without an image and without an error";
            return Err(Error::invalid_response(why));
        }
        let mut images = Vec::with_capacity(result.images.len());
        for made in result.images {
            images.push(self.with_bytes(made)?);
        }
        Ok(ImageResult {
            generation_id: result.generation_id,
            request_id: result.request_id,
            model: result.model,
            images,
            failures: result.failures,
            usage: result.usage,
            warnings: result.warnings,
            attempts: result.attempts,
            metadata: result.metadata,
        })
    }

    fn with_bytes(&self, made: v1::GeneratedImage) -> Result<GeneratedImage, Error> {
        let received = self.images.get(&made.index);
        if self.chunked && self.whole && received.is_none() {
            return Err(Error::invalid_response(format!("the result names image {}, which never came", made.index)));
        }
        Ok(GeneratedImage::from_server(made, received.cloned().unwrap_or_default()))
    }
}

fn preview_event(preview: v1::ImagePreview, data: Bytes) -> Event {
    Event::Preview(Preview {
        index: preview.index,
        number: preview.number,
        image: Image::from_server(preview.image.unwrap_or_default(), data, preview.metadata),
    })
}
