//! Bytes of one image that arrive in order, in pieces of any length, and are checked at the end.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::image::MAX_IMAGE_BYTES;
use crate::spare::Spare;
use crate::{Error, v1};

pub(crate) struct ByteRun {
    size: usize,
    sha256: String,
    data: Vec<u8>,
    spare: Spare,
    digest: Option<Sha256>,
}

impl ByteRun {
    /// Expects the image that `facts` tells of. One that is larger than the API allows, or has no size, is none.
    pub(crate) fn new(facts: &v1::Image, spare: &Spare) -> Result<Self, Error> {
        let size = facts.size_bytes as usize;
        if size == 0 || size > MAX_IMAGE_BYTES {
            return Err(Error::invalid_response(format!("the server told of an image of {size} bytes")));
        }
        let digest = (!facts.sha256.is_empty()).then(Sha256::new);
        Ok(Self { size, sha256: facts.sha256.clone(), data: Vec::new(), spare: spare.clone(), digest })
    }

    /// Bytes so far: where the next piece must start.
    pub(crate) fn received(&self) -> usize {
        self.data.len()
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.data.capacity()
    }

    /// Whether nothing is missing.
    pub(crate) fn is_whole(&self) -> bool {
        self.data.len() == self.size
    }

    /// Takes the next piece, which must follow the one before and be no more than the image has.
    pub(crate) fn append(&mut self, offset: u32, piece: &[u8]) -> Result<(), Error> {
        let due = self.data.len();
        if offset as usize != due {
            let why = format!("a piece of the image starts at byte {offset} where byte {due} was due");
            return Err(Error::invalid_response(why));
        }
        if due + piece.len() > self.size {
            let why = format!("the image is longer than the {} bytes that the server told", self.size);
            return Err(Error::invalid_response(why));
        }
        if due == 0 {
            // Room for all of it once something has come: at most 64 MiB, which the system hands out as it is filled.
            self.data = self.spare.take(self.size);
        }
        self.data.extend_from_slice(piece);
        if let Some(digest) = &mut self.digest {
            digest.update(piece);
        }
        Ok(())
    }

    /// All bytes, checked against size and, where the server told one, SHA-256.
    pub(crate) fn join(self) -> Result<Bytes, Error> {
        if !self.is_whole() {
            let why = format!("the image ended after {} of {} bytes", self.data.len(), self.size);
            return Err(Error::invalid_response(why));
        }
        if self.digest.is_some_and(|digest| hex(&digest.finalize()) != self.sha256) {
            return Err(Error::invalid_response("the bytes of the image do not have the SHA-256 that the server told"));
        }
        Ok(self.spare.lend(self.data))
    }
}

/// Lowercase hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|half| DIGITS[usize::from(half)]).collect()
}
