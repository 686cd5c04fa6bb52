#include "generation.h"

#include <algorithm>
#include <utility>

#include "read_message.h"

namespace imagegen::internal {
namespace {

// A thread that leaves is held up for no longer than this; the Cancel goes on without it.
constexpr std::chrono::seconds kHoldUp{1};

const v1::Delivery& DeliveryOf(const StreamRequest& request) {
  return std::visit([](const auto& any) -> const v1::Delivery& { return any.delivery(); }, request);
}

std::string FirstValue(const grpc::ClientContext& context, const char* key) {
  const auto& metadata = context.GetServerInitialMetadata();
  const auto found = metadata.lower_bound(key);
  if (found == metadata.end() || found->first != key) return {};
  return {found->second.data(), found->second.size()};
}

// An end in good order that brought no result is a proxy's doing.
Failure WithoutResult() { return {InvalidResponse("the stream ended without a result")}; }

bool IsBreak(const Failure& failure) { return failure.ConnectionBroke() || !failure.error.cause(); }

}  // namespace

// One RPC. Who lets go of it last ends it.
struct Generation::Rpc {
  grpc::ClientContext context;
  bool resuming = false;
  bool fresh = true;  // nothing was received over it
  bool finished = false;
  std::unique_ptr<grpc::ClientReader<v1::ImageStreamEvent>> reader;

