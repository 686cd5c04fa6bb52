// Every method can be called; on a port where nobody listens the answer is UNAVAILABLE.
#include <grpcpp/grpcpp.h>

#include "imagegen/v1/image_service.grpc.pb.h"
#include "imagegen/v1/model_service.grpc.pb.h"

using namespace imagegen::v1;

int main() {
  auto channel = grpc::CreateChannel("127.0.0.1:1", grpc::InsecureChannelCredentials());
  auto images = ImageService::NewStub(channel);
  auto models = ModelService::NewStub(channel);
  int wrong = 0;
  auto unary = [&](auto& stub, auto method, const auto& request, auto answer) {
    grpc::ClientContext context;
    wrong += ((*stub).*method)(&context, request, &answer).error_code() != grpc::StatusCode::UNAVAILABLE;
  };
  auto stream = [&](auto method, const auto& request, auto event) {
    grpc::ClientContext context;
    auto reader = ((*images).*method)(&context, request);
    wrong += reader->Read(&event) || reader->Finish().error_code() != grpc::StatusCode::UNAVAILABLE;
  };
  GenerateRequest draw;
  draw.set_on_disconnect(ON_DISCONNECT_DETACH);
  EditRequest change;
  change.mutable_input()->add_images()->set_image_id("i");
  unary(images, &ImageService::Stub::Generate, draw, ImageResult());
  stream(&ImageService::Stub::StreamGenerate, draw, ImageStreamEvent());
  unary(images, &ImageService::Stub::Edit, change, ImageResult());
  stream(&ImageService::Stub::StreamEdit, change, ImageStreamEvent());
  stream(&ImageService::Stub::Resume, ResumeRequest(), ImageStreamEvent());
  unary(images, &ImageService::Stub::Cancel, CancelRequest(), CancelResponse());
  stream(&ImageService::Stub::ReadImage, ReadImageRequest(), ReadImageResponse());
  unary(images, &ImageService::Stub::UploadImage, UploadImageRequest(), UploadImageResponse());
  unary(images, &ImageService::Stub::Explain, ExplainRequest(), ExplainResponse());
  unary(models, &ModelService::Stub::ListModels, ListModelsRequest(), ListModelsResponse());
  unary(models, &ModelService::Stub::GetModel, GetModelRequest(), GetModelResponse());
  return wrong + (ErrorReason_Name(ERROR_REASON_TIMEOUT) != "ERROR_REASON_TIMEOUT");
}
