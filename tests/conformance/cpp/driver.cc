// Reads steps, a line of JSON each, does them, and answers a line of JSON each.
#include <google/protobuf/util/json_util.h>

#include <exception>
#include <iostream>
#include <string>

#include "outcome.h"

namespace {

void Do(const conformance::Step& step, conformance::Outcome& outcome) {
  if (step.operation_case() == conformance::Step::kMeasure) {
    conformance::DoMeasure(step, outcome);
  } else if (step.face() == conformance::v1::FACE_HELPER) {
    conformance::DoWithHelper(step, outcome);
  } else if (step.face() == conformance::v1::FACE_PLAIN) {
    conformance::DoWithStubs(step, outcome);
  } else {
    outcome.set_unsupported("the step names no face");
  }
}

}  // namespace

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    conformance::Outcome outcome;
    conformance::Step step;
    const auto read = google::protobuf::util::JsonStringToMessage(line, &step);
    if (read.ok()) {
      try {
        Do(step, outcome);
      } catch (const std::exception& error) {
        outcome.set_unsupported(std::string("the driver failed: ") + error.what());
      }
    } else {
      outcome.set_unsupported("this is no step: " + read.ToString());
    }
    std::string answer;
    const auto written = google::protobuf::util::MessageToJsonString(outcome, &answer);
    if (!written.ok()) {
      conformance::Outcome failed;
      failed.set_unsupported("the outcome cannot be told: " + written.ToString());
      answer.clear();
      (void)google::protobuf::util::MessageToJsonString(failed, &answer);
    }
    std::cout << answer << std::endl;
  }
}
