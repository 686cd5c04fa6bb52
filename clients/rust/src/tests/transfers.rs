//! Reading and uploading images.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tonic::Code;

use super::log::{facts, picture};
use super::server::{Call, Say, Server, message, ok};
use crate::Image;
use crate::upload::PIECE_BYTES;
use crate::v1::{
    self, Billed, ErrorReason, ReadImageRequest, ReadImageResponse, UploadImageRequest, UploadImageResponse,
};

/// Hands out `data` in pieces from the offset that is asked for, `most` of them in the first answer.
async fn reading(data: Bytes, told: v1::Image, most: usize, end: Vec<Say>) -> Server {
    let answers = AtomicUsize::new(0);
    Server::start(move |call| {
        let asked: ReadImageRequest = call.request();
        let first = answers.fetch_add(1, Ordering::Relaxed) == 0;
        let pieces = (asked.offset as usize..data.len()).step_by(1000).map(|start| ReadImageResponse {
            image: (start == asked.offset as usize).then(|| told.clone()),
            offset: start as u32,
            data: data.slice(start..data.len().min(start + 1000)),
        });
        let pieces = pieces.take(if first { most } else { usize::MAX }).map(|piece| message(&piece));
        pieces.chain(if first { end.clone() } else { vec![ok()] }).collect()
    })
    .await
}

/// A read that breaks off goes on once, from where it broke; the bytes are checked and come with their facts.
#[tokio::test]
async fn reads_go_on_once() {
    let data = picture(4500, 1);
    for (end, lossy) in [
        (Say::Status(Code::Unavailable, vec![]), false),
        (Say::Status(Code::Internal, vec![]), false),
        (Say::Cut, true), // the last pieces may be lost with the connection
    ] {
        let server = reading(data.clone(), facts(&data), 2, vec![end]).await;
        let image = server.client().read_image("img_1").await.unwrap();
        assert_eq!((image.bytes(), image.media_type(), image.image_id()), (Some(&data), "image/png", "img_1"));
        let offsets = server.calls().into_iter().map(|call| call.request::<ReadImageRequest>().offset);
        let offsets: Vec<_> = offsets.collect();
        assert!(offsets == [0, 2000] || (lossy && offsets.len() == 2 && offsets[1] < 2000), "{offsets:?}");
    }
    let server = Server::start(|_| vec![Say::Status(Code::Internal, vec![])]).await;
    let error = server.client().read_image("img_1").await.unwrap_err();
    assert_eq!((error.code(), error.billed(), server.calls().len()), (Code::Internal, Billed::No, 2));
}

/// What the server says itself ends a read at once.
#[tokio::test]
async fn reads_that_end() {
    let gone = vec![Say::Status(Code::NotFound, vec![("imagegen-reason", "ERROR_REASON_IMAGE_NOT_FOUND".into())])];
    let server = Server::start(move |_| gone.clone()).await;
    assert_eq!(server.client().read_image("img_1").await.unwrap_err().reason(), ErrorReason::ImageNotFound);
    assert_eq!(server.calls().len(), 1);
}

/// Bytes that are not those that were told of are no image.
#[tokio::test]
async fn reads_are_checked() {
    let data = picture(4500, 1);
    let other = v1::Image { sha256: "0".repeat(64), ..facts(&data) };
    let server = reading(data.clone(), other, 99, vec![ok()]).await;
    let error = server.client().read_image("img_1").await.unwrap_err();
    assert_eq!((error.reason(), error.billed()), (ErrorReason::InvalidResponse, Billed::No));
    let server = reading(data.clone(), facts(&data), 2, vec![ok()]).await;
    assert_eq!(server.client().read_image("img_1").await.unwrap_err().reason(), ErrorReason::InvalidResponse);
    // Good bytes, but not those of the image at hand.
    let server = reading(data.clone(), facts(&data), 99, vec![ok()]).await;
    let other =
        Image::from_server(v1::Image { sha256: "0".repeat(64), ..facts(&data) }, Bytes::new(), Default::default());
    assert_eq!(server.client().read(&other).await.unwrap_err().reason(), ErrorReason::InvalidResponse);
}

/// An image that has its bytes is not fetched, and one without bytes and id is refused.
#[tokio::test]
async fn reads_that_need_no_server() {
    let client = crate::Client::builder().address("127.0.0.1:1").connect().unwrap();
    let mine = Image::from_bytes(picture(9, 1));
    assert_eq!(client.read(&mine).await.unwrap(), mine);
    assert!(client.read(Image::from_url("https://example.com/a.png")).await.unwrap_err().is_refused());
    assert!(client.upload(Image::from_id("img_1")).await.unwrap_err().is_refused());
    assert!(client.upload(Image::from_bytes(vec![0; (64 << 20) + 1])).await.unwrap_err().is_refused());
}

/// A server that keeps uploads; some calls fail before or after they are done.
struct Uploads {
    data: Bytes,
    stored: Mutex<usize>,
    failures: Mutex<Vec<(usize, bool, Say)>>,
    calls: AtomicUsize,
}

