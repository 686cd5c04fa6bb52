#include <gtest/gtest.h>

#include "fake_server.h"
#include "request.h"

namespace imagegen::test {
namespace {

// A server whose generations have one image, and the request that it got last.
struct OneImage {
  v1::GenerateRequest generate;
  v1::EditRequest edit;
  FakeServer server;  // last: its handlers use the others

  OneImage() {
    server.on_stream_generate = [this](auto&, const auto& request, auto& writer) {
      generate = request;
      return Draw(writer);
    };
    server.on_stream_edit = [this](auto&, const auto& request, auto& writer) {
      edit = request;
      return Draw(writer);
    };
  }

  static grpc::Status Draw(EventWriter& writer) {
    Play(Numbered({{StartedEvent()}, PictureLog(0, Bytes(250)), {ResultEvent({0})}}), writer);
    return grpc::Status::OK;
  }
};

// What a call says goes before what its model says; options are joined field by field, params key by key.
TEST(Model, SettingsAreJoined) {
  OneImage one;
  CallSettings bound;
  bound.options.set_count(2);
  bound.options.set_quality("low");
  bound.options.mutable_size()->set_width(64);
  bound.options.mutable_size()->set_height(32);
  bound.params = ParamsFromJson(R"({"sandbox": {"delay": 1, "sent": true}})");
  bound.strict = true;
  bound.fallback_models = {"a/b"};
  const ImageModel model = one.server.client().image("sandbox/scene", bound);
  CallSettings given;
  given.options.set_quality("high");
  given.options.mutable_size()->set_width(128);
  given.params = ParamsFromJson(R"({"sandbox": {"delay": 2}, "xai": {"n": 1}})");
  given.strict = false;
  given.retry_ambiguous = true;
  given.request_id = "wish-1";
  model.Generate("a boat", given);

  const v1::GenerateRequest& sent = one.generate;
  EXPECT_EQ(sent.model(), "sandbox/scene");
  EXPECT_EQ(sent.input().prompt(), "a boat");
  EXPECT_EQ(sent.options().count(), 2);
  EXPECT_EQ(sent.options().quality(), "high");
  EXPECT_EQ(sent.options().size().width(), 128);
  EXPECT_EQ(sent.options().size().height(), 0);
  EXPECT_EQ(sent.params().at("sandbox").fields().at("delay").number_value(), 2);
  EXPECT_TRUE(sent.params().at("sandbox").fields().at("sent").bool_value());
  EXPECT_TRUE(sent.params().contains("xai"));
  EXPECT_FALSE(sent.strict());
  EXPECT_EQ(sent.delivery().mode(), v1::DELIVERY_MODE_INLINE);
  EXPECT_EQ(sent.retry().fallback_models(0), "a/b");
  EXPECT_TRUE(sent.retry().retry_ambiguous());
  EXPECT_EQ(sent.request_id(), "wish-1");
  EXPECT_EQ(model.options().count(), 2);
  EXPECT_EQ(model.params().at("sandbox").fields().at("delay").number_value(), 1);
}

// Who waits for the end asks for no previews unless they were wanted; who watches leaves that to the server.
TEST(Model, OnlyStreamsHavePreviews) {
  OneImage one;
  const ImageModel model = one.server.client().image("m");
  model.Generate("a boat");
  EXPECT_TRUE(one.generate.options().has_preview_count());
  EXPECT_EQ(one.generate.options().preview_count(), 0);
  CallSettings wanted;
  wanted.options.set_preview_count(3);
  model.Generate("a boat", wanted);
  EXPECT_EQ(one.generate.options().preview_count(), 3);
  model.Stream("a boat").Result();
  EXPECT_FALSE(one.generate.options().has_preview_count());
  EXPECT_FALSE(one.generate.has_retry());
  EXPECT_EQ(one.generate.request_id(), "");
}

// What may run on without its reader has a name of its own, anew for each call.
TEST(Model, ResumableCallsAreNamed) {
  OneImage one;
  CallSettings resumable;
  resumable.resumable = true;
  const ImageModel model = one.server.client().image("m", resumable);
  model.Generate("a boat");
  const std::string first = one.generate.request_id();
  EXPECT_EQ(first.size(), 36);
  EXPECT_EQ(first[14], '4');
  model.Generate("a boat");
  EXPECT_NE(one.generate.request_id(), first);
}

// An edit gives bytes with their metadata, ids without, and addresses.
TEST(Model, EditGivesImages) {
  OneImage one;
  const Client client = one.server.client();
  v1::GeneratedImage told;
  told.mutable_image()->set_image_id("img_1");
  told.mutable_image()->set_media_type("image/png");
  (*(*told.mutable_metadata())["sandbox"].mutable_fields())["token"].set_string_value("t");
  const GeneratedImage made(told, std::make_shared<const std::string>("bytes"));
  client.image("m").Edit("a boat", {{made, Image::FromId("img_2"), Image::FromUrl("https://example.com/a.png")},
                                    Image::FromBytes("mask", "image/png")});
  const v1::ImageEditInput& sent = one.edit.input();
  ASSERT_EQ(sent.images_size(), 3);
  EXPECT_EQ(sent.images(0).data(), "bytes");
  EXPECT_EQ(sent.images(0).media_type(), "image/png");
  EXPECT_EQ(sent.images(0).metadata().at("sandbox").fields().at("token").string_value(), "t");
  EXPECT_EQ(sent.images(1).image_id(), "img_2");
  EXPECT_EQ(sent.images(2).url(), "https://example.com/a.png");
  EXPECT_EQ(sent.mask().data(), "mask");
  EXPECT_THROW(client.image("m").Edit("a boat", {{Image()}}), std::invalid_argument);
}

// Settings that contradict themselves, and values that there are not, are refused before anything is sent.
TEST(Model, ContradictionsAreRefused) {
  FakeServer server;
  const Client client = server.client();
  CallSettings settings;
  settings.resumable = true;
  settings.on_disconnect = v1::ON_DISCONNECT_CANCEL;
  EXPECT_THROW(client.image("m", settings), std::invalid_argument);
  EXPECT_THROW(client.image("m").Stream("a boat", settings), std::invalid_argument);
  settings = {};
  settings.request_id = "wish-1";
  EXPECT_THROW(client.image("m", settings), std::invalid_argument);
  settings = {};
  settings.delivery = static_cast<v1::DeliveryMode>(99);
  EXPECT_THROW(client.image("m").Generate("a boat", settings), std::invalid_argument);
  EXPECT_THROW(client.Resume({}), std::invalid_argument);
  EXPECT_THROW(client.Cancel({"gen_1", "wish-1"}), std::invalid_argument);
  EXPECT_EQ(server.calls("StreamGenerate"), 0);
}

// Capabilities are asked of the server once, also by copies of the model.
TEST(Model, CapabilitiesAreAskedOnce) {
  FakeServer server;
  server.on_get_model = [](auto&, const auto&, auto& answer) {
    answer.mutable_model()->mutable_capabilities()->set_edit(true);
    return grpc::Status::OK;
  };
  const ImageModel model = server.client().image("m");
  const ImageModel copy = model;
  EXPECT_TRUE(model.Capabilities().edit());
  EXPECT_TRUE(copy.Capabilities().edit());
  EXPECT_EQ(server.calls("GetModel"), 1);
}

// Explain shows the request that generate or edit would send.
TEST(Model, ExplainsWhatItWouldSend) {
  FakeServer server;
  v1::ExplainRequest asked;
  server.on_explain = [&](auto&, const auto& request, auto& answer) {
    asked = request;
    answer.add_calls()->set_model("sandbox/scene");
    return grpc::Status::OK;
  };
  const ImageModel model = server.client().image("m");
  EXPECT_EQ(model.Explain("a boat").at(0).model(), "sandbox/scene");
  EXPECT_EQ(asked.generate().input().prompt(), "a boat");
  EXPECT_EQ(model.ExplainEdit("a boat", {{Image::FromId("img_1")}}).size(), 1);
  EXPECT_EQ(asked.edit().input().images(0).image_id(), "img_1");
}

// All pages are read, and who could not be asked is told.
TEST(Model, ListsAllPages) {
  FakeServer server;
  server.on_list_models = [](auto&, const auto& request, auto& answer) {
    answer.add_models()->set_name(request.page_token().empty() ? "a/1" : "a/2");
    if (request.page_token().empty()) answer.set_next_page_token("more");
    answer.add_unreachable()->set_provider("b");
    return request.provider() == "a" ? grpc::Status::OK : grpc::Status::CANCELLED;
  };
  const ModelList list = server.client().ListModels("a");
  ASSERT_EQ(list.models.size(), 2);
  EXPECT_EQ(list.models[1].name(), "a/2");
  ASSERT_EQ(list.unreachable.size(), 1);
}

}  // namespace
}  // namespace imagegen::test
