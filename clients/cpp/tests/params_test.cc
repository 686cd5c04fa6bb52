#include "imagegen/params.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "fake_server.h"
#include "request.h"

namespace imagegen {
namespace {

CallSettings WithNumber(double number) {
  CallSettings settings;
  auto* list = (*settings.params["sandbox"].mutable_fields())["sizes"].mutable_list_value();
  list->add_values()->set_number_value(1);
  (*list->add_values()->mutable_struct_value()->mutable_fields())["x"].set_number_value(number);
  return settings;
}

// JSON text becomes parameters by provider.
TEST(Params, AreReadFromJson) {
  const Params params = ParamsFromJson(R"({"openai": {"moderation": "low", "n": [1, true, null]}, "xai": {}})");
  ASSERT_EQ(params.size(), 2);
  EXPECT_EQ(params.at("openai").fields().at("moderation").string_value(), "low");
  EXPECT_EQ(params.at("openai").fields().at("n").list_value().values_size(), 3);
}

// What is no object of objects, or has a number that would arrive damaged, is refused with its path.
TEST(Params, OtherJsonIsRefused) {
  EXPECT_THROW(ParamsFromJson("[1]"), std::invalid_argument);
  EXPECT_THROW(ParamsFromJson("{"), std::invalid_argument);
  EXPECT_THROW(ParamsFromJson(R"({"openai": 1})"), std::invalid_argument);
  try {
    ParamsFromJson(R"({"openai": {"seed": 9007199254740992}})");
    FAIL() << "a damaged number";
  } catch (const std::invalid_argument& error) {
    EXPECT_EQ(std::string(error.what()).rfind("params.openai.seed ", 0), 0) << error.what();
  }
}

// Whole numbers from 2^53 on in magnitude, NaN and infinity are refused before anything is sent; the path is told.
TEST(Params, NumbersThatADoubleCannotHoldAreRefused) {
  test::FakeServer server;
  const ImageModel model = server.client().image("sandbox/scene");
  for (const double number :
       {9007199254740992.0, -9007199254740992.0, 1e300, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_THROW(server.client().image("sandbox/scene", WithNumber(number)), std::invalid_argument);
    try {
      model.Generate("a boat", WithNumber(number));
      FAIL() << number;
    } catch (const std::invalid_argument& error) {
      EXPECT_EQ(std::string(error.what()).rfind("params.sandbox.sizes[1].x ", 0), 0) << error.what();
    }
  }
  EXPECT_EQ(server.calls("StreamGenerate"), 0);
  EXPECT_NO_THROW(internal::Join({}, WithNumber(9007199254740991.0)));
}

}  // namespace
}  // namespace imagegen
