// What the two faces have in common: how bytes and failures are told.
#ifndef IMAGEGEN_CONFORMANCE_OUTCOME_H_
#define IMAGEGEN_CONFORMANCE_OUTCOME_H_

#include <string>
#include <string_view>

#include "conformance/v1/driver.pb.h"

namespace conformance {

using v1::Outcome;
using v1::Step;

// SHA-256, 64 lowercase hex digits.
std::string Sha256(std::string_view data);

// The content of a file. Throws std::runtime_error.
std::string ReadFile(const std::string& path);

// "no", "unknown", "yes".
std::string BilledText(imagegen::v1::Billed billed);

// Counts and hashes the bytes that were handed out.
void SetBytes(v1::Picture& picture, std::string_view bytes);

// Does a step with the helper.
void DoWithHelper(const Step& step, Outcome& outcome);

// Does a step with the generated stubs alone.
void DoWithStubs(const Step& step, Outcome& outcome);

// Measures calls, with either face.
void DoMeasure(const Step& step, Outcome& outcome);

}  // namespace conformance

#endif  // IMAGEGEN_CONFORMANCE_OUTCOME_H_