  Rpc() = default;
  Rpc(const Rpc&) = delete;
  Rpc& operator=(const Rpc&) = delete;
  ~Rpc() {
    if (reader == nullptr || finished) return;
    context.TryCancel();
    v1::ImageStreamEvent dropped;
    while (reader->Read(&dropped)) {
    }
    reader->Finish();
  }
};

Generation::Generation(std::shared_ptr<Connection> connection, StreamRequest request, Deadline deadline,
                       Lifetime lifetime)
    : connection_(std::move(connection)), request_(std::move(request)), deadline_(deadline), lifetime_(lifetime) {
  if (const auto* resumed = std::get_if<v1::ResumeRequest>(&request_)) {
    generation_id_ = resumed->generation_id();
    sequence_ = resumed->after_sequence();
    known_ = true;
  }
  request_id_ = std::visit([](const auto& any) { return any.request_id(); }, request_);
  Begin(request_);
}

Generation::~Generation() {
  try {
    if (const auto told = Leave()) told->wait_for(kHoldUp);
  } catch (...) {
    // No memory is left for telling the server.
  }
}

std::shared_ptr<Generation::Rpc> Generation::Begin(const StreamRequest& request) {
  auto rpc = std::make_shared<Rpc>();
  rpc->resuming = std::holds_alternative<v1::ResumeRequest>(request);
  deadline_.Apply(rpc->context);
  {
    // It can be cancelled from here on, also while it is being sent.
    const std::lock_guard lock(mutex_);
    if (left_) throw Cancelled("the call was stopped on this side");
    rpc_ = rpc;
  }
  v1::ImageService::Stub& images = connection_->images();
  if (const auto* generate = std::get_if<v1::GenerateRequest>(&request)) {
    rpc->reader = images.StreamGenerate(&rpc->context, *generate);
  } else if (const auto* edit = std::get_if<v1::EditRequest>(&request)) {
    rpc->reader = images.StreamEdit(&rpc->context, *edit);
  } else {
    rpc->reader = images.Resume(&rpc->context, std::get<v1::ResumeRequest>(request));
  }
  return rpc;
}

bool Generation::Receive(v1::ImageStreamEvent* event) {
  for (;;) {
    std::optional<Failure> failure;
    if (Next(event, &failure)) return true;
    if (!failure) return false;
    if (Again(*failure)) continue;
    const std::lock_guard lock(mutex_);
    lost_ = failure->ConnectionBroke();
    throw Error(failure->error);
  }
}

bool Generation::Next(v1::ImageStreamEvent* event, std::optional<Failure>* failure) {
  std::shared_ptr<Rpc> rpc;
  {
    const std::lock_guard lock(mutex_);
    rpc = rpc_;
  }
  if (rpc == nullptr) throw Cancelled("the call was stopped on this side");
  const Got got = ReadMessage(*rpc->reader, event);
  if (got == Got::kMessage) {
    Note(*event, *rpc);
    rpc->fresh = false;
    return true;
  }
  if (got == Got::kGarbled) rpc->context.TryCancel();
  const grpc::Status status = rpc->reader->Finish();
  const std::lock_guard lock(mutex_);
  rpc->finished = true;
  if (got == Got::kGarbled) {
    failure->emplace(Failure{InvalidResponse("a message of the stream cannot be read")});
    return false;
  }
  if (status.ok()) {
    if (!ended_) failure->emplace(WithoutResult());
    return false;
  }
  failure->emplace(FailureFrom(EndOf(status, rpc->context), /*free=*/false, broken_));
  // What a Resume or a wish that is sent again is refused for says nothing of the generation, and CANCELLED may be said
  // to this reader alone, who took nothing for too long. To stop what has ended does no harm.
  const bool told_end = (*failure)->from_server && (*failure)->error.reason() != v1::ERROR_REASON_CANCELLED;
  if (told_end && !rpc->resuming && !broken_) ended_ = true;
  Name((*failure)->error.generation_id());
  return false;
}

void Generation::Note(const v1::ImageStreamEvent& event, const Rpc& rpc) {
  const std::lock_guard lock(mutex_);
  backoff_.Renew();
  sequence_ = std::max(sequence_, event.sequence());
  if (event.has_started()) {
    if (!event.started().request_id().empty()) request_id_ = event.started().request_id();
    Name(event.started().generation_id());
  }
  if (event.has_result()) ended_ = true;
  if (rpc.fresh && generation_id_.empty()) Name(FirstValue(rpc.context, kGenerationId));
}

// Begins anew where the stream broke; false if that is not to be.
bool Generation::Again(const Failure& failure) {
  StreamRequest request;
  {
    std::unique_lock lock(mutex_);
    // A server that is busy has no place for another reader right now; the generation goes on all the same.
    const bool busy = rpc_ != nullptr && rpc_->resuming && failure.error.reason() == v1::ERROR_REASON_SERVER_BUSY;
    if (ended_ || left_ || !lifetime_.resumable || !(busy || IsBreak(failure))) return false;
    const auto delay = backoff_.NextDelay();
    if (!delay) return false;
    left_changed_.wait_for(lock, deadline_.Bound(*delay), [this] { return left_; });
    if (left_) throw Cancelled("the call was stopped on this side");
    broken_ = true;
    request = Continuation();
  }
  Begin(request);
  return true;
}

StreamRequest Generation::Continuation() const {
  if (!known_) return request_;
  v1::ResumeRequest rest;
  rest.set_after_sequence(sequence_);
  *rest.mutable_delivery() = DeliveryOf(request_);
  if (generation_id_.empty()) {
    rest.set_request_id(request_id_);
  } else {
    rest.set_generation_id(generation_id_);
  }
  return rest;
}

std::optional<Told> Generation::Leave() {
  std::shared_ptr<Rpc> rpc;
  bool running = false;
  std::optional<Told> told;
  {
    const std::lock_guard lock(mutex_);
    left_ = true;
    rpc = std::move(rpc_);
    rpc_ = nullptr;
    running = rpc != nullptr && !rpc->finished;
    if (lifetime_.owned && !ended_ && !lost_) told = CancelLocked();
  }
  left_changed_.notify_all();
  if (running) rpc->context.TryCancel();  // gRPC makes an error and its way through the call also for one that is over
  return told;
}

void Generation::Stop() {
  Leave();
  std::optional<Told> told;
  {
    const std::lock_guard lock(mutex_);
    if (lifetime_.shared && !ended_) told = CancelLocked();
  }
  if (!told) return;
  if (const std::optional<Error>& failed = told->get()) throw Error(*failed);
}

Told Generation::CancelLocked() {
  if (!cancelling_) {
    v1::CancelRequest request;
    if (generation_id_.empty()) {
      request.set_request_id(request_id_);
    } else {
      request.set_generation_id(generation_id_);
    }
    cancelling_ = connection_->cancels().Start(request);
  }
  return *cancelling_;
}

void Generation::Name(const std::string& generation_id) {
  if (generation_id.empty()) return;
  generation_id_ = generation_id;
  known_ = true;
}

std::string Generation::generation_id() const {
  const std::lock_guard lock(mutex_);
  return generation_id_;
}

std::string Generation::request_id() const {
  const std::lock_guard lock(mutex_);
  return request_id_;
}

std::uint32_t Generation::sequence() const {
  const std::lock_guard lock(mutex_);
  return sequence_;
}

}  // namespace imagegen::internal
