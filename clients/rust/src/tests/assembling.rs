//! Streams are put together, and what breaks the API's promises is told from what does not.

use bytes::Bytes;
use tonic::Code;

use super::log::*;
use crate::assembly::Assembler;
use crate::spare::Spare;
use crate::v1::image_stream_event::Event as Told;
use crate::v1::{self, ErrorReason, ImageChunk, ImagePreview, ImageStreamEvent};
use crate::{Error, Event, ImageResult};

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
}

fn spare() -> Spare {
    RUNTIME.with(|runtime| Spare::new(runtime.handle().clone()))
}

fn run(assembler: &mut Assembler, events: Vec<ImageStreamEvent>) -> Result<Vec<Event>, Error> {
    let fed = events.into_iter().map(|event| assembler.feed(event));
    Ok(fed.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// All events of a stream from the start, and what it came to.
fn put_together(events: Vec<ImageStreamEvent>) -> Result<(Vec<Event>, Option<ImageResult>), Error> {
    let mut assembler = Assembler::new(true, true, spare());
    let events = run(&mut assembler, events)?;
    Ok((events, assembler.take_result()))
}

fn chunk(index: u32, preview_number: u32, offset: u32, data: &[u8]) -> ImageStreamEvent {
    event(Told::Chunk(ImageChunk { index, preview_number, offset, data: Bytes::copy_from_slice(data) }))
}

/// An opening with other facts than those of the bytes.
fn told_wrong(change: impl FnOnce(&mut v1::Image)) -> ImageStreamEvent {
    let mut image = facts(&small());
    change(&mut image);
    event(Told::Complete(v1::GeneratedImage { image: Some(image), ..Default::default() }))
}

/// Chunks become whole pictures with their facts, in events and in the result.
#[test]
fn pictures_are_whole() {
    let (events, result) = put_together(long_log()).unwrap();
    let previews = events.iter().filter_map(|event| match event {
        Event::Preview(preview) => Some((preview.number, preview.image.bytes().cloned().unwrap())),
        _ => None,
    });
    assert_eq!(previews.collect::<Vec<_>>(), [(1, small()), (2, large())]);
    let finished = events.iter().filter_map(|event| match event {
        Event::Complete(made) => Some((made.index, made.image.bytes().cloned().unwrap())),
        _ => None,
    });
    assert_eq!(finished.collect::<Vec<_>>(), [(0, large()), (1, small())]);
    let result = result.unwrap();
    assert_eq!(result.image().bytes(), Some(&large()));
    assert_eq!(result.images[1].image.bytes(), Some(&small()));
    assert_eq!(result.image().media_type(), "image/png");
}

/// The bytes of a picture in an event and in the result are one allocation.
#[test]
fn bytes_are_shared() {
    let (events, result) = put_together(short_log()).unwrap();
    let Some(Event::Complete(made)) = events.last() else { panic!("no picture: {events:?}") };
    assert_eq!(made.image.bytes().unwrap().as_ptr(), result.unwrap().image().bytes().unwrap().as_ptr());
}

/// What a finished image depends on is checked; every broken promise is INVALID_RESPONSE.
#[test]
fn broken_promises() {
    let bytes = small();
    let whole = |opening| vec![opening, chunk(0, 0, 0, &bytes)];
    let cases: Vec<(&str, Vec<ImageStreamEvent>)> = vec![
        ("a gap", vec![opening(0, &bytes), chunk(0, 0, 0, &bytes[..10]), chunk(0, 0, 11, &bytes[11..])]),
        ("twice", vec![opening(0, &bytes), chunk(0, 0, 0, &bytes[..10]), chunk(0, 0, 0, &bytes[..10])]),
        ("too long", vec![opening(0, &bytes), chunk(0, 0, 0, &[&bytes[..], b"x"].concat())]),
        ("another SHA-256", whole(told_wrong(|image| image.sha256 = "0".repeat(64)))),
        ("no size", whole(told_wrong(|image| image.size_bytes = 0))),
        ("more than the API carries", whole(told_wrong(|image| image.size_bytes = 64 * 1024 * 1024 + 1))),
        ("no facts", vec![event(Told::Complete(v1::GeneratedImage::default()))]),
        ("cut short by an image", vec![opening(0, &bytes), opening(1, &bytes)]),
        ("cut short by a preview", [vec![opening(0, &bytes)], preview(1, 1, &bytes)].concat()),
        ("cut short by the end", vec![opening(0, &bytes), result(&[&bytes])]),
        ("bytes of no image", vec![chunk(0, 0, 0, &bytes)]),
        ("bytes of another image", vec![opening(0, &bytes), chunk(1, 0, 0, &bytes)]),
        ("bytes after the last", [complete(0, &bytes), vec![chunk(0, 0, 500, b"x")]].concat()),
        ("a result without images", vec![result(&[])]),
        ("an image that never came", [complete(0, &bytes), vec![result(&[&bytes, &bytes])]].concat()),
    ];
    for (case, events) in cases {
        let error = put_together(events).expect_err(case);
        assert_eq!((error.reason(), error.code()), (ErrorReason::InvalidResponse, Code::Internal), "{case}");
    }
}

/// Nothing is made ready for bytes of which nothing has come.
#[test]
fn announced_sizes_cost_nothing() {
    let mut run =
        crate::byte_run::ByteRun::new(&v1::Image { size_bytes: 64 << 20, ..Default::default() }, &spare()).unwrap();
    assert_eq!(run.capacity(), 0);
    run.append(0, b"x").unwrap();
    assert!(run.capacity() >= 64 << 20);
}

/// A damaged or unfinished preview is left out, and the picture comes.
#[test]
fn previews_may_be_damaged() {
    let bytes = small();
    let opening = |size_bytes| {
        let image = Some(v1::Image { size_bytes, ..Default::default() });
        event(Told::Preview(ImagePreview { number: 1, image, ..Default::default() }))
    };
    for damaged in [
        vec![opening(500)],
        vec![opening(500), chunk(0, 1, 0, &bytes[..10])],
        vec![opening(500), chunk(0, 1, 7, &bytes), chunk(0, 1, 0, &bytes)],
        vec![opening(10), chunk(0, 1, 0, &bytes)],
        vec![opening(0), chunk(0, 1, 0, &bytes)],
        vec![event(Told::Preview(ImagePreview::default())), chunk(0, 1, 0, &bytes)],
        vec![chunk(0, 1, 0, &bytes)],
    ] {
        let (events, result) =
            put_together([damaged, complete(0, &bytes), vec![self::result(&[&bytes])]].concat()).unwrap();
        assert!(matches!(&events[..], [Event::Complete(_)]), "{events:?}");
        assert_eq!(result.unwrap().image().bytes(), Some(&bytes));
    }
}

/// An event that is newer than the client is ignored, also amid an image, and so is what follows the result.
#[test]
fn newer_events_are_ignored() {
    let mut events = short_log();
    events.insert(2, ImageStreamEvent { sequence: 9, event: None });
    events.push(started());
    let (events, result) = put_together(events).unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(result.unwrap().image().bytes(), Some(&large()));
}

/// By reference pictures are facts, and no bytes are waited for.
#[test]
fn by_reference() {
    let mut assembler = Assembler::new(false, true, spare());
    let told = preview(0, 1, &small()).remove(0);
    let events = run(&mut assembler, vec![started(), told, opening(0, &large()), result(&[&large()])]).unwrap();
    let Event::Complete(made) = &events[2] else { panic!("{events:?}") };
    assert_eq!((made.image.bytes(), made.image.size_bytes()), (None, large().len() as u32));
    assert_eq!(assembler.take_result().unwrap().image().image_id(), "img_1");
}

/// Bytes beside the facts, which nobody has checked, are not handed out.
#[test]
fn unchecked_bytes() {
    let beside = || told_wrong(|image| image.data = Bytes::from_static(b"unchecked"));
    let mut assembler = Assembler::new(false, true, spare());
    let events = run(&mut assembler, vec![beside(), result(&[&small()])]).unwrap();
    assert!(matches!(&events[..], [Event::Complete(made)] if made.image.bytes().is_none()), "{events:?}");
    let (events, _) = put_together(vec![beside(), chunk(0, 0, 0, &small()), result(&[&small()])]).unwrap();
    assert!(matches!(&events[..], [Event::Complete(made)] if made.image.bytes() == Some(&small())), "{events:?}");
}

/// A stream that begins behind the start leaves images whose opening it has not seen without bytes, and others whole.
#[test]
fn behind_the_start() {
    let mut assembler = Assembler::new(true, false, spare());
    let rest = chunks(0, 0, &large()).split_off(1);
    let events = [rest, complete(1, &small()), vec![result(&[&large(), &small()])]].concat();
    assert_eq!(run(&mut assembler, events).unwrap().len(), 1);
    let result = assembler.take_result().unwrap();
    assert_eq!(result.images[0].image.bytes(), None);
    assert_eq!(result.images[1].image.bytes(), Some(&small()));
}

/// The memory of a large image is taken for the next one, and given back when none comes.
#[test]
fn memory_is_used_again() {
    let spare = spare();
    let image = spare.lend(vec![7; 8 << 20]);
    let place = image.as_ptr();
    let part = image.slice(100..200);
    drop(image);
    assert!(!spare.is_stocked(), "somebody holds a part of it");
    drop(part);
    let next = spare.take(5 << 20);
    assert_eq!((next.as_ptr(), next.len()), (place, 0));
    drop(spare.lend(vec![7; 8 << 20]));
    RUNTIME.with(|runtime| runtime.block_on(async { tokio::time::sleep(std::time::Duration::from_secs(5)).await }));
    assert!(!spare.is_stocked());
    // A much smaller image would hold on to memory that it has no use for.
    drop(spare.lend(vec![7; 32 << 20]));
    assert!(spare.take(5 << 20).capacity() <= 10 << 20);
    // Small ones are left to the allocator.
    let small = self::spare();
    drop(small.lend(vec![7; 1000]));
    assert!(!small.is_stocked());
}
