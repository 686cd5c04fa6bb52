#include "fake_server.h"

#include <chrono>
#include <thread>

#include "imagegen/client/internal/status.pb.h"

namespace imagegen::test {
namespace {

constexpr std::chrono::seconds kPatience{10};

}  // namespace

class FakeServer::Models final : public v1::ModelService::Service {
 public:
  explicit Models(FakeServer& server) : server_(server) {}
  grpc::Status ListModels(grpc::ServerContext* context, const v1::ListModelsRequest* request,
                          v1::ListModelsResponse* answer) override {
    return server_.Do("ListModels", server_.on_list_models, context, request, answer);
  }
  grpc::Status GetModel(grpc::ServerContext* context, const v1::GetModelRequest* request,
                        v1::GetModelResponse* answer) override {
    return server_.Do("GetModel", server_.on_get_model, context, request, answer);
  }

 private:
  FakeServer& server_;
};

FakeServer::FakeServer() : models_(std::make_unique<Models>(*this)) {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(this);
  builder.RegisterService(models_.get());
  server_ = builder.BuildAndStart();
  address_ = "127.0.0.1:" + std::to_string(port);
}

FakeServer::~FakeServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  server_->Shutdown(std::chrono::system_clock::now());
}

int FakeServer::calls(const std::string& method) const {
  const std::lock_guard lock(mutex_);
  const auto found = calls_.find(method);
  return found == calls_.end() ? 0 : found->second;
}

bool FakeServer::WaitForCalls(const std::string& method, int count) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] {
    const auto found = calls_.find(method);
    return found != calls_.end() && found->second >= count;
  });
}

bool FakeServer::WaitForLeft() const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return left_; });
}

grpc::Status FakeServer::UntilLeft(grpc::ServerContext& context) {
  // A synchronous handler can only look.
  while (!context.IsCancelled()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const std::lock_guard lock(mutex_);
    if (stopping_) break;
  }
  const std::lock_guard lock(mutex_);
  left_ = true;
  changed_.notify_all();
  return grpc::Status::CANCELLED;
}

std::string FakeServer::metadata(const std::string& method, const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto call = metadata_.find(method);
  if (call == metadata_.end()) return {};
  const auto found = call->second.find(key);
  return found == call->second.end() ? std::string() : found->second;
}

template <class Handler, class Request, class Answer>
grpc::Status FakeServer::Do(const char* method, Handler handler, grpc::ServerContext* context, const Request* request,
                            Answer* answer) {
  {
    const std::lock_guard lock(mutex_);
    ++calls_[method];
    auto& metadata = metadata_[method];
    metadata.clear();
    for (const auto& [key, value] : context->client_metadata()) {
      metadata.emplace(std::string(key.data(), key.size()), std::string(value.data(), value.size()));
    }
    changed_.notify_all();
  }
  if (!handler) return {grpc::StatusCode::UNIMPLEMENTED, "the test says nothing of this method"};
  return handler(*context, *request, *answer);
}

grpc::Status FakeServer::StreamGenerate(grpc::ServerContext* context, const v1::GenerateRequest* request,
                                        EventWriter* writer) {
  return Do("StreamGenerate", on_stream_generate, context, request, writer);
}
grpc::Status FakeServer::StreamEdit(grpc::ServerContext* context, const v1::EditRequest* request, EventWriter* writer) {
  return Do("StreamEdit", on_stream_edit, context, request, writer);
}
grpc::Status FakeServer::Resume(grpc::ServerContext* context, const v1::ResumeRequest* request, EventWriter* writer) {
  return Do("Resume", on_resume, context, request, writer);
}
grpc::Status FakeServer::ReadImage(grpc::ServerContext* context, const v1::ReadImageRequest* request,
                                   grpc::ServerWriter<v1::ReadImageResponse>* writer) {
  return Do("ReadImage", on_read, context, request, writer);
}
grpc::Status FakeServer::Cancel(grpc::ServerContext* context, const v1::CancelRequest* request,
                                v1::CancelResponse* answer) {
  return Do("Cancel", on_cancel, context, request, answer);
}
grpc::Status FakeServer::UploadImage(grpc::ServerContext* context, const v1::UploadImageRequest* request,
                                     v1::UploadImageResponse* answer) {
  return Do("UploadImage", on_upload, context, request, answer);
}
grpc::Status FakeServer::Explain(grpc::ServerContext* context, const v1::ExplainRequest* request,
                                 v1::ExplainResponse* answer) {
  return Do("Explain", on_explain, context, request, answer);
}

void Play(const Log& log, EventWriter& writer, std::uint32_t after, std::size_t end) {
  for (std::size_t i = 0; i < log.size() && i < end; ++i) {
    if (log[i].sequence() > after) writer.Write(log[i]);
  }
}

grpc::Status Worded(grpc::ServerContext& context, grpc::StatusCode code, v1::ErrorReason reason,
                    const std::string& billed) {
  client::internal::ErrorInfo info;
  info.set_reason(v1::ErrorReason_Name(reason));
  info.set_domain("imagegen");
  (*info.mutable_metadata())["billed"] = billed;
  client::internal::Status status;
  status.set_code(code);
  status.add_details()->set_type_url("type.googleapis.com/google.rpc.ErrorInfo");
  status.mutable_details(0)->set_value(info.SerializeAsString());
  context.AddTrailingMetadata("imagegen-reason", info.reason());
  context.AddTrailingMetadata("imagegen-billed", billed);
  return {code, "the server's words", status.SerializeAsString()};
}

}  // namespace imagegen::test
