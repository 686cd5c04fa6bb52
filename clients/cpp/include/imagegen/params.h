/// @file
/// Parameters and metadata of providers: JSON objects by provider name.
#ifndef IMAGEGEN_PARAMS_H_
#define IMAGEGEN_PARAMS_H_

#include <google/protobuf/struct.pb.h>

#include <map>
#include <string>
#include <string_view>

namespace imagegen {

/// A provider's own parameters, by its name in the server's configuration or by its type. A number that a double cannot
/// hold exactly is refused by the call that carries it: give it as a string.
using Params = std::map<std::string, google::protobuf::Struct>;

/// What a provider said besides, by provider name. Numbers are doubles.
using Metadata = std::map<std::string, google::protobuf::Struct>;

/// Reads parameters from JSON text: `{"openai": {"moderation": "low"}}`.
/// @throws std::invalid_argument it is not an object of objects, or has a number that a double cannot hold exactly
/// (from
///     2^53 in magnitude on). The text names the path.
Params ParamsFromJson(std::string_view json);

}  // namespace imagegen

#endif  // IMAGEGEN_PARAMS_H_
