// Numbers that would arrive damaged.
#ifndef IMAGEGEN_SRC_NUMBER_CHECK_H_
#define IMAGEGEN_SRC_NUMBER_CHECK_H_

#include "imagegen/params.h"

namespace imagegen::internal {

// Throws std::invalid_argument, naming the path, for a number that a double cannot hold exactly.
void CheckNumbers(const Params& params);

}  // namespace imagegen::internal

#endif  // IMAGEGEN_SRC_NUMBER_CHECK_H_
