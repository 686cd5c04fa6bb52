// The generated stubs alone.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "imagegen/v1/image_service.grpc.pb.h"
#include "imagegen/v1/model_service.grpc.pb.h"

namespace imagegen::v1 {
namespace {

template <class Stub, class Method, class Request, class Answer>
void ExpectUnary(Stub& stub, Method method, const Request& request, Answer answer) {
  grpc::ClientContext context;
  EXPECT_EQ((stub.*method)(&context, request, &answer).error_code(), grpc::StatusCode::UNAVAILABLE);
}

template <class Method, class Request, class Piece>
void ExpectStream(ImageService::Stub& stub, Method method, const Request& request, Piece piece) {
  grpc::ClientContext context;
  const auto reader = (stub.*method)(&context, request);
  EXPECT_FALSE(reader->Read(&piece));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

// Every method can be called; on a port where nobody listens the answer is UNAVAILABLE.
TEST(Stubs, EveryMethodCanBeCalled) {
  const auto channel = grpc::CreateChannel("127.0.0.1:1", grpc::InsecureChannelCredentials());
  const auto images = ImageService::NewStub(channel);
  const auto models = ModelService::NewStub(channel);
  GenerateRequest draw;
  draw.set_on_disconnect(ON_DISCONNECT_DETACH);
  EditRequest change;
  change.mutable_input()->add_images()->set_image_id("i");
  ExpectUnary(*images, &ImageService::Stub::Generate, draw, ImageResult());
  ExpectStream(*images, &ImageService::Stub::StreamGenerate, draw, ImageStreamEvent());
  ExpectUnary(*images, &ImageService::Stub::Edit, change, ImageResult());
  ExpectStream(*images, &ImageService::Stub::StreamEdit, change, ImageStreamEvent());
  ExpectStream(*images, &ImageService::Stub::Resume, ResumeRequest(), ImageStreamEvent());
  ExpectUnary(*images, &ImageService::Stub::Cancel, CancelRequest(), CancelResponse());
  ExpectStream(*images, &ImageService::Stub::ReadImage, ReadImageRequest(), ReadImageResponse());
  ExpectUnary(*images, &ImageService::Stub::UploadImage, UploadImageRequest(), UploadImageResponse());
  ExpectUnary(*images, &ImageService::Stub::Explain, ExplainRequest(), ExplainResponse());
  ExpectUnary(*models, &ModelService::Stub::ListModels, ListModelsRequest(), ListModelsResponse());
  ExpectUnary(*models, &ModelService::Stub::GetModel, GetModelRequest(), GetModelResponse());
}

}  // namespace
}  // namespace imagegen::v1
