// A server that does what a test says, and remembers what it was asked.
#ifndef IMAGEGEN_TESTS_FAKE_SERVER_H_
#define IMAGEGEN_TESTS_FAKE_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "events.h"
#include "imagegen/client.h"
#include "imagegen/v1/image_service.grpc.pb.h"
#include "imagegen/v1/model_service.grpc.pb.h"

namespace imagegen::test {

template <class Request, class Answer>
using Unary = std::function<grpc::Status(grpc::ServerContext&, const Request&, Answer&)>;
template <class Request, class Piece>
using Stream = std::function<grpc::Status(grpc::ServerContext&, const Request&, grpc::ServerWriter<Piece>&)>;
using EventWriter = grpc::ServerWriter<v1::ImageStreamEvent>;

// Listens on a free port of 127.0.0.1. Set the handlers before the first call; what has none is UNIMPLEMENTED.
class FakeServer final : public v1::ImageService::Service {
 public:
  FakeServer();
  ~FakeServer() override;

  const std::string& address() const { return address_; }
  imagegen::Client client(const ConnectOptions& options = {}) const { return imagegen::Client(address_, options); }

  // How often a method was called.
  int calls(const std::string& method) const;
  // Waits until a method was called so often; false if it was not within 10 seconds.
  bool WaitForCalls(const std::string& method, int count) const;
  // Waits until a handler has noticed that its reader is gone; false if none did within 10 seconds.
  bool WaitForLeft() const;
  // Waits for the reader to go away, and notes it. For handlers.
  grpc::Status UntilLeft(grpc::ServerContext& context);
  // What the last call of a method said in its metadata.
  std::string metadata(const std::string& method, const std::string& key) const;

  Stream<v1::GenerateRequest, v1::ImageStreamEvent> on_stream_generate;
  Stream<v1::EditRequest, v1::ImageStreamEvent> on_stream_edit;
  Stream<v1::ResumeRequest, v1::ImageStreamEvent> on_resume;
  Stream<v1::ReadImageRequest, v1::ReadImageResponse> on_read;
  Unary<v1::CancelRequest, v1::CancelResponse> on_cancel;
  Unary<v1::UploadImageRequest, v1::UploadImageResponse> on_upload;
  Unary<v1::ExplainRequest, v1::ExplainResponse> on_explain;
  Unary<v1::ListModelsRequest, v1::ListModelsResponse> on_list_models;
  Unary<v1::GetModelRequest, v1::GetModelResponse> on_get_model;

 private:
  class Models;

  grpc::Status StreamGenerate(grpc::ServerContext* context, const v1::GenerateRequest* request,
                              EventWriter* writer) override;
  grpc::Status StreamEdit(grpc::ServerContext* context, const v1::EditRequest* request, EventWriter* writer) override;
  grpc::Status Resume(grpc::ServerContext* context, const v1::ResumeRequest* request, EventWriter* writer) override;
  grpc::Status ReadImage(grpc::ServerContext* context, const v1::ReadImageRequest* request,
                         grpc::ServerWriter<v1::ReadImageResponse>* writer) override;
  grpc::Status Cancel(grpc::ServerContext* context, const v1::CancelRequest* request,
                      v1::CancelResponse* answer) override;
  grpc::Status UploadImage(grpc::ServerContext* context, const v1::UploadImageRequest* request,
                           v1::UploadImageResponse* answer) override;
  grpc::Status Explain(grpc::ServerContext* context, const v1::ExplainRequest* request,
                       v1::ExplainResponse* answer) override;

  template <class Handler, class Request, class Answer>
  grpc::Status Do(const char* method, Handler handler, grpc::ServerContext* context, const Request* request,
                  Answer* answer);

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<std::string, int> calls_;
  std::map<std::string, std::multimap<std::string, std::string>> metadata_;
  bool left_ = false;
  bool stopping_ = false;
  std::unique_ptr<Models> models_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

// Sends what comes behind `after` in the log; stops before the event at `end`, if one is given.
void Play(const Log& log, EventWriter& writer, std::uint32_t after = 0, std::size_t end = SIZE_MAX);

// The status of an imagegen server: the trailers, and details with an ErrorInfo.
grpc::Status Worded(grpc::ServerContext& context, grpc::StatusCode code, v1::ErrorReason reason,
                    const std::string& billed = "no");

}  // namespace imagegen::test

#endif  // IMAGEGEN_TESTS_FAKE_SERVER_H_
