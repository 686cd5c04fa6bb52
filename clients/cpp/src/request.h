// What a call asks for, from what its model and the call itself say.
#ifndef IMAGEGEN_SRC_REQUEST_H_
#define IMAGEGEN_SRC_REQUEST_H_

#include <string>
#include <string_view>

#include "generation.h"
#include "imagegen/image.h"
#include "imagegen/model.h"
#include "imagegen/settings.h"
#include "imagegen/v1/image_service.pb.h"

namespace imagegen::internal {

// `given` laid over `bound`, which was joined before. Throws std::invalid_argument for a word that there is not, a
// parameter that cannot be carried, or a stream that is to be resumed after its end.
CallSettings Join(const CallSettings& bound, const CallSettings& given);

// For a caller who waits for the end only: no previews unless they were asked for.
CallSettings WithoutPreviews(CallSettings settings);

// The request for new pictures. Takes options and params out of the settings, which are those of this call.
v1::GenerateRequest GenerateRequestFrom(const std::string& model, std::string_view prompt, CallSettings& settings);

// The request for changed pictures, likewise. Throws std::invalid_argument for an image without a source.
v1::EditRequest EditRequestFrom(const std::string& model, std::string_view prompt, const EditImages& images,
                                CallSettings& settings);

// How the generation outlives its connection.
Lifetime LifetimeOf(const CallSettings& settings);

// INLINE if nothing is said. Throws std::invalid_argument if there is no such delivery.
v1::DeliveryMode DeliveryFrom(v1::DeliveryMode mode);

// A UUID, version 4.
std::string NewRequestId();

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_REQUEST_H_
