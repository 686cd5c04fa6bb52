//! Images: what is given to the server and what comes back from it.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use prost_types::Struct;

use crate::v1::image_source::Source;
use crate::{Error, GeneratedImage, save, v1};

/// The largest image that the API carries: 64 MiB.
pub(crate) const MAX_IMAGE_BYTES: usize = 64 * 1024 * 1024;

const TYPES: &[(&str, &str)] = &[
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("avif", "image/avif"),
    ("svg", "image/svg+xml"),
    ("bmp", "image/bmp"),
    ("tiff", "image/tiff"),
    ("tif", "image/tiff"),
];

/// An image: bytes, or a reference to bytes elsewhere. Cheap to clone.
///
/// Make one with [`Image::from_path`], [`Image::from_bytes`], [`Image::from_url`] or [`Image::from_id`]; those in a
/// result are made by the client. Facts that nobody told are None or empty, never guessed.
#[derive(Clone, Default, PartialEq)]
pub struct Image {
    facts: v1::Image,
    url: String,
    metadata: HashMap<String, Struct>,
}

impl Image {
    /// Reads a file. The media type follows from the name and is no more than a hint: the bytes decide. Blocks while it
    /// reads.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or has more than 64 MiB.
    pub fn from_path(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let length = std::fs::metadata(path)?.len();
        if length > MAX_IMAGE_BYTES as u64 {
            let why = format!("the image has {length} bytes; the limit is {MAX_IMAGE_BYTES} (64 MiB)");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        let suffix = path.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default().to_ascii_lowercase();
        let media_type = TYPES.iter().find(|(known, _)| *known == suffix).map_or("", |(_, media_type)| media_type);
        Ok(Self::from_bytes(std::fs::read(path)?).with_media_type(media_type))
    }

    /// Takes the bytes of an image file (PNG, JPEG, WebP or GIF). An empty one, and one of more than 64 MiB, is refused
    /// by the call that it is given to.
    pub fn from_bytes(data: impl Into<Bytes>) -> Self {
        let data = data.into();
        let size_bytes = u32::try_from(data.len()).unwrap_or(u32::MAX);
        Self { facts: v1::Image { size_bytes, data, ..Default::default() }, ..Default::default() }
    }

    /// Refers to an image at an http or https address of a public host. Nothing is fetched here: the server does it.
    pub fn from_url(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Default::default() }
    }

    /// Refers to an image that the server keeps: an upload or an earlier result of the same caller.
    pub fn from_id(image_id: impl Into<String>) -> Self {
        Self { facts: v1::Image { image_id: image_id.into(), ..Default::default() }, ..Default::default() }
    }

    /// The same with a hint of its type, such as "image/png".
    #[must_use]
    pub fn with_media_type(mut self, media_type: impl Into<String>) -> Self {
        self.facts.media_type = media_type.into();
        self
    }

    /// An image handed out by the server.
    pub(crate) fn from_server(facts: v1::Image, data: Bytes, metadata: HashMap<String, Struct>) -> Self {
        // Never the bytes beside the facts: nobody has checked them.
        Self { facts: v1::Image { data, ..facts }, url: String::new(), metadata }
    }

    /// The whole file, or None when the bytes are elsewhere: at a URL, or at the server ([`crate::Client::read`]
    /// fetches them).
    pub fn bytes(&self) -> Option<&Bytes> {
        Some(&self.facts.data).filter(|data| !data.is_empty())
    }

    /// Such as "image/png". In a result: read from the bytes by the server. In an image of one's own: a hint.
    pub fn media_type(&self) -> &str {
        &self.facts.media_type
    }

    /// In pixels. None = not told.
    pub fn width(&self) -> Option<u32> {
        self.facts.width
    }

    /// In pixels. None = not told.
    pub fn height(&self) -> Option<u32> {
        self.facts.height
    }

    /// Length of the whole image in bytes, also when they are elsewhere. 0 = not known.
    pub fn size_bytes(&self) -> u32 {
        self.facts.size_bytes
    }

    /// SHA-256 of the whole image, 64 lowercase hex digits, as the server told it. Empty on previews and images of
    /// one's own.
    pub fn sha256(&self) -> &str {
        &self.facts.sha256
    }

