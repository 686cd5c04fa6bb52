// Events as a server sends them.
#ifndef IMAGEGEN_TESTS_EVENTS_H_
#define IMAGEGEN_TESTS_EVENTS_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "imagegen/v1/image_stream.pb.h"

namespace imagegen::test {

using Log = std::vector<v1::ImageStreamEvent>;

// Bytes that differ from image to image.
std::string Bytes(std::size_t size, char salt = 'a');

// SHA-256 of bytes, in hex.
std::string Digest(std::string_view bytes);

v1::ImageStreamEvent StartedEvent();
v1::ImageStreamEvent ProgressEvent();
v1::ImageStreamEvent PreviewOpening(std::uint32_t index, std::uint32_t number, std::size_t size);
v1::ImageStreamEvent Opening(std::uint32_t index, const std::string& bytes);
v1::ImageStreamEvent Chunk(std::uint32_t index, std::uint32_t preview, std::size_t offset, std::string data);
v1::ImageStreamEvent FailureEvent(std::uint32_t index);
v1::ImageStreamEvent ResultEvent(std::initializer_list<std::uint32_t> images);

// A preview or a finished image: opening and chunks of `piece` bytes.
Log PreviewLog(std::uint32_t index, std::uint32_t number, const std::string& bytes, std::size_t piece = 100);
Log PictureLog(std::uint32_t index, const std::string& bytes, std::size_t piece = 100);

// Logs in a row, numbered from 1.
Log Numbered(std::initializer_list<Log> parts);

// Started, progress, one preview, two images of 250 bytes each, one failure, the result.
Log LongLog();

}  // namespace imagegen::test

#endif  // IMAGEGEN_TESTS_EVENTS_H_
