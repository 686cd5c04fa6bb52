//! Logs of generations, and a server that plays one and breaks where it is told to.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::server::{Call, Say, Server, message, ok};
use crate::byte_run::hex;
use crate::v1::image_stream_event::Event as Told;
use crate::v1::{
    self, CancelResponse, EditRequest, ErrorReason, GenerateRequest, GenerationStarted, ImageChunk, ImageFailure,
    ImagePreview, ImageStreamEvent, Progress, ResumeRequest, resume_request,
};

/// What an API image is cut into.
pub const CHUNK: usize = 196_608;

/// Bytes that look like nothing else.
pub fn picture(size: usize, salt: u8) -> Bytes {
    (0..size).map(|position| (position * 31 + position / 251) as u8 ^ salt).collect::<Vec<_>>().into()
}

pub fn facts(data: &Bytes) -> v1::Image {
    v1::Image {
        image_id: "img_1".into(),
        media_type: "image/png".into(),
        size_bytes: data.len() as u32,
        sha256: hex(&Sha256::digest(data)),
        ..Default::default()
    }
}

pub fn event(told: Told) -> ImageStreamEvent {
    ImageStreamEvent { sequence: 0, event: Some(told) }
}

pub fn started() -> ImageStreamEvent {
    event(Told::Started(GenerationStarted {
        generation_id: "gen_1".into(),
        request_id: "made-by-server".into(),
        model: "sandbox/scene".into(),
        warnings: Vec::new(),
    }))
}

pub fn opening(index: u32, data: &Bytes) -> ImageStreamEvent {
    event(Told::Complete(v1::GeneratedImage { index, image: Some(facts(data)), ..Default::default() }))
}

pub fn chunks(index: u32, preview_number: u32, data: &Bytes) -> Vec<ImageStreamEvent> {
    let pieces = (0..data.len()).step_by(CHUNK);
    let piece = |start: usize| data.slice(start..data.len().min(start + CHUNK));
    let chunk = |start| ImageChunk { index, preview_number, offset: start as u32, data: piece(start) };
    pieces.map(|start| event(Told::Chunk(chunk(start)))).collect()
}

pub fn complete(index: u32, data: &Bytes) -> Vec<ImageStreamEvent> {
    [vec![opening(index, data)], chunks(index, 0, data)].concat()
}

pub fn preview(index: u32, number: u32, data: &Bytes) -> Vec<ImageStreamEvent> {
    let image = v1::Image { image_id: String::new(), sha256: String::new(), ..facts(data) };
    let opening = ImagePreview { index, number, image: Some(image), ..Default::default() };
    [vec![event(Told::Preview(opening))], chunks(index, number, data)].concat()
}

pub fn result(images: &[&Bytes]) -> ImageStreamEvent {
    let made = images.iter().enumerate().map(|(index, data)| v1::GeneratedImage {
        index: index as u32,
        image: Some(facts(data)),
        ..Default::default()
    });
    event(Told::Result(v1::ImageResult {
        generation_id: "gen_1".into(),
        request_id: "made-by-server".into(),
        model: "sandbox/scene".into(),
        images: made.collect(),
        ..Default::default()
    }))
}

/// The events with the sequences that a server gives them.
pub fn numbered(events: impl IntoIterator<Item = ImageStreamEvent>) -> Vec<ImageStreamEvent> {
    let mut sequence = 0;
    let number = |mut event: ImageStreamEvent| {
        if !matches!(event.event, Some(Told::Progress(_))) {
            sequence += 1;
        }
        event.sequence = sequence;
        event
    };
    events.into_iter().map(number).collect()
}

/// A picture of three chunks, and one of one.
pub fn large() -> Bytes {
    picture(2 * CHUNK + 1000, 1)
}

pub fn small() -> Bytes {
    picture(500, 2)
}

/// Everything that a generation may say.
pub fn long_log() -> Vec<ImageStreamEvent> {
    let failure = ImageFailure { index: 2, reason: ErrorReason::ProviderError.into(), ..Default::default() };
    numbered(
        [
            vec![started(), event(Told::Progress(Progress::default()))],
            preview(0, 1, &small()),
            preview(0, 2, &large()),
            complete(0, &large()),
            vec![event(Told::Progress(Progress::default()))],
            complete(1, &small()),
            vec![event(Told::Failure(failure)), result(&[&large(), &small()])],
        ]
        .concat(),
    )
}

/// A log of one picture.
pub fn short_log() -> Vec<ImageStreamEvent> {
    numbered([vec![started()], complete(0, &large()), vec![result(&[&large()])]].concat())
}

/// A server's generation: played from the start for a new wish, from where it is asked to for Resume.
pub struct Log {
    pub server: Server,
    state: Arc<State>,
}

struct State {
    events: Vec<ImageStreamEvent>,
    /// How many events the next streams send, and how they end then. With none left a stream is whole.
    breaks: Mutex<VecDeque<(usize, Vec<Say>)>>,
    wishes: Mutex<HashSet<String>>,
    cancel: Mutex<Vec<Say>>,
}

impl Log {
    pub async fn start(events: Vec<ImageStreamEvent>, breaks: impl IntoIterator<Item = (usize, Vec<Say>)>) -> Self {
        let state = Arc::new(State {
            events,
            breaks: Mutex::new(breaks.into_iter().collect()),
            wishes: Mutex::default(),
            cancel: Mutex::new(vec![message(&CancelResponse { generation_id: "gen_1".into(), stopped: true }), ok()]),
        });
        let played = state.clone();
        Self { server: Server::start(move |call| played.play(call)).await, state }
    }

    /// What Cancel is answered.
    pub fn on_cancel(&self, says: Vec<Say>) {
        *self.state.cancel.lock().unwrap() = says;
    }

    /// How many different wishes came.
    pub fn purchases(&self) -> usize {
        self.state.wishes.lock().unwrap().len()
    }

    /// The sequences behind which it was resumed.
    pub fn resumed_after(&self) -> Vec<u32> {
        let resumed = self.server.calls().into_iter().filter(|call| call.method == "Resume");
        resumed.map(|call| call.request::<ResumeRequest>().after_sequence).collect()
    }
}

impl State {
    fn play(&self, call: &Call) -> Vec<Say> {
        let after = match call.method.as_str() {
            "Cancel" => return self.cancel.lock().unwrap().clone(),
            "Resume" => {
                let asked: ResumeRequest = call.request();
                assert!(
                    matches!(asked.generation, Some(resume_request::Generation::GenerationId(id)) if id == "gen_1")
                );
                asked.after_sequence
            }
            "StreamEdit" => self.wish(call.request::<EditRequest>().request_id),
            _ => self.wish(call.request::<GenerateRequest>().request_id),
        };
        let (most, end) = self.breaks.lock().unwrap().pop_front().unwrap_or((usize::MAX, vec![ok()]));
        let events = self.events.iter().filter(|event| event.sequence > after).take(most).map(message);
        events.chain(end).collect()
    }

    fn wish(&self, request_id: String) -> u32 {
        self.wishes.lock().unwrap().insert(request_id);
        0
    }
}