    /// The server's name for a finished image, good until [`Image::expire_time`]. Empty = none.
    pub fn image_id(&self) -> &str {
        &self.facts.image_id
    }

    /// When the server forgets the image. None = not told.
    pub fn expire_time(&self) -> Option<SystemTime> {
        self.facts.expire_time.and_then(|time| time.try_into().ok())
    }

    /// Where the server is to fetch the image. Empty unless made by [`Image::from_url`].
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What else the provider said of this image, by provider name. Numbers are doubles.
    /// [`crate::json_from_struct`] makes JSON of it.
    pub fn metadata(&self) -> &HashMap<String, Struct> {
        &self.metadata
    }

    /// The facts as the API tells them, with the bytes in `data`.
    pub fn facts(&self) -> &v1::Image {
        &self.facts
    }

    /// Writes the image to a file and returns the path written.
    ///
    /// A name without a suffix gets that of the media type ("harbour" becomes "harbour.png"); one that has a suffix is
    /// kept as it is. The file appears whole or not at all: it is written beside its place and then moved there. A place
    /// that is not a regular file (a pipe, a device) is written to directly. Blocks while it writes: where that
    /// matters, call it in `tokio::task::spawn_blocking`.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or the bytes are elsewhere (`InvalidInput`).
    pub fn save(&self, path: impl AsRef<Path>) -> io::Result<PathBuf> {
        let data = self.bytes().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, self.where_bytes_are()))?;
        save::save(path.as_ref(), data, self.suffix())
    }

    fn suffix(&self) -> Option<&'static str> {
        TYPES.iter().find(|(_, media_type)| *media_type == self.facts.media_type).map(|(suffix, _)| *suffix)
    }

    fn where_bytes_are(&self) -> String {
        if !self.image_id().is_empty() {
            format!("the bytes of image {} are at the server: fetch them with Client::read", self.image_id())
        } else if !self.url.is_empty() {
            "the bytes of this image are at its URL, and are fetched by the server only".to_owned()
        } else {
            "this image came without bytes: previews delivered by reference have facts only".to_owned()
        }
    }

    /// The bytes, if an image may have so many.
    pub(crate) fn checked_bytes(&self, field: &str) -> Result<&Bytes, Error> {
        let data = &self.facts.data;
        if data.is_empty() {
            return Err(Error::refused(field, "the image has no bytes"));
        }
        if data.len() > MAX_IMAGE_BYTES {
            let why = format!("the image has {} bytes; the limit is {MAX_IMAGE_BYTES} (64 MiB)", data.len());
            return Err(Error::refused(field, why));
        }
        Ok(data)
    }

    /// What a request carries for it: its bytes if they are here, else its id, else its address.
    pub(crate) fn to_source(&self, field: &str) -> Result<v1::ImageSource, Error> {
        let source = if !self.facts.data.is_empty() {
            Source::Data(self.checked_bytes(field)?.clone())
        } else if !self.facts.image_id.is_empty() {
            Source::ImageId(self.facts.image_id.clone())
        } else if !self.url.is_empty() {
            Source::Url(self.url.clone())
        } else {
            return Err(Error::refused(field, "this image has no bytes, no id and no URL"));
        };
        // With an id the server knows the rest itself.
        let metadata = if matches!(source, Source::ImageId(_)) { HashMap::new() } else { self.metadata.clone() };
        Ok(v1::ImageSource { media_type: self.facts.media_type.clone(), metadata, source: Some(source) })
    }
}

impl fmt::Debug for Image {
    /// The facts, and how many bytes are here instead of the bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("media_type", &self.facts.media_type)
            .field("width", &self.facts.width)
            .field("height", &self.facts.height)
            .field("size_bytes", &self.facts.size_bytes)
            .field("sha256", &self.facts.sha256)
            .field("image_id", &self.facts.image_id)
            .field("url", &self.url)
            .field("bytes_here", &self.facts.data.len())
            .finish_non_exhaustive()
    }
}

impl From<&Image> for Image {
    fn from(image: &Image) -> Self {
        image.clone()
    }
}

impl From<GeneratedImage> for Image {
    fn from(made: GeneratedImage) -> Self {
        made.image
    }
}

impl From<&GeneratedImage> for Image {
    fn from(made: &GeneratedImage) -> Self {
        made.image.clone()
    }
}
