//! Giving an image to the server in pieces, once for as many edits as wanted.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::backoff::Backoff;
use crate::byte_run::hex;
use crate::connection::{Connection, Deadline, free, timed, within};
use crate::v1::{self, UploadImageRequest, UploadImageResponse};
use crate::{Error, Image};

/// With what goes around it, a piece stays under the 1 MB that proxies take by default.
pub(crate) const PIECE_BYTES: usize = 786_432;

/// A reference to `image` at the server, after giving it what it did not have yet.
pub(crate) async fn upload(connection: &Connection, image: &Image) -> Result<Image, Error> {
    give(connection, image).await.map_err(Error::of_free_method)
}

async fn give(connection: &Connection, image: &Image) -> Result<Image, Error> {
    let data = image.checked_bytes("data")?.clone();
    let sha256 = hex(&Sha256::digest(&data));
    let deadline = connection.deadline(None);
    let backoff = Backoff::new(connection.pace());
    let facts = Upload { connection, data, sha256: &sha256, deadline, backoff }.run().await?;
    if facts.sha256 != sha256 || facts.image_id.is_empty() {
        return Err(Error::invalid_response("the server told of another image than the one that was uploaded"));
    }
    let facts = v1::Image { data: Bytes::new(), ..facts };
    Ok(Image::from_server(facts, Bytes::new(), image.metadata().clone()))
}

struct Upload<'a> {
    connection: &'a Connection,
    data: Bytes,
    sha256: &'a str,
    deadline: Deadline,
    backoff: Backoff,
}

impl Upload<'_> {
    /// Asks how much is there and sends the rest; where the connection breaks, asks again.
    async fn run(mut self) -> Result<v1::Image, Error> {
        let mut answered = self.send(0, Bytes::new()).await?;
        loop {
            if let Some(facts) = answered.image {
                return Ok(facts);
            }
            let offset = answered.committed_bytes;
            let Some(rest) = self.data.len().checked_sub(offset as usize).filter(|rest| *rest > 0) else {
                return Err(Error::invalid_response("the server has the whole upload and tells of no image"));
            };
            let start = offset as usize;
            answered = self.send(offset, self.data.slice(start..start + rest.min(PIECE_BYTES))).await?;
            if answered.committed_bytes > offset {
                self.backoff.renew();
            } else if answered.image.is_none() {
                self.wait(Error::invalid_response("the server takes no more of the upload")).await?;
            }
        }
    }

    async fn send(&mut self, mut offset: u32, mut piece: Bytes) -> Result<UploadImageResponse, Error> {
        loop {
            let size_bytes = self.data.len() as u32;
            let request = UploadImageRequest { sha256: self.sha256.to_owned(), size_bytes, offset, data: piece };
            let call = self.connection.images();
            let sent = free(self.deadline, { call }.upload_image(timed(request, self.deadline))).await;
            match sent {
                Err(error) if error.is_break() => self.wait(error).await?,
                told => return told,
            }
            (offset, piece) = (0, Bytes::new()); // the piece may have arrived: ask
        }
    }

    /// Waits before the next try, or gives `error` back if there were enough.
    async fn wait(&mut self, error: Error) -> Result<(), Error> {
        let Some(delay) = self.backoff.next_delay() else { return Err(error) };
        let slept = within(self.deadline, tokio::time::sleep(delay)).await;
        slept.ok_or_else(|| Error::timeout(true))
    }
}