impl Uploads {
    async fn start(data: Bytes, there: usize, failures: Vec<(usize, bool, Say)>) -> Server {
        let stored = Mutex::new(there);
        let uploads = Self { data, stored, failures: Mutex::new(failures), calls: AtomicUsize::new(0) };
        Server::start(move |call| uploads.answer(call)).await
    }

    fn answer(&self, call: &Call) -> Vec<Say> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let failure = self.failures.lock().unwrap().iter().find(|failure| failure.0 == number).cloned();
        if let Some((_, false, end)) = failure {
            return vec![end];
        }
        let asked: UploadImageRequest = call.request();
        assert_eq!((asked.size_bytes as usize, &asked.sha256), (self.data.len(), &facts(&self.data).sha256));
        let mut stored = self.stored.lock().unwrap();
        if !asked.data.is_empty() && asked.offset as usize == *stored {
            assert_eq!(asked.data, self.data.slice(*stored..*stored + asked.data.len()));
            *stored += asked.data.len();
        }
        let image = (*stored == self.data.len()).then(|| facts(&self.data));
        let answer = UploadImageResponse { committed_bytes: *stored as u32, image };
        drop(stored);
        if let Some((_, true, end)) = failure {
            return vec![end];
        }
        vec![message(&answer), ok()]
    }
}

fn pieces(server: &Server) -> Vec<(u32, usize)> {
    let asked = server.calls().into_iter().map(|call| call.request::<UploadImageRequest>());
    asked.map(|asked| (asked.offset, asked.data.len())).collect()
}

/// The upload asks first, then sends the rest in pieces, and gives a reference with the facts.
#[tokio::test]
async fn uploads_send_what_is_missing() {
    let data = picture(PIECE_BYTES + 1000, 1);
    let server = Uploads::start(data.clone(), 0, vec![]).await;
    let image = server.client().upload(Image::from_bytes(data.clone())).await.unwrap();
    assert_eq!((image.bytes(), image.image_id(), image.media_type()), (None, "img_1", "image/png"));
    assert_eq!((image.size_bytes() as usize, image.sha256()), (data.len(), facts(&data).sha256.as_str()));
    assert_eq!(pieces(&server), [(0, 0), (0, PIECE_BYTES), (PIECE_BYTES as u32, 1000)]);
    let server = Uploads::start(data.clone(), 500, vec![]).await;
    server.client().upload(Image::from_bytes(data.clone())).await.unwrap();
    assert_eq!(pieces(&server), [(0, 0), (500, PIECE_BYTES), (500 + PIECE_BYTES as u32, 500)]);
    let server = Uploads::start(data.clone(), data.len(), vec![]).await;
    server.client().upload(Image::from_bytes(data)).await.unwrap();
    assert_eq!(pieces(&server), [(0, 0)]);
}

/// Where the line breaks, before or after a piece was taken, the upload asks again and goes on.
#[tokio::test]
async fn uploads_ask_again() {
    let data = picture(PIECE_BYTES + 1000, 1);
    let (all, rest) = ((0, PIECE_BYTES), (PIECE_BYTES as u32, 1000));
    let broken = || Say::Status(Code::Internal, vec![]);
    let server = Uploads::start(data.clone(), 0, vec![(1, true, broken())]).await;
    server.client().upload(Image::from_bytes(data.clone())).await.unwrap();
    assert_eq!(pieces(&server), [(0, 0), all, (0, 0), rest]);
    let server = Uploads::start(data.clone(), 0, vec![(1, false, broken()), (2, false, broken())]).await;
    server.client().upload(Image::from_bytes(data)).await.unwrap();
    assert_eq!(pieces(&server), [(0, 0), all, (0, 0), (0, 0), all, rest]);
}

/// An upload that comes no further ends, as does one that the server takes for another image.
#[tokio::test]
async fn uploads_end() {
    let stuck = Server::start(|_| vec![message(&UploadImageResponse::default()), ok()]).await;
    let error = stuck.client().upload(Image::from_bytes(picture(9, 1))).await.unwrap_err();
    assert_eq!((error.reason(), stuck.calls().len()), (ErrorReason::InvalidResponse, 9));
    let other = UploadImageResponse { committed_bytes: 9, image: Some(facts(&picture(9, 2))) };
    for answer in [other, UploadImageResponse { committed_bytes: 9, image: None }] {
        let server = Server::start(move |_| vec![message(&answer), ok()]).await;
        let error = server.client().upload(Image::from_bytes(picture(9, 1))).await.unwrap_err();
        assert_eq!((error.reason(), error.code()), (ErrorReason::InvalidResponse, Code::Internal));
    }
    let down = Server::start(|_| vec![Say::Status(Code::Internal, vec![])]).await;
    let error = down.client().upload(Image::from_bytes(picture(9, 1))).await.unwrap_err();
    assert_eq!((error.code(), error.billed(), down.calls().len()), (Code::Internal, Billed::No, 8));
}
