#include "imagegen/params.h"

#include <google/protobuf/util/json_util.h>

#include <cmath>
#include <stdexcept>

#include "number_check.h"

namespace imagegen {
namespace {

// From here on neighbouring whole numbers share one double.
constexpr double kFirstInexact = 9007199254740992.0;

void CheckStruct(const google::protobuf::Struct& object, const std::string& path);

void CheckValue(const google::protobuf::Value& value, const std::string& path) {
  if (value.has_struct_value()) {
    CheckStruct(value.struct_value(), path);
  } else if (value.has_list_value()) {
    for (int i = 0; i < value.list_value().values_size(); ++i) {
      CheckValue(value.list_value().values(i), path + "[" + std::to_string(i) + "]");
    }
  } else if (value.kind_case() == google::protobuf::Value::kNumberValue) {
    if (!std::isfinite(value.number_value())) {
      throw std::invalid_argument(path + " is not a finite number, which JSON cannot say");
    }
    if (std::abs(value.number_value()) >= kFirstInexact) {
      throw std::invalid_argument(path + " is a whole number from 2^53 on, which arrives damaged: give it as a string");
    }
  }
}

void CheckStruct(const google::protobuf::Struct& object, const std::string& path) {
  for (const auto& [key, value] : object.fields()) CheckValue(value, path + "." + key);
}

}  // namespace

void internal::CheckNumbers(const Params& params) {
  for (const auto& [provider, object] : params) CheckStruct(object, "params." + provider);
}

Params ParamsFromJson(std::string_view json) {
  google::protobuf::Struct read;
  const auto status = google::protobuf::util::JsonStringToMessage(std::string(json), &read);
  if (!status.ok()) throw std::invalid_argument("params are not a JSON object: " + status.ToString());
  Params params;
  for (const auto& [provider, value] : read.fields()) {
    if (!value.has_struct_value()) {
      throw std::invalid_argument("params." + provider + " is not an object of parameter names and values");
    }
    params[provider] = value.struct_value();
  }
  internal::CheckNumbers(params);
  return params;
}

}  // namespace imagegen
