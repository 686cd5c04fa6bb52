#include "assembly.h"

#include <gtest/gtest.h>

#include "events.h"
#include "imagegen/error.h"

namespace imagegen::test {
namespace {

using internal::Assembler;

std::vector<Event> Feed(Assembler& assembler, const Log& log) {
  std::vector<Event> events;
  for (v1::ImageStreamEvent event : log) {
    if (auto made = assembler.Feed(std::move(event))) events.push_back(std::move(*made));
  }
  return events;
}

void ExpectInvalid(const Log& log, bool whole = true) {
  Assembler assembler(/*chunked=*/true, whole);
  try {
    Feed(assembler, log);
    FAIL() << "a broken promise was not seen";
  } catch (const Error& error) {
    EXPECT_EQ(error.reason(), v1::ERROR_REASON_INVALID_RESPONSE);
    EXPECT_EQ(error.code(), grpc::StatusCode::INTERNAL);
    EXPECT_EQ(error.billed(), v1::BILLED_UNKNOWN);
  }
}

// Events come typed and in order, images whole, and the result has the bytes of its images.
TEST(Assembly, PutsEventsTogether) {
  Assembler assembler(true, true);
  const std::vector<Event> events = Feed(assembler, LongLog());
  ASSERT_EQ(events.size(), 6);
  EXPECT_EQ(std::get<Started>(events[0]).generation_id(), "gen_1");
  EXPECT_EQ(std::get<Progress>(events[1]).phase(), v1::PHASE_GENERATING);
  EXPECT_EQ(std::get<Preview>(events[2]).number, 1);
  EXPECT_EQ(std::get<Preview>(events[2]).image.bytes(), Bytes(120, 'p'));
  EXPECT_EQ(std::get<Complete>(events[3]).image.bytes(), Bytes(250, 'a'));
  EXPECT_EQ(std::get<Complete>(events[4]).image.index(), 1);
  EXPECT_EQ(std::get<Failed>(events[5]).index(), 2);
  ASSERT_TRUE(assembler.result());
  const ImageResult& result = *assembler.result();
  EXPECT_EQ(result.image().bytes(), Bytes(250, 'a'));
  EXPECT_EQ(result.images().at(1).bytes(), Bytes(250, 'b'));
  EXPECT_EQ(result.image().seed(), 7);
  EXPECT_EQ(result.image().bytes().data(), std::get<Complete>(events[3]).image.bytes().data());  // shared, not copied
}

// Any cut into pieces gives the same image.
TEST(Assembly, TakesPiecesOfAnyLength) {
  const std::string bytes = Bytes(97);
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    Assembler assembler(true, true);
    Feed(assembler, Numbered({PictureLog(0, bytes, piece), {ResultEvent({0})}}));
    EXPECT_EQ(assembler.result()->image().bytes(), bytes) << piece;
  }
}

// An event that is newer than this library, and whatever comes behind the result, is ignored.
TEST(Assembly, IgnoresWhatItDoesNotKnow) {
  Assembler assembler(true, true);
  Log log = PictureLog(0, Bytes(250));
  log.insert(log.begin() + 2, v1::ImageStreamEvent());
  Feed(assembler, Numbered({log, {ResultEvent({0}), ResultEvent({}), Chunk(9, 0, 9, "x")}}));
  EXPECT_EQ(assembler.result()->images().size(), 1);
}

// What breaks a promise about a finished image is an error.
TEST(Assembly, BrokenPromisesAreErrors) {
  const std::string bytes = Bytes(250);
  Log damaged = PictureLog(0, bytes);
  damaged[2].mutable_chunk()->mutable_data()->at(0) ^= 1;
  ExpectInvalid(damaged);                                                      // another SHA-256
  ExpectInvalid({Opening(0, bytes), Chunk(0, 0, 100, bytes.substr(100))});     // a gap
  ExpectInvalid({Opening(0, bytes), Chunk(0, 0, 0, bytes + "x")});             // too long
  ExpectInvalid({Opening(0, bytes), Chunk(0, 0, 0, "x"), Opening(1, bytes)});  // cut short by an image
  ExpectInvalid({Opening(0, bytes), PreviewOpening(0, 1, 5)});                 // cut short by a preview
  ExpectInvalid({Opening(0, bytes), Chunk(0, 0, 0, "x"), ResultEvent({0})});   // cut short by the end
  ExpectInvalid({Chunk(0, 0, 0, "x")});                                        // no opening
  ExpectInvalid({Opening(0, bytes), Chunk(1, 0, 0, "x")});                     // another image's
  ExpectInvalid({ResultEvent({})});                                            // no images
  ExpectInvalid(Numbered({PictureLog(0, bytes), {ResultEvent({0, 1})}}));      // one that never came
  v1::ImageStreamEvent large = Opening(0, bytes);
  large.mutable_complete()->mutable_image()->set_size_bytes(kMaxImageBytes + 1);
  ExpectInvalid({large});  // more than the API allows
  large.mutable_complete()->mutable_image()->set_size_bytes(0);
  ExpectInvalid({large});  // no size
}

// A damaged or unfinished preview is left out, and costs nothing else.
TEST(Assembly, DamagedPreviewsAreLeftOut) {
  const std::string bytes = Bytes(250);
  const Log picture = PictureLog(0, bytes);
  for (const Log& preview : {Log{PreviewOpening(0, 1, 120), Chunk(0, 1, 0, "x")},
                             Log{PreviewOpening(0, 1, 120), Chunk(0, 1, 7, "x"), Chunk(0, 1, 8, "y")},
                             Log{PreviewOpening(0, 1, 3), Chunk(0, 1, 0, "long")}, Log{Chunk(0, 1, 0, "x")},
                             Log{PreviewOpening(0, 1, 0), Chunk(0, 1, 0, "x")},
                             Log{PreviewOpening(0, 1, kMaxImageBytes + 1), Chunk(0, 1, 0, "x")}}) {
    Assembler assembler(true, true);
    const std::vector<Event> events = Feed(assembler, Numbered({preview, picture, {ResultEvent({0})}}));
    ASSERT_EQ(events.size(), 1);
    EXPECT_EQ(std::get<Complete>(events[0]).image.bytes(), bytes);
  }
}

// By reference images are facts and ids.
TEST(Assembly, ByReferenceImagesAreFacts) {
  Assembler assembler(/*chunked=*/false, true);
  const std::vector<Event> events =
      Feed(assembler, {PreviewOpening(0, 1, 120), Opening(0, Bytes(250)), ResultEvent({0})});
  ASSERT_EQ(events.size(), 2);
  EXPECT_FALSE(std::get<Preview>(events[0]).image.has_bytes());
  EXPECT_FALSE(assembler.result()->image().has_bytes());
  EXPECT_EQ(assembler.result()->image().image_id(), "img_0");
}

// A stream that began behind the start leaves an image whose opening it has not seen to its id, and no other.
TEST(Assembly, BehindTheStartImagesMayLackBytes) {
  Assembler assembler(true, /*whole=*/false);
  Feed(assembler, Numbered({{Chunk(0, 0, 100, "rest")}, PictureLog(1, Bytes(250)), {ResultEvent({0, 1})}}));
  EXPECT_FALSE(assembler.result()->images().at(0).has_bytes());
  EXPECT_EQ(assembler.result()->images().at(1).bytes(), Bytes(250));
  ExpectInvalid(Numbered({PictureLog(1, Bytes(250)), {Chunk(1, 0, 250, "more")}}), /*whole=*/false);
}

}  // namespace
}  // namespace imagegen::test
