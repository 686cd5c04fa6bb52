//! Fetching the bytes of an image that the server keeps.

use tonic::Code;

use crate::byte_run::ByteRun;
use crate::connection::{Connection, Deadline, timed, within};
use crate::v1::{self, ReadImageRequest, ReadImageResponse};
use crate::{Error, Image};

/// The image with its bytes; one that has them is returned as it is.
pub(crate) async fn read(connection: &Connection, image: &Image) -> Result<Image, Error> {
    fetch(connection, image).await.map_err(Error::of_free_method)
}

async fn fetch(connection: &Connection, image: &Image) -> Result<Image, Error> {
    if image.bytes().is_some() {
        return Ok(image.clone());
    }
    if image.image_id().is_empty() {
        return Err(Error::refused("image_id", "this image has no id by which the server could hand out its bytes"));
    }
    let deadline = connection.deadline(None);
    let mut reading = Reading { connection, image_id: image.image_id(), deadline, facts: None, run: None };
    match reading.advance().await {
        // A read that broke off goes on once, from where it broke.
        Err(error) if error.code() == Code::Unavailable || error.is_break() => reading.advance().await?,
        ended => ended?,
    }
    let (facts, run) = reading
        .facts
        .zip(reading.run)
        .ok_or_else(|| Error::invalid_response(format!("the server sent nothing of image {}", image.image_id())))?;
    let data = run.join()?;
    if !image.sha256().is_empty() && image.sha256() != facts.sha256 {
        let why = format!("the server handed out other bytes for image {} than it had told of", image.image_id());
        return Err(Error::invalid_response(why));
    }
    // The id is the one that was asked for.
    let facts = v1::Image { image_id: image.image_id().to_owned(), ..facts };
    Ok(Image::from_server(facts, data, image.metadata().clone()))
}

struct Reading<'a> {
    connection: &'a Connection,
    image_id: &'a str,
    deadline: Deadline,
    facts: Option<v1::Image>,
    run: Option<ByteRun>,
}

impl Reading<'_> {
    /// Reads from where the bytes end now to the end of the image, within the time limit.
    async fn advance(&mut self) -> Result<(), Error> {
        let deadline = self.deadline;
        within(deadline, self.stream()).await.unwrap_or_else(|| Err(Error::timeout(true)))
    }

    async fn stream(&mut self) -> Result<(), Error> {
        let offset = self.run.as_ref().map_or(0, |run| run.received() as u32);
        let request = ReadImageRequest { image_id: self.image_id.to_owned(), offset };
        let failed = |status| Error::from_status(status, None, true);
        let answer = self.connection.images().read_image(timed(request, self.deadline)).await.map_err(failed)?;
        let mut pieces = answer.into_inner();
        while let Some(piece) = pieces.message().await.map_err(failed)? {
            self.take(piece)?;
        }
        Ok(())
    }

    fn take(&mut self, piece: ReadImageResponse) -> Result<(), Error> {
        let run = match &mut self.run {
            Some(run) => {
                let changed = |facts: &v1::Image| self.facts.as_ref().is_some_and(|first| first.sha256 != facts.sha256);
                if piece.image.as_ref().is_some_and(changed) {
                    return Err(Error::invalid_response(format!("image {} changed while it was read", self.image_id)));
                }
                run
            }
            None => {
                let facts = self.facts.insert(piece.image.unwrap_or_default());
                self.run.insert(ByteRun::new(facts, &self.connection.spare())?)
            }
        };
        if piece.data.is_empty() { Ok(()) } else { run.append(piece.offset, &piece.data) }
    }
}
