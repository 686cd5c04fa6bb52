/// @file
/// The client of an imagegen server. Includes all of the library.
#ifndef IMAGEGEN_CLIENT_H_
#define IMAGEGEN_CLIENT_H_

#include <grpcpp/channel.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "imagegen/connect_options.h"
#include "imagegen/error.h"
#include "imagegen/image.h"
#include "imagegen/model.h"
#include "imagegen/settings.h"
#include "imagegen/stream.h"
#include "imagegen/v1/model_service.pb.h"

namespace imagegen {

/// Names a generation, by exactly one of its ids.
struct GenerationName {
  /// The server's id for it.
  std::string generation_id;
  /// Your own id for it.
  std::string request_id;

  /// By the server's id.
  static GenerationName ById(std::string id) { return {std::move(id), {}}; }
  /// By the id of the wish.
  static GenerationName ByRequestId(std::string id) { return {{}, std::move(id)}; }
};

/// How a generation is read on.
struct ResumeSettings {
  /// ImageStream::last_sequence of the stream that was left. 0 = everything. With another number, images whose
  /// beginning was before it are in the result without their bytes: Client::Read fetches them.
  std::uint32_t after_sequence = 0;
  /// As in CallSettings. The sequence numbers are the same for both.
  v1::DeliveryMode delivery = v1::DELIVERY_MODE_UNSPECIFIED;
  /// Until reading is given up. Unset = that of the client.
  std::optional<std::chrono::milliseconds> timeout;
};

/// The models of a server.
struct ModelList {
  /// Ordered by name.
  std::vector<v1::Model> models;
  /// Providers whose models are missing, as they could not be asked.
  std::vector<v1::UnreachableProvider> unreachable;
};

/// A time limit for one call. Unset = that of the client.
using Timeout = std::optional<std::chrono::milliseconds>;

/// A connection to an imagegen server. It connects on first use, and may be used by several threads at once. Models and
/// streams keep the connection for as long as they live; the client itself need not.
class Client {
 public:
  /// Decides where to connect and how; nothing is sent yet.
  /// @param address "host:port", or any gRPC target that begins with its scheme. Empty = the environment variable
  ///     IMAGEGEN_ADDRESS, else "127.0.0.1:50051".
  /// @param options TLS, token and time limit.
  /// @throws std::invalid_argument the address is a URL or has no port, or the token would travel in clear text beyond
  ///     this machine or cannot stand in a header.
  explicit Client(std::string address = {}, const ConnectOptions& options = {});

  /// Where the server is.
  const std::string& address() const noexcept;

  /// Binds a model with what holds for all of its calls.
  /// @throws std::invalid_argument a setting that cannot be carried, or a request_id, which is the name of one call.
  ImageModel image(std::string model, const CallSettings& settings = {}) const;

  /// Reads a generation that runs or has ended, to the same end; where the connection breaks, it is read on. Leaving
  /// this stream does not stop the generation, Abort() does. What the server says is thrown by the stream:
  /// GENERATION_NOT_FOUND, RESULT_EXPIRED, WRONG_INSTANCE, or why the generation failed.
  /// @throws std::invalid_argument not exactly one id.
  ImageStream Resume(const GenerationName& name, const ResumeSettings& settings = {}) const;

  /// Stops a generation, whoever reads it. Its finished images are kept; the provider may bill what it has begun.
  /// @returns true: it was running and is stopped. False: it had ended already.
  /// @throws Error GENERATION_NOT_FOUND, WRONG_INSTANCE, or the server could not be told.
  /// @throws std::invalid_argument not exactly one id.
  bool Cancel(const GenerationName& name, Timeout timeout = {}) const;

  /// Fetches the bytes of an image that was delivered by reference; one that has its bytes is returned as it is. A read
  /// that breaks off is resumed once where it broke.
  /// @throws Error IMAGE_NOT_FOUND; INVALID_RESPONSE if these are not the bytes that were told of; or the way there.
  /// @throws std::invalid_argument the image has neither bytes nor an id.
  Image Read(const Image& image, Timeout timeout = {}) const;
  /// The same for an image of a result, which keeps what is known of it.
  GeneratedImage Read(const GeneratedImage& image, Timeout timeout = {}) const;

  /// Gives an image to the server once, for as many edits as wanted; only what it does not have yet is sent.
  /// @returns a reference without bytes, good in edits until its expire_time().
  /// @throws Error it could not be given, or is no image.
  /// @throws std::logic_error the image has no bytes.
  Image Upload(const Image& image, Timeout timeout = {}) const;

  /// The models that the caller may use.
  /// @param provider only those of this provider, by its name in the server's configuration. Empty = all.
  /// @param timeout for each page.
  /// @throws Error a page could not be had.
  ModelList ListModels(const std::string& provider = {}, Timeout timeout = {}) const;

  /// One model, or the first candidate of an alias.
  /// @throws Error MODEL_NOT_FOUND, PROVIDER_NOT_CONFIGURED, or the server could not be asked.
  v1::Model GetModel(const std::string& name, Timeout timeout = {}) const;

  /// The channel, for generated stubs of your own: v1::ImageService::NewStub(client.channel()). Every call on it
  /// carries the token by itself; the time limit is yours to set.
  std::shared_ptr<grpc::Channel> channel() const;

 private:
  std::shared_ptr<internal::Connection> connection_;
};

}  // namespace imagegen

#endif  // IMAGEGEN_CLIENT_H_
